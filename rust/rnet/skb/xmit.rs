// SPDX-License-Identifier: GPL-2.0

//! The packet of a transmit callback and the verdict on it.

use core::{
    convert::Infallible,
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::NonNull, //
};

use kernel::types::NotThreadSafe;
use net_bindings as nb;

use super::{
    DropReason,
    Skb, //
};
use crate::{
    netdev::Device,
    netns::{
        context::sealed,
        RcuRead, //
    },
};

/// A lifetime that fits no other: invariant, so that values of two calls cannot be exchanged.
type Brand<'call> = PhantomData<fn(&'call ()) -> &'call ()>;

/// Proof that the code runs in a transmit callback: softirqs are off and the RCU read side is held
/// on this CPU; it must not sleep. C contract: `ndo_start_xmit`.
///
/// With `LLTX` no transmit lock is held and netpoll can re-enter the callback on the same CPU, so
/// there is no exclusive state to be had here: count with
/// [`Counters`](crate::percpu::Counters) or atomics.
pub struct XmitCx<'a> {
    dev: &'a Device,
    _not_send: NotThreadSafe,
}

impl<'a> XmitCx<'a> {
    /// # Safety
    ///
    /// Must be called in `ndo_start_xmit` of `dev`, and not outlive it.
    #[inline]
    pub(crate) unsafe fn new(dev: &'a Device) -> Self {
        Self {
            dev,
            _not_send: NotThreadSafe,
        }
    }

    /// The device that transmits.
    #[inline]
    pub fn dev(&self) -> &'a Device {
        self.dev
    }

    /// Counts one packet of `len` bytes in the device's per-CPU `lstats`. Does nothing on a device
    /// that keeps other statistics ([`PcpuStats`](crate::netdev::PcpuStats)). C function:
    /// `dev_lstats_add()`.
    #[inline]
    pub fn lstats_add(&self, len: u32) {
        let dev = self.dev.as_raw();
        // SAFETY: `dev` is registered, as it transmits; so the kind of its statistics is fixed and
        // the block is allocated.
        unsafe {
            if nb::netdev_pcpu_stat_type(dev) == nb::netdev_stat_type_NETDEV_PCPU_STAT_LSTATS {
                nb::dev_lstats_add(dev, len);
            }
        }
    }
}

impl sealed::Sealed for XmitCx<'_> {}
impl RcuRead for XmitCx<'_> {}

/// How a device is fed, and so what its transmit callback may answer: [`NoQueue`] or [`Qdisc`].
pub trait Queueing: sealed::Sealed + 'static {
    /// What `Xmit::Busy` carries.
    type Busy<'call>;

    /// Whether the core may hand the device packets without a queue discipline.
    const NO_QUEUE: bool;

    #[doc(hidden)]
    fn give_back<'call>(busy: Self::Busy<'call>) -> Busy<'call>
    where
        'call: 'call;
}

/// A device without a queue discipline (`IFF_NO_QUEUE`), such as a loopback or a tunnel. Nobody
/// would send a packet again that it refused, so it is offered no `Busy` at all.
pub enum NoQueue {}

impl sealed::Sealed for NoQueue {}

impl Queueing for NoQueue {
    type Busy<'call> = Infallible;
    const NO_QUEUE: bool = true;

    fn give_back<'call>(busy: Infallible) -> Busy<'call>
    where
        'call: 'call,
    {
        match busy {}
    }
}

/// A device with a queue discipline, such as a NIC: it may answer `Busy` and is asked again.
pub enum Qdisc {}

impl sealed::Sealed for Qdisc {}

impl Queueing for Qdisc {
    type Busy<'call> = Busy<'call>;
    const NO_QUEUE: bool = false;

    #[inline]
    fn give_back<'call>(busy: Busy<'call>) -> Busy<'call>
    where
        'call: 'call, // Named early, as in the trait.
    {
        busy
    }
}

/// The packet of this call, given back unchanged. Made by [`TxSkb::busy`].
pub struct Busy<'call>(TxSkb<'call>);

/// Proof that the packet of this call has been given away. Returned by what disposes of a
/// [`TxSkb`]; there is no other way to make one.
#[must_use = "the transmit callback returns it in Xmit::Taken"]
pub struct Disposed<'call>(pub(super) Brand<'call>);

/// The answer of a transmit callback. C type: `netdev_tx_t`.
pub enum Xmit<'call, Q: Queueing> {
    /// The packet is the driver's (or gone). C value: `NETDEV_TX_OK`.
    Taken(Disposed<'call>),
    /// No room: the core keeps the packet and asks again later. The driver has stopped the queue
    /// before. C value: `NETDEV_TX_BUSY`.
    Busy(Q::Busy<'call>),
}

impl<Q: Queueing> Xmit<'_, Q> {
    #[inline]
    pub(crate) fn into_raw(self) -> nb::netdev_tx_t {
        match self {
            Xmit::Taken(_) => nb::netdev_tx_NETDEV_TX_OK,
            Xmit::Busy(busy) => {
                // The core owns the packet again: do not free it here.
                let _ = ManuallyDrop::new(Q::give_back(busy).0);
                nb::netdev_tx_NETDEV_TX_BUSY
            }
        }
    }
}

impl<'call, Q: Queueing> From<Disposed<'call>> for Xmit<'call, Q> {
    #[inline]
    fn from(disposed: Disposed<'call>) -> Self {
        Xmit::Taken(disposed)
    }
}

/// The packet that a transmit callback is to send.
///
/// Dropping it without a verdict frees it, but then there is no [`Disposed`] to return.
///
/// # Invariants
///
/// `ptr` is a valid, unshared packet owned by this value.
pub struct TxSkb<'call> {
    pub(super) ptr: NonNull<nb::sk_buff>,
    _brand: Brand<'call>,
    _not_send: NotThreadSafe,
}

impl<'call> TxSkb<'call> {
    /// # Safety
    ///
    /// `ptr` must be the unshared packet that a transmit callback was given, which now belongs to
    /// the returned value, and `'call` must not be nameable outside that call.
    #[inline]
    pub(crate) unsafe fn from_raw(ptr: NonNull<nb::sk_buff>) -> Self {
        // INVARIANT: By the requirement of this function.
        Self {
            ptr,
            _brand: PhantomData,
            _not_send: NotThreadSafe,
        }
    }

    #[inline]
    pub(super) fn into_raw(self) -> *mut nb::sk_buff {
        ManuallyDrop::new(self).ptr.as_ptr()
    }

    /// The packet without its owner: whoever gets it has to free it, if it is still there.
    #[inline]
    pub(super) fn take_raw(self) -> (*mut nb::sk_buff, Disposed<'call>) {
        (self.into_raw(), Disposed(PhantomData))
    }

    /// Length in bytes, header and fragments together. C member: `skb->len`.
    #[allow(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::skb_len(self.ptr.as_ptr()) }
    }

    /// The protocol (EtherType, host order). C member: `skb->protocol`.
    #[inline]
    pub fn protocol(&self) -> u16 {
        // SAFETY: Valid by the type invariant.
        u16::from_be(unsafe { nb::skb_protocol(self.ptr.as_ptr()) })
    }

    /// Delivers the software transmit timestamp, if the sender asked for one. To be called when
    /// the packet leaves. C function: `skb_tx_timestamp()`.
    #[inline]
    pub fn tx_timestamp(&mut self, cx: &XmitCx<'_>) {
        // SAFETY: Valid and ours, sent by this device.
        unsafe { nb::skb_tx_timestamp(self.ptr.as_ptr(), cx.dev().as_raw()) };
    }

    /// Frees the packet as delivered: it was consumed where it was meant to go. C function:
    /// `dev_consume_skb_any()`.
    #[inline]
    pub fn consume(self) -> Disposed<'call> {
        // SAFETY: We own the packet and give it away.
        unsafe { nb::dev_consume_skb_any(self.into_raw()) };
        Disposed(PhantomData)
    }

    /// Frees the packet as lost, for `reason`, and counts nothing: the driver does. C function:
    /// `dev_kfree_skb_any_reason()`.
    #[inline]
    pub fn drop_with(self, reason: DropReason) -> Disposed<'call> {
        // SAFETY: We own the packet and give it away.
        unsafe { nb::dev_kfree_skb_any_reason(self.into_raw(), reason.as_raw()) };
        Disposed(PhantomData)
    }

    /// Gives the packet back to the core, for `Xmit::Busy` of a device with a queue discipline.
    #[inline]
    pub fn busy(self) -> Busy<'call> {
        Busy(self)
    }

    /// Keeps the packet beyond the call, for a ring or a list. There is no way back to a
    /// [`TxSkb`], so it cannot be returned as `Busy` later.
    pub fn take(self) -> (Skb, Disposed<'call>) {
        let ptr = self.ptr;
        // SAFETY: Valid and ours. A route without a reference is good only until the RCU read
        // side of the call ends; this takes one.
        unsafe { nb::skb_dst_force(self.into_raw()) };
        // INVARIANT: Moved out of `self`; the route holds a reference now.
        (Skb { ptr }, Disposed(PhantomData))
    }
}

impl Drop for TxSkb<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: We own the packet and give it away.
        unsafe {
            nb::dev_kfree_skb_any_reason(self.ptr.as_ptr(), DropReason::NOT_SPECIFIED.as_raw())
        };
    }
}
