// SPDX-License-Identifier: GPL-2.0

//! A driver for the Intel 82576 Gigabit Ethernet controller.
//!
//! It takes no device by itself: one is bound through `driver_override` in sysfs, beside the
//! kernel's own igb.

mod desc;
mod filter;
mod hw;
mod link;
mod port;
mod queues;
mod regs;

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
