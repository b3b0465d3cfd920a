// SPDX-License-Identifier: GPL-2.0

// Only the layer maps registers, and only it writes the tails of rings.
// error: E0624 `new` is private
// error: E0624 `doorbell` is private

use core::ptr::NonNull;
use rnet::{
    mmio::Mmio,
    prelude::*, //
};

include!("../skeleton.rs");

pub fn forge(io: &Mmio) {
    let _ = Mmio::new(NonNull::dangling(), 4096, 0); //~
    let _ = io.doorbell(0); //~
}

pub fn unused(_: Result) {}
