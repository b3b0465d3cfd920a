// SPDX-License-Identifier: GPL-2.0

//! Packets that are sent back up the stack of their own host.

use core::marker::PhantomData;

use net_bindings as nb;

use super::{
    xmit::{
        Disposed,
        TxSkb,
        XmitCx, //
    },
    DropReason, //
};
use crate::softq::QueueCx;

const ETH_HLEN: u32 = nb::ETH_HLEN;

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
    /// The address of the socket that sent it.
    sock: usize,
    /// What its IP header says.
    ip: IpProtocol,
}

/// A packet that could not be looped back and is gone. What [`TxSkb::loop_back`] fails with.
pub struct TooShort<'call> {
    /// The packet is given away.
    pub disposed: Disposed<'call>,
    /// Its length in bytes.
    pub len: u32,
}

impl<'call> TxSkb<'call> {
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
    #[inline(always)]
    pub fn loop_back(self, cx: &XmitCx<'_>) -> Result<Looped<'call>, TooShort<'call>> {
        self.turn(cx, |_| true)
    }

    /// The same for a queue of the device ([`Looped::enqueue`]): the packet stays in its sender's
    /// socket buffer until it is delivered, unless it is one of TCP, which has its window.
    ///
    /// # Errors
    ///
    /// As [`loop_back`](Self::loop_back).
    #[inline(always)]
    pub fn loop_back_owned(self, cx: &QueueCx<'_>) -> Result<Looped<'call>, TooShort<'call>> {
        self.turn(cx, |ip| ip == IpProtocol::v4(6) || ip == IpProtocol::v6(6))
    }

    #[inline(always)]
    fn turn(
        self,
        cx: &XmitCx<'_>,
        orphan: impl Fn(IpProtocol) -> bool,
    ) -> Result<Looped<'call>, TooShort<'call>> {
        let skb = self.ptr.as_ptr();
        let dev = cx.dev().as_raw();

        // SAFETY: Valid and ours.
        let linear = unsafe { nb::skb_headlen(skb) };
        if linear < ETH_HLEN {
            cx.dev().count_tx_dropped();
            return Err(TooShort {
                len: self.len(),
                disposed: self.drop_with(DropReason::PKT_TOO_SMALL),
            });
        }

        // Before the header is gone: how long the packet is does not have to be looked up again.
        // SAFETY: Valid and ours, with a linear part of this length, an Ethernet header at least.
        let ip = unsafe { ip_protocol(nb::skb_data(skb), linear) };

        // SAFETY: The packet is valid, ours and unshared, with a whole Ethernet header, so that
        // `eth_type_trans()` may pull it. `dev` is the device of this call, which stays registered
        // until the RCU read side of the call ends; the backlog is flushed before it goes away.
        let sock = unsafe {
            let sock = nb::skb_sk(skb) as usize;
            nb::skb_clear_tstamp(skb);
            if orphan(ip) {
                nb::skb_orphan(skb);
            }
            nb::skb_dst_force(skb);
            let protocol = nb::eth_type_trans(skb, dev);
            nb::skb_set_protocol(skb, protocol);
            sock
        };
        Ok(Looped {
            skb: self,
            sock,
            ip,
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
        self.ip
    }

    /// Puts the packet into a receive queue of the device. Whether there was room; if not, it was
    /// dropped and counted.
    #[inline(always)]
    pub fn enqueue(self, cx: &QueueCx<'_>) -> (Disposed<'call>, bool) {
        // SAFETY: The packet is valid, ours and turned round on the device of this call.
        let taken = unsafe { cx.enqueue(self.skb.ptr, self.sock) };
        core::mem::forget(self.skb);
        (Disposed(PhantomData), taken)
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

/// What the IP header behind the Ethernet header at `frame` says.
///
/// # Safety
///
/// `frame` must be the start of `len` bytes that can be read, at least [`ETH_HLEN`].
#[inline(always)]
unsafe fn ip_protocol(frame: *const u8, len: u32) -> IpProtocol {
    const IPV4: u16 = (nb::ETH_P_IP as u16).to_be();
    const IPV6: u16 = (nb::ETH_P_IPV6 as u16).to_be();
    // Where the EtherType is, lengths of the headers, and where the field is in them: IEEE 802.3,
    // RFC 791, RFC 8200.
    // SAFETY: By the requirement; each byte is read from a part that is long enough.
    unsafe {
        let protocol = frame.add(12).cast::<u16>().read_unaligned();
        if protocol == IPV4 && len >= ETH_HLEN + 20 {
            IpProtocol::v4(*frame.add(14 + 9))
        } else if protocol == IPV6 && len >= ETH_HLEN + 40 {
            IpProtocol::v6(*frame.add(14 + 6))
        } else {
            IpProtocol::NONE
        }
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_ip_protocol)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_place_of_its_own() {
        let mut seen = [false; IpProtocol::COUNT];
        for number in 0..=u8::MAX {
            for protocol in [IpProtocol::v4(number), IpProtocol::v6(number)] {
                assert!(!protocol.look_up(&seen));
                seen[protocol.index()] = true;
            }
        }
        assert!(!IpProtocol::NONE.look_up(&seen));
        seen[IpProtocol::NONE.index()] = true;
        assert!(seen.iter().all(|&seen| seen));
    }
}
