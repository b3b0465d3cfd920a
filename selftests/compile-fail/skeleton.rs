// SPDX-License-Identifier: GPL-2.0

// What every case includes: the module around the code that is tested. It compiles on its own.

rnet::module! {
    type: CaseModule,
    name: "compile_fail",
    authors: ["The rnet developers"],
    description: "A case of the compile-fail tests",
    license: "GPL",
}

pub struct CaseModule;

impl rnet::module::Module for CaseModule {
    fn init(_init: &rnet::module::InitCtx) -> kernel::error::Result<Self> {
        Ok(CaseModule)
    }
}
