// SPDX-License-Identifier: GPL-2.0

//! NICs: PCI devices with rings, interrupts and NAPI.
//!
//! A driver implements [`Driver`] and registers it with
//! [`pci::Registration`]. For each device that is bound, the layer makes
//! a network device, and while that is up, rings, NAPIs and interrupts.
//!
//! # The order in which things end
//!
//! Down: carrier off, service work, the driver's [`disable`](Driver::disable), interrupts freed,
//! NAPIs disabled, transmit queues stopped and waited for, the packet that waits for a stamp, the driver's [`stop`](Driver::stop), bus
//! mastering off, then the rings with everything that is in them, then the NAPIs.
//!
//! Removal: the PTP clock, recovery work, the network device (which goes down), the driver's
//! [`remove`](Driver::remove), the driver's data, vectors, the mapping of the registers, the PCI
//! device.

mod activity;
mod clock;
mod core;
mod device;
mod driver;
mod ethtool;
mod link;
mod moderation;
mod rss;
mod running;
mod shared;
pub(crate) mod stat_ops;
mod stats;
mod vector;
mod wake;
mod work;
mod xdp;

pub(crate) use self::activity::{
    Activity,
    FILES, //
};
pub(crate) use self::clock::PtpClock;
pub use self::clock::{
    adjusted,
    Clock,
    ClockTable,
    StampClaim, //
};
pub use self::core::Core;
pub use self::driver::{
    Cause,
    Driver,
    Identity,
    Limits, //
};
pub use self::ethtool::{
    CtrlStats,
    MacStats,
    PauseStats,
    RmonStats, //
};
pub use self::link::{
    LinkModes,
    LinkSettings,
    LinkWanted,
    Pause, //
};
pub use self::moderation::Load;
pub use self::rss::Rss;
pub use self::stats::{
    QueueStats,
    RxStats,
    TxStats, //
};
pub use self::wake::Wake;
pub use crate::irq::Mode;

use ::core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    ffi::c_void,
    prelude::*, //
};
use net_bindings as nb;

use self::{
    moderation::Moderation,
    shared::Shared,
    wake::WakeSetting, //
};
use crate::{
    mmio::Mmio,
    netdev::Device,
    pci,
    ring::RingAddress, //
};

/// What a callback of a driver works with. Lent for the callback; nothing of it can be kept.
#[derive(Clone, Copy)]
pub struct Nic<'a> {
    shared: &'a Shared,
}

impl<'a> Nic<'a> {
    #[inline]
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { shared }
    }

    /// The registers.
    #[inline]
    pub fn io(&self) -> &'a Mmio {
        self.shared.io()
    }

    /// The network device.
    #[inline]
    pub fn dev(&self) -> &'a Device {
        self.shared.dev()
    }

    /// The PCI device.
    pub fn pci(&self) -> pci::Device<'a> {
        self.shared.pci()
    }

    /// What the queues have counted.
    pub fn queue_stats(&self) -> &'a QueueStats {
        self.shared.queue_stats()
    }

    /// How received frames are spread over the queues.
    pub fn rss(&self) -> &'a Rss {
        self.shared.rss()
    }

    /// Has [`Driver::service`] called soon. Any context; nothing happens while the device is down.
    pub fn service_now(&self) {
        self.shared.service_in(0);
    }

    /// Has the device taken down and up again soon, if it is up. Any context.
    pub fn recover(&self) {
        self.shared.recover();
    }

    /// How interrupts come.
    pub fn interrupt_mode(&self) -> Mode {
        self.shared.mode()
    }

    /// The vector for everything else than queues, if there is one.
    pub fn other_vector(&self) -> Option<u32> {
        self.shared.other_vector()
    }

    /// Runs `work` with the receive filter and the address lock, under which nobody else writes
    /// what [`Driver::set_filter`] writes. Must not sleep; not in `set_filter` itself, which has
    /// the lock. C function: `netif_addr_lock_bh()`.
    pub fn with_filter<R>(&self, work: impl FnOnce(&AddressFilter<'_>) -> R) -> R {
        let dev = self.shared.netdev();
        // SAFETY: A device that is there; the lock is held while the filter is.
        unsafe {
            nb::netif_addr_lock_bh(dev.as_ptr());
            let result = work(&AddressFilter::new(dev));
            nb::netif_addr_unlock_bh(dev.as_ptr());
            result
        }
    }

    /// The MAC address as it is now. RTNL or the address lock. C member: `dev->dev_addr`.
    pub fn address(&self) -> [u8; 6] {
        let mut addr = [0u8; 6];
        // SAFETY: A device that is there; six bytes, as Ethernet's length says.
        unsafe {
            nb::netdev_addr(self.dev().as_raw()).copy_to_nonoverlapping(addr.as_mut_ptr(), 6)
        };
        addr
    }
}

/// The rings of a device that goes up.
pub struct Rings {
    pub(crate) pairs: KVec<Pair>,
    pub(crate) max_frame: u32,
}

/// A transmit ring and a receive ring with one interrupt.
#[derive(Clone, Copy)]
pub struct Pair {
    /// For packets that go out.
    pub tx: RingAddress,
    /// For frames that come in.
    pub rx: RingAddress,
    /// The interrupt vector of both.
    pub vector: u32,
}

impl Rings {
    /// One for each queue, in order.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// The longest frame that has to come in, without its FCS, with two VLAN tags, in bytes.
    pub fn max_frame(&self) -> u32 {
        self.max_frame
    }
}

/// Which frames are to come in. Lent under the address lock.
pub struct AddressFilter<'a> {
    dev: NonNull<nb::net_device>,
    flags: u32,
    _lock: PhantomData<&'a ()>,
}

impl AddressFilter<'_> {
    /// # Safety
    ///
    /// `dev` must be registered, with its address lock held during `'a`.
    pub(crate) unsafe fn new(dev: NonNull<nb::net_device>) -> Self {
        Self {
            dev,
            // SAFETY: By the requirement of this function.
            flags: unsafe { nb::netdev_flags(dev.as_ptr()) },
            _lock: PhantomData,
        }
    }

    /// Every frame. C flag: `IFF_PROMISC`.
    pub fn promiscuous(&self) -> bool {
        self.flags & nb::net_device_flags_IFF_PROMISC != 0
    }

    /// Every multicast frame. C flag: `IFF_ALLMULTI`.
    pub fn all_multicast(&self) -> bool {
        self.flags & nb::net_device_flags_IFF_ALLMULTI != 0
    }

    /// Calls `func` for each multicast address. C macro: `netdev_for_each_mc_addr()`.
    pub fn for_each_multicast(&self, func: impl FnMut([u8; 6])) {
        self.for_each(true, func);
    }

    /// Calls `func` for each unicast address beside the device's own. C macro:
    /// `netdev_for_each_uc_addr()`.
    pub fn for_each_unicast(&self, func: impl FnMut([u8; 6])) {
        self.for_each(false, func);
    }

    fn for_each<F: FnMut([u8; 6])>(&self, multicast: bool, mut func: F) {
        unsafe extern "C" fn call<F: FnMut([u8; 6])>(func: *mut c_void, addr: *const u8) {
            let mut octets = [0u8; 6];
            // SAFETY: An address of six bytes; `func` is the closure below, used by one call only.
            let func = unsafe {
                addr.copy_to_nonoverlapping(octets.as_mut_ptr(), 6);
                &mut *func.cast::<F>()
            };
            func(octets);
        }
        // SAFETY: The address lock is held, by the requirement of `new()`.
        unsafe {
            nb::netdev_addresses(
                self.dev.as_ptr(),
                multicast,
                Some(call::<F>),
                (&raw mut func).cast(),
            )
        };
    }
}
