// SPDX-License-Identifier: GPL-2.0

//! A safe layer over the kernel's network device interface.
//!
//! With this crate a network driver for Linux is written in Rust without any `unsafe`: the device
//! ([`netdev`]), the packets ([`skb`]), network namespaces ([`netns`]), per-CPU counters
//! ([`percpu`]), statistics ([`stats`]), ethtool ([`ethtool`]), sysfs ([`sysfs`]), module parameters
//! ([`module_param!`](crate::module_param)) and what ties them to a module's life ([`mod@module`]).
//! A module that looks at packets on their way attaches to tracepoints ([`trace`]) and reads the
//! backlog of each CPU ([`softnet`]).
//!
//! # The rules that the types enforce
//!
//! - *Context is a type.* [`rtnl::Rtnl`] proves that RTNL is held, [`skb::XmitCx`] that the code runs
//!   in a transmit callback (softirqs off, RCU read side). Functions that need a context take it.
//! - *A packet is a move-only value.* A transmit callback gets a [`skb::TxSkb`] that only it can own
//!   and must return a verdict that cannot be made without having given the packet away.
//! - *Registrations do not dangle.* Whatever calls back into the module is known to the layer, which
//!   removes it at module exit even when its handle was leaked with `mem::forget`.
//! - *Data outlives its callbacks.* Driver data is freed only after the core has released the
//!   device, the namespace or the file that could reach it.
//!
//! # The smallest driver
//!
//! `samples/dummy.rs` of the source tree is a complete network device in about 60 lines;
//! Documentation walks through it.

// The kernel's printing macros want to know who prints.
const __LOG_PREFIX: &[u8] = b"rnet\0";

#[doc(hidden)]
pub use kernel;

#[cfg(all(CONFIG_PCI, CONFIG_PAGE_POOL))]
pub mod dma;
pub mod ethtool;
pub mod identity;
#[cfg(all(CONFIG_PCI, CONFIG_PAGE_POOL))]
mod irq;
#[cfg(all(CONFIG_PCI, CONFIG_PAGE_POOL))]
mod lock;
pub mod log2;
#[cfg(all(CONFIG_PCI, CONFIG_PAGE_POOL))]
pub mod mmio;
pub mod module;
pub mod napi;
pub mod netdev;
pub mod netlink;
pub mod netns;
#[cfg(all(CONFIG_PCI, CONFIG_PAGE_POOL))]
pub mod nic;
mod param;
#[cfg(all(CONFIG_PCI, CONFIG_PAGE_POOL))]
pub mod pci;
pub mod percpu;
mod print;
mod registry;
#[cfg(all(CONFIG_PCI, CONFIG_PAGE_POOL))]
pub mod ring;
pub mod rtnl;
pub mod skb;
pub mod softnet;
pub mod softq;
pub mod stamps;
pub mod stats;
pub mod switches;
pub mod sysfs;
mod text;
pub mod trace;
pub mod xdp;

pub use param::{
    Param,
    ParamType,
    TextParam, //
};
#[doc(hidden)]
pub use {
    param::__modinfo,
    print::__net_ratelimit, //
};

pub mod prelude {
    //! What nearly every driver on this layer uses.

    pub use crate::{
        module::{
            InitCtx,
            ModuleCtx, //
        },
        netdev::{
            Builder,
            Device,
            Driver,
            Features, //
        },
        netns::Net,
        rtnl::Rtnl,
        skb::{
            Busy,
            NoQueue,
            Qdisc,
            TxSkb,
            Xmit,
            XmitCx, //
        },
        stats::LinkStats, //
    };
    pub use kernel::prelude::*;
}
