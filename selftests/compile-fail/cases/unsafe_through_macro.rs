// SPDX-License-Identifier: GPL-2.0

// The layer's macros contain unsafe code, but lend it to nobody.
// error: unsafe_code usage of an `unsafe` block

use rnet::prelude::*;

include!("../skeleton.rs");

rnet::module_param! {
    /// A parameter.
    static case: u32 = unsafe { core::mem::transmute::<i32, u32>(1) }, mode: 0o444, "a case"; //~
}

pub fn get() -> u32 {
    case.get()
}
