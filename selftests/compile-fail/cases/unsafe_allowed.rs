// SPDX-License-Identifier: GPL-2.0

// The rule is not switched off inside the crate.
// error: E0453 allow(unsafe_code) incompatible with previous forbid
// error: unsafe_code usage of an `unsafe` block

use rnet::prelude::*;

include!("../skeleton.rs");

#[allow(unsafe_code)] //~
pub fn read(ptr: *const u32) -> u32 {
    unsafe { ptr.read() } //~
}
