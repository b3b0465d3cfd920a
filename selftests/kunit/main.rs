// SPDX-License-Identifier: GPL-2.0

//! The layer's KUnit suites as a module: loading it runs them.
//!
//! The suites stand beside the code that they test, under `cfg(RNET_KUNIT)`; this module links a copy
//! of the layer that is compiled with it. Built for kernels with `CONFIG_KUNIT` only.

use rnet::prelude::*;

rnet::module! {
    type: Kunit,
    name: "rnet_kunit",
    authors: ["The rnet developers"],
    description: "KUnit suites of the rnet layer",
    license: "GPL",
}

struct Kunit;

impl rnet::module::Module for Kunit {
    fn init(_init: &InitCtx) -> Result<Self> {
        Ok(Self)
    }
}
