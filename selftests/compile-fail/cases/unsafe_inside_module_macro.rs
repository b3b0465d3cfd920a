// SPDX-License-Identifier: GPL-2.0

// The type that module! is given stands inside an unsafe block of the layer, but an expression in it
// does not.
// error: E0133 call to unsafe function

use rnet::prelude::*;

rnet::module! {
    type: Case<{ 1u32.unchecked_add(1) }>, //~
    name: "compile_fail",
    authors: ["The rnet developers"],
    description: "A case of the compile-fail tests",
    license: "GPL",
}

pub struct Case<const N: u32>;

impl<const N: u32> rnet::module::Module for Case<N> {
    fn init(_init: &InitCtx) -> Result<Self> {
        Ok(Case)
    }
}
