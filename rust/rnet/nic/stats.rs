// SPDX-License-Identifier: GPL-2.0

//! What the layer counts for each queue.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use crate::stats::{
    Count,
    LinkStats, //
};

/// Of a transmit queue.
#[derive(Default)]
pub struct TxStats {
    /// Frames sent, after segmentation.
    pub packets: Count,
    /// Bytes sent, after segmentation.
    pub bytes: Count,
    /// Packets that the device has segmented.
    pub segmented: Count,
    /// Frames that came of them.
    pub segments: Count,
    /// Their bytes, with the headers of each.
    pub segment_bytes: Count,
    /// Packets dropped: they could not be mapped or prepared.
    pub dropped: Count,
    /// How often the queue was stopped because the ring was full.
    pub stopped: Count,
    /// How often it was woken.
    pub woken: Count,
    /// How often the device was told.
    pub doorbells: Count,
}

impl TxStats {
    /// A packet was sent that is several frames on the wire.
    pub(crate) fn count_segments(&self, frames: u32, bytes: u32) {
        self.segmented.add(1);
        self.segments.add(frames.into());
        self.segment_bytes.add(bytes.into());
    }
}

/// Of a receive queue.
#[derive(Default)]
pub struct RxStats {
    /// Frames handed to the stack, or that a program has dropped or sent.
    pub packets: Count,
    /// Their bytes.
    pub bytes: Count,
    /// Frames that the driver dropped.
    pub dropped: Count,
    /// Frames that the device called damaged.
    pub errors: Count,
    /// Frames with a length that cannot be.
    pub length_errors: Count,
    /// Frames whose checksum the device found to be wrong.
    pub checksum_errors: Count,
    /// Frames that a program has dropped, or that went no further for what it did.
    pub xdp_dropped: Count,
    /// Frames that a program has sent back.
    pub xdp_sent: Count,
    /// Frames that a program has sent elsewhere.
    pub xdp_redirected: Count,
    /// How often there was no memory for a buffer or a packet.
    pub no_memory: Count,
    /// How often the device was told.
    pub doorbells: Count,
}

/// The counters of all queues that a device can have. They live as long as the device, so they
/// never go back when rings or channels are changed.
pub struct QueueStats {
    pub(crate) tx: KVec<Arc<TxStats>>,
    pub(crate) rx: KVec<Arc<RxStats>>,
}

impl QueueStats {
    pub(crate) fn new(queues: u32) -> Result<Self> {
        let mut this = Self {
            tx: KVec::new(),
            rx: KVec::new(),
        };
        for _ in 0..queues {
            this.tx
                .push(Arc::new(TxStats::default(), GFP_KERNEL)?, GFP_KERNEL)?;
            this.rx
                .push(Arc::new(RxStats::default(), GFP_KERNEL)?, GFP_KERNEL)?;
        }
        Ok(this)
    }

    /// Of each transmit queue.
    pub fn tx(&self) -> impl Iterator<Item = &TxStats> {
        self.tx.iter().map(|stats| &**stats)
    }

    /// Of each receive queue.
    pub fn rx(&self) -> impl Iterator<Item = &RxStats> {
        self.rx.iter().map(|stats| &**stats)
    }

    /// Folds the queues into the standard counters. Never sleeps, reads no register.
    pub(crate) fn fold(&self, stats: &mut LinkStats) {
        fn sum(values: impl Iterator<Item = u64>) -> u64 {
            values.fold(0, u64::wrapping_add)
        }
        stats
            .tx_packets(sum(self.tx().map(|q| q.packets.get())))
            .tx_bytes(sum(self.tx().map(|q| q.bytes.get())))
            .tx_dropped(sum(self.tx().map(|q| q.dropped.get())))
            .rx_packets(sum(self.rx().map(|q| q.packets.get())))
            .rx_bytes(sum(self.rx().map(|q| q.bytes.get())))
            .rx_dropped(sum(self
                .rx()
                .map(|q| q.dropped.get().wrapping_add(q.no_memory.get()))))
            .rx_length_errors(sum(self.rx().map(|q| q.length_errors.get())))
            .rx_errors(sum(self
                .rx()
                .map(|q| q.errors.get().wrapping_add(q.length_errors.get()))));
    }
}
