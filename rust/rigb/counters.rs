// SPDX-License-Identifier: GPL-2.0

//! What the chip counts.
//!
//! Its counters are 32 bits wide, some 64, and cleared by reading. The service reads them while
//! there is traffic, and now and then without; whoever asks is told what was read last. So asking
//! costs no access to the chip, and an idle port none every second.

use kernel::{
    str::CStr,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use rnet::{
    mmio::{
        Gone,
        Mmio, //
    },
    nic::{
        CtrlStats,
        MacStats,
        PauseStats,
        RmonStats, //
    },
    prelude::*,
    stats::LinkStats, //
};

use crate::regs::Counted;

macro_rules! counted {
    ($($(#[$wide:ident])? $id:ident $at:literal $name:literal,)*) => {
        /// The counters, in the order of their registers.
        #[derive(Clone, Copy)]
        #[allow(dead_code)]
        enum Id { $($id),* }

        /// What `ethtool -S` calls them.
        pub(crate) const NAMES: &[&CStr] = &[$($name),*];

        /// Their places, from the first counter of all, in bytes; whether a second half follows.
        const PLACES: &[(usize, bool)] = &[$(($at, counted!(@wide $($wide)?))),*];
    };
    (@wide wide) => { true };
    (@wide) => { false };
}

counted! {
    CrcErrors 0x00 c"rx_crc_errors",
    AlignmentErrors 0x04 c"rx_align_errors",
    SymbolErrors 0x08 c"rx_symbol_errors",
    ReceiveErrors 0x0c c"rx_phy_errors",
    Missed 0x10 c"rx_missed_errors",
    SingleCollision 0x14 c"tx_single_coll_ok",
    ExcessiveCollisions 0x18 c"tx_aborted_errors",
    MultipleCollisions 0x1c c"tx_multi_coll_ok",
    LateCollisions 0x20 c"tx_window_errors",
    Collisions 0x28 c"collisions",
    Deferred 0x30 c"tx_deferred_ok",
    NoCarrier 0x34 c"tx_carrier_errors",
    LengthErrors 0x40 c"rx_length_field_errors",
    XonReceived 0x48 c"rx_flow_control_xon",
    XonSent 0x4c c"tx_flow_control_xon",
    XoffReceived 0x50 c"rx_flow_control_xoff",
    XoffSent 0x54 c"tx_flow_control_xoff",
    ControlUnknown 0x58 c"rx_flow_control_unsupported",
    Received64 0x5c c"rx_64_byte_packets",
    Received127 0x60 c"rx_65_to_127_byte_packets",
    Received255 0x64 c"rx_128_to_255_byte_packets",
    Received511 0x68 c"rx_256_to_511_byte_packets",
    Received1023 0x6c c"rx_512_to_1023_byte_packets",
    ReceivedMore 0x70 c"rx_1024_to_max_byte_packets",
    Received 0x74 c"rx_packets_phy",
    ReceivedBroadcast 0x78 c"rx_broadcast",
    ReceivedMulticast 0x7c c"rx_multicast",
    Sent 0x80 c"tx_packets_phy",
    #[wide] ReceivedBytes 0x88 c"rx_bytes_phy",
    #[wide] SentBytes 0x90 c"tx_bytes_phy",
    NoBuffer 0xa0 c"rx_no_buffer_count",
    Undersize 0xa4 c"rx_short_packets",
    Fragments 0xa8 c"rx_fragments",
    Oversize 0xac c"rx_long_packets",
    Jabbers 0xb0 c"rx_jabbers",
    TotalReceived 0xd0 c"rx_packets_total",
    TotalSent 0xd4 c"tx_packets_total",
    Sent64 0xd8 c"tx_64_byte_packets",
    Sent127 0xdc c"tx_65_to_127_byte_packets",
    Sent255 0xe0 c"tx_128_to_255_byte_packets",
    Sent511 0xe4 c"tx_256_to_511_byte_packets",
    Sent1023 0xe8 c"tx_512_to_1023_byte_packets",
    SentMore 0xec c"tx_1024_to_max_byte_packets",
    SentMulticast 0xf0 c"tx_multicast",
    SentBroadcast 0xf4 c"tx_broadcast",
    Segmented 0xf8 c"tx_tcp_segmented",
}

/// Without traffic, the counters are read only each so many times that the service runs.
const RARELY: u32 = 60;

/// All that the chip has counted since the driver was bound.
pub(crate) struct Counters {
    totals: [Atomic<u64>; PLACES.len()],
    /// What the queues had counted when the service last looked.
    seen: Atomic<u64>,
    idle: Atomic<u32>,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            totals: core::array::from_fn(|_| Atomic::new(0)),
            seen: Atomic::new(0),
            idle: Atomic::new(0),
        }
    }

    /// Reads all counters, if `traffic`, which only grows, has grown, or if it is time. One caller
    /// at a time.
    pub(crate) fn service(&self, io: &Mmio, traffic: u64) -> Result<(), Gone> {
        let idle = self.idle.load(Relaxed).wrapping_add(1);
        if self.seen.load(Relaxed) == traffic && idle < RARELY {
            self.idle.store(idle, Relaxed);
            return Ok(());
        }
        self.seen.store(traffic, Relaxed);
        self.idle.store(0, Relaxed);
        self.collect(io)
    }

    /// Reads all counters, as before a reset. Only where the service does not run.
    pub(crate) fn collect(&self, io: &Mmio) -> Result<(), Gone> {
        for (total, &(at, wide)) in self.totals.iter().zip(PLACES) {
            let low = io.read_index::<Counted>(at >> 2)?.get();
            let high = if wide {
                io.read_index::<Counted>((at >> 2).wrapping_add(1))?.get()
            } else {
                0
            };
            let more = (u64::from(high) << 32) | u64::from(low);
            total.store(total.load(Relaxed).wrapping_add(more), Relaxed);
        }
        Ok(())
    }

    /// By its place in [`NAMES`].
    pub(crate) fn get(&self, index: usize) -> u64 {
        self.totals
            .get(index)
            .map_or(0, |total| total.load(Relaxed))
    }

    fn of(&self, id: Id) -> u64 {
        self.get(id as usize)
    }

    fn sum(&self, ids: &[Id]) -> u64 {
        ids.iter()
            .fold(0, |sum, &id| u64::wrapping_add(sum, self.of(id)))
    }

    /// The counters of the interface that only the chip knows.
    pub(crate) fn link(&self, stats: &mut LinkStats) {
        stats
            .multicast(self.of(Id::ReceivedMulticast))
            .rx_missed_errors(self.of(Id::Missed))
            .rx_crc_errors(self.of(Id::CrcErrors));
    }

    pub(crate) fn mac(&self, stats: &mut MacStats<'_>) {
        stats
            .sent(self.of(Id::Sent))
            .single_collision(self.of(Id::SingleCollision))
            .multiple_collisions(self.of(Id::MultipleCollisions))
            .received(self.of(Id::Received))
            .fcs_errors(self.of(Id::CrcErrors))
            .alignment_errors(self.of(Id::AlignmentErrors))
            .sent_bytes(self.of(Id::SentBytes))
            .deferred(self.of(Id::Deferred))
            .late_collisions(self.of(Id::LateCollisions))
            .aborted(self.of(Id::ExcessiveCollisions))
            .carrier_errors(self.of(Id::NoCarrier))
            .received_bytes(self.of(Id::ReceivedBytes))
            .sent_multicast(self.of(Id::SentMulticast))
            .sent_broadcast(self.of(Id::SentBroadcast))
            .received_multicast(self.of(Id::ReceivedMulticast))
            .received_broadcast(self.of(Id::ReceivedBroadcast))
            .length_errors(self.of(Id::LengthErrors))
            .too_long(self.of(Id::Oversize));
    }

    pub(crate) fn ctrl(&self, stats: &mut CtrlStats<'_>) {
        let received = [Id::XonReceived, Id::XoffReceived, Id::ControlUnknown];
        stats
            .sent(self.sum(&[Id::XonSent, Id::XoffSent]))
            .received(self.sum(&received))
            .unknown(self.of(Id::ControlUnknown));
    }

    pub(crate) fn rmon(&self, stats: &mut RmonStats<'_>) {
        stats
            .undersize(self.of(Id::Undersize))
            .oversize(self.of(Id::Oversize))
            .fragments(self.of(Id::Fragments))
            .jabbers(self.of(Id::Jabbers))
            .received([
                self.of(Id::Received64),
                self.of(Id::Received127),
                self.of(Id::Received255),
                self.of(Id::Received511),
                self.of(Id::Received1023),
                self.of(Id::ReceivedMore),
            ])
            .sent([
                self.of(Id::Sent64),
                self.of(Id::Sent127),
                self.of(Id::Sent255),
                self.of(Id::Sent511),
                self.of(Id::Sent1023),
                self.of(Id::SentMore),
            ]);
    }

    pub(crate) fn pause(&self, stats: &mut PauseStats<'_>) {
        stats
            .sent(self.sum(&[Id::XonSent, Id::XoffSent]))
            .received(self.sum(&[Id::XonReceived, Id::XoffReceived]));
    }
}
