// SPDX-License-Identifier: GPL-2.0

//! Receive queues that software fills: a NAPI for a device without hardware.
//!
//! A loopback, a tunnel or one end of a pair hands its packets to the backlog of the CPU
//! ([`Looped::netif_rx`](crate::skb::Looped::netif_rx)). The backlog is one for all devices: nobody
//! can poll it for one socket, nothing is aggregated in it, no program sees what it delivers, and
//! every packet that finds it empty raises a softirq. A device that implements [`Driver`] can be
//! given queues of its own beside it, each with a NAPI: `SO_BUSY_POLL`, threaded NAPI, GRO,
//! `ethtool -l/-c/-g/-S`, netdev-genl and native XDP work on them as on those of a NIC.
//!
//! They are switched on and off under traffic with a [`Switch`], and cost nothing while they are
//! off: the device's table of callbacks is another one then. Packets stay in order, whatever is
//! switched and wherever the sender runs: a flow (what one socket sends) moves to another queue
//! only when its last packet was delivered.
//!
//! # What a packet costs, and who pays
//!
//! A packet waits in a bounded queue (`ethtool -G`), beyond which it is dropped and counted in the
//! device's `rx_dropped`. Until it is delivered it counts as its sender's, except for TCP, which
//! has its window: a sender of datagrams waits for room in its send buffer before the queue is full.
//!
//! The NAPI is scheduled on the CPU that sends. While a task sends packet after packet without
//! sleeping, they are put together to batches (`ethtool -C`); a packet of a task that has slept
//! since its last one is delivered at once, with all that waits before it.
//!
//! # Examples
//!
//! ```ignore
//! impl softq::Driver for Loopback {
//!     fn start_xmit_queued<'call>(
//!         &self,
//!         skb: TxSkb<'call>,
//!         cx: &softq::QueueCx<'_>,
//!     ) -> Xmit<'call, NoQueue> {
//!         match skb.loop_back_owned(cx) {
//!             Ok(skb) => Xmit::Taken(skb.enqueue(cx).0),
//!             Err(short) => Xmit::Taken(short.disposed),
//!         }
//!     }
//! }
//!
//! let (builder, switch) = Builder::<Loopback>::loopback_queues(c"lo", cpus)?.receive_queues()?;
//! // When the device is registered:
//! switch.set(true, &rtnl)?;
//! ```
//!
//! C counterpart: what `drivers/net/veth.c` does with `napi_struct` and `ptr_ring`.

mod ethtool;
mod hold;
mod order;
mod poll;
mod queue;
mod queues;
mod steer;
mod switch;
mod word;
mod xdp;

pub use switch::Switch;

use core::ptr::NonNull;

use kernel::{
    ffi::c_int,
    prelude::*, //
};
use net_bindings as nb;

use self::queues::Queues;
use crate::{
    netdev::{
        self,
        Device,
        Features, //
    },
    skb::{
        NoQueue,
        TxSkb,
        Xmit,
        XmitCx, //
    },
};

/// A driver whose device can have receive queues of its own.
pub trait Driver: netdev::Driver<Queueing = NoQueue> {
    /// Sends a packet while the queues are on: as
    /// [`start_xmit`](netdev::Driver::start_xmit), but what comes back to this host goes to them
    /// ([`Looped::enqueue`](crate::skb::Looped::enqueue)).
    fn start_xmit_queued<'call>(&self, skb: TxSkb<'call>, cx: &QueueCx<'_>)
        -> Xmit<'call, NoQueue>;
}

/// The context of [`Driver::start_xmit_queued`]: that of a transmit callback of a device with
/// queues.
pub struct QueueCx<'a> {
    xmit: XmitCx<'a>,
    queues: &'a Queues,
}

impl<'a> core::ops::Deref for QueueCx<'a> {
    type Target = XmitCx<'a>;

    #[inline(always)]
    fn deref(&self) -> &XmitCx<'a> {
        &self.xmit
    }
}

impl QueueCx<'_> {
    /// Puts a packet into a queue; false if there was no room and it was dropped.
    ///
    /// # Safety
    ///
    /// `skb` must be the caller's own, turned round on this context's device, and is given away.
    /// `sock` tells whose packet it is.
    #[inline(always)]
    pub(crate) unsafe fn enqueue(&self, skb: NonNull<nb::sk_buff>, sock: usize) -> bool {
        // SAFETY: In a transmit callback, by the type; else by the requirement.
        unsafe { self.queues.enqueue(skb.as_ptr(), sock) }
    }
}

/// Tables of callbacks that a device is switched to.
#[derive(Clone, Copy)]
struct Tables {
    ops: &'static nb::net_device_ops,
    ethtool: &'static nb::ethtool_ops,
}

impl Tables {
    /// Those of a driver `T` with its queues off: they have been a device's from the start.
    fn without_queues<T: Driver>() -> Self {
        Self {
            ops: Callbacks::<T>::OFF,
            ethtool: ethtool::Table::<T>::OFF,
        }
    }

    /// Those of a driver `T` with its queues on.
    const fn with_queues<T: Driver>() -> Self {
        Self {
            ops: Callbacks::<T>::OPS,
            ethtool: ethtool::Table::<T>::OPS,
        }
    }

    /// Whether the device calls these.
    ///
    /// # Safety
    ///
    /// Under RTNL, on a valid device.
    unsafe fn are_of(&self, dev: *mut nb::net_device) -> bool {
        // SAFETY: By the requirement.
        core::ptr::eq(unsafe { nb::netdev_ops(dev) }, self.ops)
    }

    /// # Safety
    ///
    /// Under RTNL or before registration, on a device of the driver that the tables are for.
    unsafe fn install(&self, dev: *mut nb::net_device) {
        // SAFETY: By the requirement. Both are constants of this module's text, which the device
        // does not outlive.
        unsafe {
            nb::netdev_set_ops(dev, self.ops);
            nb::netdev_set_ethtool_ops(dev, self.ethtool);
        }
    }
}

/// The callbacks of a device with queues.
struct Callbacks<T: Driver>(core::marker::PhantomData<T>);

impl<T: Driver> Callbacks<T> {
    /// The core makes ready for `ndo_xdp_xmit` when a device is registered, not later. Without
    /// queues the device does not offer it (`dev->xdp_features`).
    const OFF: &'static nb::net_device_ops = &nb::net_device_ops {
        ndo_xdp_xmit: Some(xdp::xdp_xmit::<T>),
        ..*netdev::table::<T>()
    };

    const OPS: &'static nb::net_device_ops = &nb::net_device_ops {
        ndo_start_xmit: Some(Self::start_xmit),
        ndo_fix_features: Some(xdp::fix_features::<T>),
        ndo_set_features: Some(Self::set_features),
        ndo_bpf: Some(xdp::bpf),
        ndo_xdp_xmit: Some(xdp::xdp_xmit::<T>),
        ..*netdev::table::<T>()
    };

    unsafe extern "C" fn poll(napi: *mut nb::napi_struct, budget: c_int) -> c_int {
        // SAFETY: The poll function of the NAPIs of queues.
        unsafe { queue::Queue::poll(napi, budget) }
    }

    /// `ethtool -K lo ntuple` is what steers packets to the CPU of their receiver on NICs.
    unsafe extern "C" fn set_features(dev: *mut nb::net_device, features: u64) -> c_int {
        // SAFETY: Called under RTNL on a registered device with a switch.
        if let Ok((_, queues)) = unsafe { of(dev) } {
            let on = features & Features::NTUPLE.as_raw() != 0;
            queues.steering.set(on.into());
        }
        match netdev::table::<T>().ndo_set_features {
            // SAFETY: As called by the core.
            Some(set) => unsafe { set(dev, features) },
            None => 0,
        }
    }

    unsafe extern "C" fn start_xmit(
        skb: *mut nb::sk_buff,
        dev: *mut nb::net_device,
    ) -> nb::netdev_tx_t {
        // SAFETY: Called with softirqs off inside an RCU-bh read-side section on a registered device
        // of `T`, which has a switch; unregistration waits for such sections, and so does the
        // switch before it frees the queues.
        let queues = unsafe { netdev::switch(dev).and_then(|switch| switch.queues()) };
        let Some(queues) = queues else {
            // They have been switched off meanwhile.
            return match netdev::table::<T>().ndo_start_xmit {
                // SAFETY: As called by the core.
                Some(plain) => unsafe { plain(skb, dev) },
                None => nb::netdev_tx_NETDEV_TX_BUSY,
            };
        };
        // SAFETY: In the callback, on a registered device of `T`, which has its data.
        let (device, data) = unsafe { (Device::from_raw(dev), netdev::data::<T>(dev)) };
        // SAFETY: This is the callback, and the context does not outlive it.
        let xmit = unsafe { XmitCx::new(device) };
        // SAFETY: The core hands over the packet, which is never null. It is not shared, because
        // the builder clears IFF_TX_SKB_SHARING. The lifetime is free in the driver's callback.
        let skb = unsafe { TxSkb::from_raw(NonNull::new_unchecked(skb)) };
        data.start_xmit_queued(skb, &QueueCx { xmit, queues })
            .into_raw()
    }
}

/// The queues of a device, in ethtool's and XDP's callbacks.
///
/// # Safety
///
/// `dev` must be a registered device with a switch, under RTNL or in an RCU read side section, and
/// the queues not be used beyond that.
unsafe fn of<'a>(dev: *mut nb::net_device) -> Result<(&'a Switch, &'a Queues)> {
    // SAFETY: By the requirement.
    unsafe {
        let switch = netdev::switch(dev).ok_or(EOPNOTSUPP)?;
        let queues = switch.queues().ok_or(EOPNOTSUPP)?;
        Ok((switch, queues))
    }
}
