// SPDX-License-Identifier: GPL-2.0

// Only the layer says that code runs in a probe.
// error: E0624 associated function `enter` is private

use rnet::trace::ProbeCx;

include!("../skeleton.rs");

pub fn forge() {
    let _cx = ProbeCx::enter(); //~
}
