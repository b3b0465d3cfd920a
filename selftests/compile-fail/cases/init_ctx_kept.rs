// SPDX-License-Identifier: GPL-2.0

// Proof that module init runs ends with it.
// error: E0521 borrowed data escapes outside of

use rnet::prelude::*;

include!("../skeleton.rs");

fn keep(_init: &'static InitCtx) {}

pub struct Case;

impl rnet::module::Module for Case {
    fn init(init: &InitCtx) -> Result<Self> {
        keep(init); //~
        Ok(Case)
    }
}
