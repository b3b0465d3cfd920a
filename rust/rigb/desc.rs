// SPDX-License-Identifier: GPL-2.0

//! Descriptors, "advanced" in the words of the datasheet.

use rnet::{
    dma::Descriptor,
    ring::{
        RxDescriptor,
        Segment, //
    },
    skb::{
        Offload,
        Transport, //
    },
};

/// The longest piece that one data descriptor is given, in bytes.
pub(crate) const MAX_PIECE: u32 = 1 << 15;

/// How far the network header may be from the start, and the transport header from that.
pub(crate) const MAX_NETWORK: u32 = 127;
pub(crate) const MAX_TRANSPORT: u32 = 511;

/// A transmit descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tx {
    low: u64,
    high: u64,
}

impl Tx {
    const DTYP_CONTEXT: u32 = 2 << 20;
    const DTYP_DATA: u32 = 3 << 20;
    /// The packet is stamped.
    const STAMP: u32 = 1 << 19;
    const EOP: u32 = 1 << 24;
    const IFCS: u32 = 1 << 25;
    const RS: u32 = 1 << 27;
    const DEXT: u32 = 1 << 29;
    const VLE: u32 = 1 << 30;
    const TSE: u32 = 1 << 31;
    const IPV4: u32 = 1 << 10;
    const L4T_TCP: u32 = 1 << 11;
    const L4T_SCTP: u32 = 2 << 11;
    /// In the upper half: write the IPv4 header's checksum, the transport's.
    const IXSM: u32 = 1 << 8;
    const TXSM: u32 = 1 << 9;

    fn words(low: u64, first: u32, second: u32) -> Self {
        Self {
            low,
            high: u64::from(first) | (u64::from(second) << 32),
        }
    }
}

impl Descriptor for Tx {
    type Raw = [u64; 2];

    const STATUS: usize = 1;

    #[inline]
    fn is_done(status: u64) -> bool {
        // DD is the first bit of the last 32-bit word.
        status & (1 << 32) != 0
    }

    #[inline]
    fn from_raw([low, high]: [u64; 2]) -> Self {
        Self { low, high }
    }

    #[inline]
    fn into_raw(self) -> [u64; 2] {
        [self.low, self.high]
    }
}

/// What a packet needs beside its data.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    command: u32,
    options: u32,
    /// Which of the queue's two contexts, and what has to be in it.
    pub(crate) context: Option<(usize, Tx)>,
    /// The headers that each segment gets, in bytes; 0 without segmentation.
    pub(crate) header: u32,
    pub(crate) segments: u32,
}

impl Plan {
    /// For a packet that needs nothing.
    pub(crate) const PLAIN: Self = Self {
        command: Tx::DTYP_DATA | Tx::DEXT | Tx::IFCS,
        options: 0,
        context: None,
        header: 0,
        segments: 1,
    };

    /// For a packet with this VLAN tag and this work for the device.
    pub(crate) fn new(vlan: Option<u16>, offload: Option<&Offload>) -> Self {
        let mut plan = Self::PLAIN;
        if vlan.is_none() && offload.is_none() {
            return plan;
        }
        let mut lens = u32::from(vlan.unwrap_or(0)) << 16;
        let mut command = Tx::DTYP_CONTEXT | Tx::DEXT;
        let mut mss = 0;
        let mut index = 0usize;
        if vlan.is_some() {
            plan.command |= Tx::VLE;
        }
        match offload {
            // A tag needs the length of the MAC header all the same.
            None => lens |= 14 << 9,
            Some(offload) => {
                let header = offload
                    .transport_offset
                    .wrapping_sub(offload.network_offset);
                lens |= (offload.network_offset & MAX_NETWORK) << 9 | (header & MAX_TRANSPORT);
                command |= match offload.transport {
                    Transport::Tcp => Tx::L4T_TCP,
                    Transport::Udp => 0,
                    Transport::Sctp => Tx::L4T_SCTP,
                };
                if offload.ipv4 {
                    command |= Tx::IPV4;
                }
                plan.options |= Tx::TXSM;
                if let Some(cut) = offload.segment {
                    plan.command |= Tx::TSE;
                    if offload.ipv4 {
                        plan.options |= Tx::IXSM;
                    }
                    mss = ((cut.size & 0xffff) << 16) | ((cut.transport_header & 0xff) << 8);
                    plan.header = offload.transport_offset.wrapping_add(cut.transport_header);
                    plan.segments = cut.count;
                    // One context for segments, the other for all else: each stays longer.
                    index = 1;
                }
            }
        }
        let which = (index as u32) << 4;
        plan.options |= which;
        let context = Tx::words(lens.into(), command, mss | which);
        plan.context = Some((index, context));
        plan
    }

    /// The packet is to be stamped.
    pub(crate) fn stamp(&mut self) {
        self.command |= Tx::STAMP;
    }

    /// Whether the first of the two contexts is for it.
    pub(crate) fn uses_first(&self) -> bool {
        matches!(self.context, Some((0, _)))
    }

    /// What is on the wire of a packet of `len` bytes.
    pub(crate) fn wire_bytes(&self, len: u32) -> u32 {
        len.wrapping_add(self.header.wrapping_mul(self.segments.wrapping_sub(1)))
    }

    /// The same as [`data`](Self::data) for a packet that is not cut.
    #[inline]
    pub(crate) fn whole(&self, len: u32, segment: Segment) -> Tx {
        let plan = Self { header: 0, ..*self };
        plan.data(len, segment)
    }

    /// The descriptor of a piece of a packet of `len` bytes.
    #[inline]
    pub(crate) fn data(&self, len: u32, segment: Segment) -> Tx {
        let mut command = self.command | (segment.len & 0xffff);
        if segment.last {
            command |= Tx::EOP | Tx::RS;
        }
        let payload = len.wrapping_sub(self.header);
        Tx::words(segment.dma, command, self.options | (payload << 14))
    }
}

/// A receive descriptor.
#[derive(Clone, Copy)]
pub(crate) struct Rx {
    low: u64,
    high: u64,
}

impl Rx {
    const DD: u32 = 1 << 0;
    const EOP: u32 = 1 << 1;
    const IGNORE_CHECKSUM: u32 = 1 << 2;
    const VLAN: u32 = 1 << 3;
    const UDP_CHECKED: u32 = 1 << 4;
    const TCP_CHECKED: u32 = 1 << 5;
    const STAMPED: u32 = 1 << 16;
    const TRANSPORT_ERROR: u32 = 1 << 29;
    const IP_ERROR: u32 = 1 << 30;
    /// CRC, symbol, sequence, carrier extension, data.
    const DAMAGED: u32 = (1 << 24) | (1 << 25) | (1 << 26) | (1 << 28) | (1 << 31);

    #[inline]
    fn status(&self) -> u32 {
        self.high as u32
    }

    /// Whether the frame was stamped.
    #[inline]
    pub(crate) fn is_stamped(&self) -> bool {
        self.status() & Self::STAMPED != 0
    }

    /// The tag that was taken out of the frame.
    #[inline]
    pub(crate) fn vlan(&self) -> Option<u16> {
        (self.status() & Self::VLAN != 0).then_some((self.high >> 48) as u16)
    }

    /// The checksums: right, wrong, or not looked at.
    #[inline]
    pub(crate) fn checksum(&self) -> Option<bool> {
        let status = self.status();
        if status & Self::IGNORE_CHECKSUM != 0 {
            return None;
        }
        if status & (Self::TRANSPORT_ERROR | Self::IP_ERROR) != 0 {
            return Some(false);
        }
        (status & (Self::TCP_CHECKED | Self::UDP_CHECKED) != 0).then_some(true)
    }

    /// The hash, and whether ports are in it.
    #[inline]
    pub(crate) fn hash(&self) -> Option<(u32, bool)> {
        match self.low & 0xf {
            1 | 3 | 6..=9 => Some(((self.low >> 32) as u32, true)),
            2 | 4 | 5 => Some(((self.low >> 32) as u32, false)),
            _ => None,
        }
    }
}

impl Descriptor for Rx {
    type Raw = [u64; 2];

    const STATUS: usize = 1;

    #[inline]
    fn is_done(status: u64) -> bool {
        status as u32 & Self::DD != 0
    }

    #[inline]
    fn from_raw([low, high]: [u64; 2]) -> Self {
        Self { low, high }
    }

    #[inline]
    fn into_raw(self) -> [u64; 2] {
        [self.low, self.high]
    }
}

impl RxDescriptor for Rx {
    #[inline]
    fn post(dma: u64) -> Self {
        Self { low: dma, high: 0 }
    }

    #[inline]
    fn len(&self) -> u32 {
        (self.high >> 32) as u32 & 0xffff
    }

    #[inline]
    fn is_last(&self) -> bool {
        self.status() & Self::EOP != 0
    }

    #[inline]
    fn is_bad(&self) -> bool {
        self.status() & Self::DAMAGED != 0
    }
}
