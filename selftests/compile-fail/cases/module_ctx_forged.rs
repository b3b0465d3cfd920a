// SPDX-License-Identifier: GPL-2.0

// Only what the layer's module adapter has loaded may register something.
// error: E0423 cannot initialize a tuple struct which contains private fields
// error: E0624 associated function `assume` is private

use rnet::prelude::*;

include!("../skeleton.rs");

pub fn one() -> ModuleCtx {
    ModuleCtx(()) //~
}

pub fn other() -> ModuleCtx {
    ModuleCtx::assume() //~
}

pub fn third() -> InitCtx {
    InitCtx(()) //~
}
