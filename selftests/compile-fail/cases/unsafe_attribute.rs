// SPDX-License-Identifier: GPL-2.0

// Driver crates have no unsafe code: symbols and sections that the kernel might take for its own.
// error: unsafe_code declaration of a `no_mangle` function
// error: unsafe_code declaration of a static with `link_section`

use rnet::prelude::*;

include!("../skeleton.rs");

#[no_mangle] //~
pub extern "C" fn printk() {}

#[link_section = "__param"] //~
pub static CASE: u32 = 1;
