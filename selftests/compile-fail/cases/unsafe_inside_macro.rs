// SPDX-License-Identifier: GPL-2.0

// The layer's macros contain unsafe code, but what is handed to them is not inside it.
// error: E0133 call to unsafe function

use rnet::prelude::*;

include!("../skeleton.rs");

rnet::module_param! {
    /// A parameter.
    static case: u32 = 1u32.unchecked_add(1), mode: 0o444, "a case"; //~
}

pub fn get() -> u32 {
    case.get()
}
