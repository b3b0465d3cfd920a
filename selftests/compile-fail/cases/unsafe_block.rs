// SPDX-License-Identifier: GPL-2.0

// Driver crates have no unsafe code: a block.
// error: unsafe_code usage of an `unsafe` block

use rnet::prelude::*;

include!("../skeleton.rs");

pub fn read(ptr: *const u32) -> u32 {
    unsafe { ptr.read() } //~
}
