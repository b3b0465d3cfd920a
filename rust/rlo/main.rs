// SPDX-License-Identifier: GPL-2.0

//! A loopback device that really is the loopback device of a network namespace.
//!
//! In two ways: a namespace created while the parameter `replace` is on gets a device of this
//! driver as its `lo` (*replacement*); in any other, `/sys/class/net/lo/rlo/active` makes the
//! transmit path of the `lo` that is there go through this driver and back (*takeover*). Both
//! deliver every packet with `netif_rx()` into the backlog of the CPU, as the kernel's own does.
//! A device of this driver can have receive queues with a NAPI instead
//! (`/sys/class/net/lo/rlo/delivery`).

mod device;
mod files;
mod protocol;
mod state;

use rnet::{
    netns::PernetHandle,
    prelude::*,
    sysfs::Dir, //
};

rnet::module! {
    type: Rlo,
    name: "rlo",
    authors: ["The rnet developers"],
    description: "Loopback device in Rust",
    license: "GPL",
}

rnet::module_param! {
    /// Whether namespaces that are created from now on get a device of this driver.
    static replace: bool = true, mode: 0o644,
        "new network namespaces get rlo's device as lo (default Y)";
}

rnet::module_param! {
    /// Whether the `lo` of namespaces that are created from now on and are not replaced is taken
    /// over from the start, which costs no time.
    static takeover: bool = false, mode: 0o644,
        "the kernel's lo of new network namespaces is taken over at once (default N)";
}

rnet::module_param! {
    /// Whether the devices of namespaces that are created from now on begin with BIG TCP.
    static big_tcp: bool = true, mode: 0o644,
        "rlo's devices begin with TCP packets of up to 512 KiB (default Y)";
}

rnet::module_param! {
    /// Whether the devices of namespaces that are created from now on begin with NAPI delivery.
    static napi: bool = false, mode: 0o644,
        "rlo's devices begin with NAPI delivery (default N)";
}

/// The registrations, dropped in this order.
struct Rlo {
    _devices: PernetHandle<device::Attach>,
    _states: PernetHandle<state::State>,
    _dir: Dir,
}

impl rnet::module::Module for Rlo {
    fn init(init: &InitCtx) -> Result<Self> {
        let dir = files::module_dir(init.ctx())?;
        let states = PernetHandle::new(init)?;
        let devices = PernetHandle::new(init)?;
        Ok(Rlo {
            _devices: devices,
            _states: states,
            _dir: dir,
        })
    }
}
