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

const ETH_HLEN: u32 = nb::ETH_HLEN;

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
pub struct Disposed<'call>(Brand<'call>);

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

/// The protocol in an IP header: an `IPPROTO_*` number, and which IP it is.
///
/// For IPv4 the field *Protocol*; for IPv6 the field *Next Header* of the IPv6 header itself:
/// extension headers are not looked past.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IpProtocol(u16);

impl IpProtocol {
    /// How many values there are: the length of a table with an entry for each.
    pub const COUNT: usize = 513;

    /// Neither IPv4 nor IPv6, or a header that is cut short.
    pub const NONE: Self = Self(512);

    /// A protocol of IPv4.
    #[inline(always)]
    pub const fn v4(number: u8) -> Self {
        Self(number as u16)
    }

    /// A protocol of IPv6.
    #[inline(always)]
    pub const fn v6(number: u8) -> Self {
        Self(256 | number as u16)
    }

    /// The place in a table of [`COUNT`](Self::COUNT) entries.
    #[inline(always)]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// What is in a table of all protocols for this one.
    #[inline(always)]
    pub fn look_up<T: Copy>(self, table: &[T; Self::COUNT]) -> T {
        // SAFETY: There is no way to make a value above 512.
        unsafe { *table.get_unchecked(self.index()) }
    }
}

/// A packet on its way back up the stack of this host. Made by [`TxSkb::loop_back`].
///
/// Dropping it frees it as lost.
pub struct Looped<'call> {
    skb: TxSkb<'call>,
    /// The EtherType, in network order.
    protocol: u16,
}

/// A packet that could not be looped back and is gone. What [`TxSkb::loop_back`] fails with.
pub struct TooShort<'call> {
    /// The packet is given away.
    pub disposed: Disposed<'call>,
    /// Its length in bytes.
    pub len: u32,
}

/// The packet that a transmit callback is to send.
///
/// Dropping it without a verdict frees it, but then there is no [`Disposed`] to return.
///
/// # Invariants
///
/// `ptr` is a valid, unshared packet owned by this value.
pub struct TxSkb<'call> {
    ptr: NonNull<nb::sk_buff>,
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
    fn into_raw(self) -> *mut nb::sk_buff {
        ManuallyDrop::new(self).ptr.as_ptr()
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

    /// Turns the packet round, as if the device had just received it. What an Ethernet-framed
    /// loopback does with every packet, before it hands it to the backlog with
    /// [`Looped::netif_rx`].
    ///
    /// The packet leaves its sender's socket buffer (`skb_orphan()`), keeps its route with a
    /// reference (`skb_dst_force()`) and gets its protocol from its Ethernet header, which it loses
    /// (`eth_type_trans()`).
    ///
    /// # Errors
    ///
    /// A packet too short for an Ethernet header in its linear part is dropped with
    /// [`DropReason::PKT_TOO_SMALL`] and counted in the device's `tx_dropped`.
    #[inline]
    pub fn loop_back(self, cx: &XmitCx<'_>) -> Result<Looped<'call>, TooShort<'call>> {
        let skb = self.ptr.as_ptr();
        let dev = cx.dev().as_raw();

        // SAFETY: Valid and ours.
        if unsafe { nb::skb_headlen(skb) } < ETH_HLEN {
            cx.dev().count_tx_dropped();
            return Err(TooShort {
                len: self.len(),
                disposed: self.drop_with(DropReason::PKT_TOO_SMALL),
            });
        }

        // SAFETY: The packet is valid, ours and unshared, with a whole Ethernet header, so that
        // `eth_type_trans()` may pull it. `dev` is the device of this call, which stays registered
        // until the RCU read side of the call ends; the backlog is flushed before it goes away.
        let protocol = unsafe {
            nb::skb_clear_tstamp(skb);
            nb::skb_orphan(skb);
            nb::skb_dst_force(skb);
            let protocol = nb::eth_type_trans(skb, dev);
            nb::skb_set_protocol(skb, protocol);
            protocol
        };
        Ok(Looped {
            skb: self,
            protocol,
        })
    }
}

impl<'call> Looped<'call> {
    /// Length in bytes without the Ethernet header, as the receiver sees it.
    #[allow(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&self) -> u32 {
        self.skb.len()
    }

    /// What the IP header says; [`IpProtocol::NONE`] for another EtherType or a header that is cut
    /// short.
    #[inline(always)]
    pub fn ip_protocol(&self) -> IpProtocol {
        // SAFETY: Valid and ours; the data begins behind the Ethernet header.
        unsafe { ip_protocol(self.skb.ptr.as_ptr(), self.protocol) }
    }

    /// Hands the packet to the backlog of a CPU. Whether the backlog took it; if not, the core has
    /// dropped and counted it. C function: `__netif_rx()`.
    #[inline]
    pub fn netif_rx(self, _cx: &XmitCx<'_>) -> (Disposed<'call>, bool) {
        // SAFETY: The packet is valid, ours and turned round; softirqs are off, as `__netif_rx()`
        // wants (`XmitCx`). It consumes the packet.
        let verdict = unsafe { nb::__netif_rx(self.skb.into_raw()) };
        (Disposed(PhantomData), verdict == nb::NET_RX_SUCCESS as i32)
    }
}

/// What the IP header at the start of the packet's data says.
///
/// # Safety
///
/// `skb` must be valid and the caller's; `protocol` is its EtherType in network order.
#[inline(always)]
unsafe fn ip_protocol(skb: *const nb::sk_buff, protocol: u16) -> IpProtocol {
    const IPV4: u16 = (nb::ETH_P_IP as u16).to_be();
    const IPV6: u16 = (nb::ETH_P_IPV6 as u16).to_be();
    // Lengths of the headers, and where the field is in them: RFC 791, RFC 8200.
    // SAFETY: By the requirement; each byte is read from a linear part that is long enough.
    unsafe {
        let len = nb::skb_headlen(skb);
        if protocol == IPV4 && len >= 20 {
            IpProtocol::v4(*nb::skb_data(skb).add(9))
        } else if protocol == IPV6 && len >= 40 {
            IpProtocol::v6(*nb::skb_data(skb).add(6))
        } else {
            IpProtocol::NONE
        }
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
