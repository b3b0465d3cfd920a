// SPDX-License-Identifier: GPL-2.0

//! The kernel's receive path, stage by stage and CPU by CPU, in `/sys/kernel/rsoftnet/`.
//!
//! A stage is a place that packets come by. While it is enabled, a probe at the kernel's tracepoint
//! counts; while it is not, there is nothing at the tracepoint. See `Documentation/ABI/testing`.

mod attach;
mod backlog;
mod control;
mod core;
mod files;
mod filter;
mod function_probes;
mod log;
mod log_text;
mod probes;
mod snapshot;
mod stage;

use kernel::sync::Arc;
use rnet::{
    netdev::NotifierHandle,
    netns::PernetHandle,
    prelude::*,
    sysfs::Dir, //
};

rnet::module! {
    type: Rsoftnet,
    name: "rsoftnet",
    authors: ["The rnet developers"],
    description: "The receive path of the network stack, stage by stage",
    license: "GPL",
}

/// Dropped in this order: the files first, so that nobody enables anything any more.
struct Rsoftnet {
    _dir: Dir,
    _namespaces: PernetHandle<filter::Namespace>,
    _devices: NotifierHandle<filter::Devices>,
    control: Arc<control::Control>,
}

impl rnet::module::Module for Rsoftnet {
    fn init(init: &InitCtx) -> Result<Self> {
        let core = Arc::new(core::Core::new()?, GFP_KERNEL)?;
        let control = control::Control::new(init.ctx(), core.clone())?;
        let devices = NotifierHandle::new(init, filter::Devices(core.clone()))?;
        let namespaces = PernetHandle::new(init)?;
        Ok(Rsoftnet {
            _dir: files::make(init.ctx(), &control)?,
            _namespaces: namespaces,
            _devices: devices,
            control,
        })
    }
}

impl Drop for Rsoftnet {
    fn drop(&mut self) {
        self.control.all_off();
    }
}
