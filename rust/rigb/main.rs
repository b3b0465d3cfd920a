// SPDX-License-Identifier: GPL-2.0

//! A driver for the Intel 82576 Gigabit Ethernet controller.
//!
//! It takes no device by itself: one is bound through `driver_override` in sysfs, or by the
//! parameter `bind`, beside the kernel's own igb.

mod clock;
mod counters;
mod desc;
mod filter;
mod hw;
mod irq;
mod link;
mod offloads;
mod packets;
mod port;
mod queues;
mod regs;
mod tests;
mod wake;

use kernel::str::BStr;
use rnet::{
    pci,
    prelude::*, //
};

rnet::module! {
    type: Rigb,
    name: "rigb",
    authors: ["The rnet developers"],
    description: "Intel 82576 Gigabit Ethernet in Rust",
    license: "GPL",
}

rnet::module_param! {
    /// Devices to take.
    static bind: text, mode: 0o444, "devices to take when loaded, by PCI address: [domain:]bus:device.function,...";
}

struct Rigb(#[allow(dead_code)] pci::Registration<port::Port>);

impl Rigb {
    /// Takes the devices that the parameter names. One that cannot be had does not keep the
    /// others from working.
    fn bind(&self, list: &[u8]) -> Result {
        let names = || {
            list.split(|&byte| byte == b',')
                .filter(|name| !name.is_empty())
        };
        for name in names() {
            pci::Address::parse(name).inspect_err(|_| {
                pr_err!("bind: not a PCI address: {}\n", BStr::from_bytes(name));
            })?;
        }
        for address in names().flat_map(pci::Address::parse) {
            if let Err(err) = self.0.bind(address) {
                let why = match err {
                    ENODEV => "there is no such device",
                    EBUSY => "it has a driver, or a driver_override",
                    _ => "it does not work",
                };
                pr_err!("bind: {}: {} ({:?})\n", address, why, err);
            }
        }
        Ok(())
    }
}

impl rnet::module::Module for Rigb {
    fn init(init: &InitCtx) -> Result<Self> {
        let this = Self(pci::Registration::new(init)?);
        if let Some(list) = bind.get() {
            this.bind(list.to_bytes())?;
        }
        Ok(this)
    }
}
