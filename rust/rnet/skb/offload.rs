// SPDX-License-Identifier: GPL-2.0

//! What a packet wants the device to do.

use net_bindings as nb;

use super::{
    DropReason,
    TxSkb, //
};
use crate::skb::Disposed;

/// The protocol whose checksum the device is to write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP, with its CRC32c.
    Sctp,
}

/// A checksum that the device is to write, or segments that it is to make. Made by
/// [`TxSkb::offload`].
#[derive(Clone, Copy)]
pub struct Offload {
    /// The protocol.
    pub transport: Transport,
    /// Whether the network header is one of IPv4; else of IPv6.
    pub ipv4: bool,
    /// Where the network header begins, in bytes.
    pub network_offset: u32,
    /// Where the transport header begins, in bytes. In a tunnel the inner one, and everything
    /// before it counts as network header.
    pub transport_offset: u32,
    /// For segmentation: how.
    pub segment: Option<Segmentation>,
}

/// How a packet is to be cut: a stream of TCP, or datagrams of UDP.
#[derive(Clone, Copy)]
pub struct Segmentation {
    /// The payload of each segment but the last, in bytes.
    pub size: u32,
    /// The length of the transport header, in bytes.
    pub transport_header: u32,
    /// How many segments come out.
    pub count: u32,
}

/// Where the headers of a packet are, and its VLAN tag: two that have the same want the same of the
/// device. Made by [`TxSkb::likeness`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Likeness {
    offsets: u64,
    kind: u64,
}

/// What [`TxSkb::offload`] found.
pub enum Wanted<'call> {
    /// Nothing: the packet is complete. Or it is now, since the stack has written a checksum that
    /// the device cannot.
    Nothing(TxSkb<'call>),
    /// This; the headers are prepared for it.
    Offload(TxSkb<'call>, Offload),
    /// The packet could not be prepared and is gone.
    Dropped(Disposed<'call>),
}

/// Where the checksum lies in the header of each protocol, in bytes.
const TCP_CHECK: u32 = 16;
const UDP_CHECK: u32 = 6;
const SCTP_CHECK: u32 = 8;

/// What is cut, in `gso_type`.
const TCP_KINDS: u32 = (nb::SKB_GSO_TCPV4 | nb::SKB_GSO_TCPV6) as u32;
const UDP_KIND: u32 = nb::SKB_GSO_UDP_L4 as u32;

/// The length of the header of UDP, in bytes.
const UDP_HEADER: u32 = 8;

const ETH_P_IP: u16 = nb::ETH_P_IP as u16;
const ETH_P_IPV6: u16 = nb::ETH_P_IPV6 as u16;

impl<'call> TxSkb<'call> {
    /// Where the packet lies.
    #[inline]
    pub(crate) fn as_raw(&self) -> *mut nb::sk_buff {
        self.ptr.as_ptr()
    }

    /// The packet, for a ring that keeps it until the device has sent it.
    #[inline]
    pub(crate) fn into_ring(self) -> (*mut nb::sk_buff, Disposed<'call>) {
        let (skb, disposed) = self.take_raw();
        (skb, disposed)
    }

    /// How many descriptors the packet needs when one points to at most `max` bytes; 0 for a `max`
    /// of 0.
    #[inline]
    pub fn pieces(&self, max: u32) -> u32 {
        if max == 0 {
            return 0;
        }
        // SAFETY: Valid by the type invariant.
        let head = unsafe { nb::skb_headlen(self.as_raw()) };
        if head == self.len() && head <= max {
            return u32::from(head != 0);
        }
        // SAFETY: Valid by the type invariant.
        let frags = unsafe { nb::skb_nr_frags(self.as_raw()) };
        let mut pieces = head.div_ceil(max);
        for frag in 0..frags {
            // SAFETY: Valid by the type invariant; a fragment that is there.
            let len = unsafe { nb::skb_frag_size(self.as_raw(), frag) };
            pieces = pieces.wrapping_add(len.div_ceil(max));
        }
        pieces
    }

    /// The VLAN tag that the device is to put into the frame, if any. C functions:
    /// `skb_vlan_tag_present()`, `skb_vlan_tag_get()`.
    #[inline]
    pub fn vlan_tag(&self) -> Option<u16> {
        // SAFETY: Valid by the type invariant.
        unsafe {
            if nb::skb_vlan_tag_present(self.as_raw()) {
                Some(nb::skb_vlan_tag(self.as_raw()))
            } else {
                None
            }
        }
    }

    /// The transmit queue that the stack has chosen. C function: `skb_get_queue_mapping()`.
    #[inline]
    pub(crate) fn queue(&self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::skb_queue_mapping(self.as_raw()) }
    }

    /// Makes a frame at least `len` bytes long, with zeros. `Err` when there was no memory for it:
    /// the packet is gone. C function: `skb_put_padto()`.
    #[inline]
    pub fn pad_to(self, len: u32) -> Result<Self, Disposed<'call>> {
        if self.len() >= len {
            return Ok(self);
        }
        // SAFETY: Valid and ours. On failure it has been freed.
        if unsafe { nb::skb_put_padto(self.as_raw(), len) } != 0 {
            let (_, disposed) = self.take_raw();
            return Err(disposed);
        }
        Ok(self)
    }

    /// Whether the device is to write a checksum or make segments.
    #[inline]
    pub fn wants_offload(&self) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::skb_csum_partial(self.as_raw()) }
    }

    /// Whether the device is to stamp the packet.
    #[inline]
    pub fn wants_stamp(&self) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::skb_wants_hw_tstamp(self.as_raw()) }
    }

    /// By which a packet can be compared with others: what [`offload`](Self::offload) says is the
    /// same for those that are alike, and prepares nothing in them. `None` for what wants nothing,
    /// for segments, and for what is rare.
    #[inline]
    pub fn likeness(&self) -> Option<Likeness> {
        if !self.wants_offload() {
            return None;
        }
        let raw = self.as_raw();
        // SAFETY: Valid by the type invariant, with a checksum to be written.
        let (network, start, check, cut) = unsafe {
            (
                nb::skb_network_offset(raw),
                nb::skb_csum_start_offset(raw),
                nb::skb_csum_offset(raw),
                nb::skb_gso_size(raw) != 0,
            )
        };
        let protocol = self.protocol();
        // In a tag would be the protocol; SCTP has a sum of its own.
        if cut || !matches!(protocol, ETH_P_IP | ETH_P_IPV6) || check == SCTP_CHECK {
            return None;
        }
        // SAFETY: Valid by the type invariant.
        let tag = unsafe { nb::skb_vlan_word(raw) };
        Some(Likeness {
            offsets: u64::from(network as u32) << 32 | u64::from(start as u32),
            kind: u64::from(tag) << 32 | u64::from(check & 0xffff) << 16 | u64::from(protocol),
        })
    }

    /// What is to be done to the packet, with its headers made ready for it: lengths that each
    /// segment gets its own of are 0, and the pseudo header's sum has no length. `max_network` and
    /// `max_transport` are the largest offsets that the device can be told, in bytes.
    ///
    /// A checksum at a place that is none of [`Transport`]'s, or too far away, is written here.
    #[inline]
    pub fn offload(self, max_network: u32, max_transport: u32) -> Wanted<'call> {
        // SAFETY: Valid by the type invariant.
        if unsafe { !nb::skb_csum_partial(self.as_raw()) } {
            return Wanted::Nothing(self);
        }
        self.find_offload(max_network, max_transport)
    }

    #[inline]
    fn find_offload(self, max_network: u32, max_transport: u32) -> Wanted<'call> {
        let raw = self.as_raw();
        // SAFETY: Valid by the type invariant, with a checksum to be written.
        let (network, start, check, gso_size, protocol) = unsafe {
            (
                nb::skb_network_offset(raw),
                nb::skb_csum_start_offset(raw),
                nb::skb_csum_offset(raw),
                nb::skb_gso_size(raw),
                u16::from_be(nb::skb_inner_protocol(raw)),
            )
        };
        let transport = match check {
            TCP_CHECK => Some(Transport::Tcp),
            UDP_CHECK => Some(Transport::Udp),
            // SAFETY: Valid by the type invariant.
            SCTP_CHECK if unsafe { nb::skb_csum_is_sctp(raw) } => Some(Transport::Sctp),
            _ => None,
        };
        let (network, start) = (u32::try_from(network).ok(), u32::try_from(start).ok());
        let (Some(transport), Some(network), Some(start)) = (transport, network, start) else {
            return self.checksum_in_software(gso_size);
        };
        let header = start.wrapping_sub(network);
        if network > max_network
            || start < network
            || header > max_transport
            || !matches!(protocol, ETH_P_IP | ETH_P_IPV6)
        {
            return self.checksum_in_software(gso_size);
        }
        let mut offload = Offload {
            transport,
            ipv4: protocol == ETH_P_IP,
            network_offset: network,
            transport_offset: start,
            segment: None,
        };
        if gso_size != 0 {
            // SAFETY: Valid by the type invariant.
            let kind = unsafe { nb::skb_gso_type(raw) };
            let udp = match transport {
                Transport::Tcp if kind & TCP_KINDS != 0 => false,
                Transport::Udp if kind & UDP_KIND != 0 => true,
                _ => return Wanted::Dropped(self.drop_with(DropReason::NOT_SPECIFIED)),
            };
            // SAFETY: Valid and ours. The transport header lies in the linear part, as the stack
            // has it for packets that it hands over for segmentation; writing to it is allowed
            // after `skb_cow_head()`.
            let (header, segs) = unsafe {
                if nb::skb_cow_head(raw) != 0 {
                    return Wanted::Dropped(self.drop_with(DropReason::NOMEM));
                }
                nb::skb_gso_prepare(raw, offload.ipv4, udp);
                let header = if udp {
                    UDP_HEADER
                } else {
                    nb::skb_tcp_doff(raw)
                };
                (header, nb::skb_gso_segs(raw))
            };
            offload.segment = Some(Segmentation {
                size: gso_size,
                transport_header: header,
                count: segs.max(1),
            });
        }
        Wanted::Offload(self, offload)
    }

    #[cold]
    fn checksum_in_software(self, gso_size: u32) -> Wanted<'call> {
        // SAFETY: Valid and ours; whole packets only.
        if gso_size != 0 || unsafe { nb::skb_checksum_help(self.as_raw()) } != 0 {
            return Wanted::Dropped(self.drop_with(DropReason::SKB_CSUM));
        }
        Wanted::Nothing(self)
    }
}
