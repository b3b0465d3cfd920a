// SPDX-License-Identifier: GPL-2.0

//! A driver for the Intel 82576 Gigabit Ethernet controller.
//!
//! It takes no device by itself: one is bound through `driver_override` in sysfs, beside the
//! kernel's own igb.

mod counters;
mod desc;
mod filter;
mod hw;
mod irq;
mod link;
mod packets;
mod port;
mod queues;
mod regs;
mod tests;

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

struct Rigb(#[allow(dead_code)] pci::Registration<port::Port>);

impl rnet::module::Module for Rigb {
    fn init(init: &InitCtx) -> Result<Self> {
        Ok(Self(pci::Registration::new(init)?))
    }
}
