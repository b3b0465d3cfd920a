// SPDX-License-Identifier: GPL-2.0

//! Rings of descriptors, and who owns what is in them.
//!
//! A ring keeps the list of everything that the device can reach through it: mapped packets
//! (`TxRing`) and receive buffers (`RxRing`). The driver only says what a descriptor looks like.
//! So a ring can always be ended: the layer stops the device (bus mastering is switched off), then
//! drops the ring, which unmaps and frees what is left.
//!
//! What the device writes is used for two things only: whether it is done with a descriptor, and
//! how long a received piece is, which is checked against the buffer. Which packet a descriptor
//! belongs to is the ring's own knowledge.

mod rx;
mod rx_packet;
mod rx_view;
mod tx;
mod tx_clean;
mod tx_copy;
mod tx_frame;
mod tx_late;
mod tx_port;

pub(crate) use rx::RxRing;
pub use rx::{
    RxPort,
    RX_BUFFER, //
};
pub use rx_packet::{
    RxDescriptor,
    RxPacket, //
};
pub(crate) use rx_view::{
    SendBack,
    Viewer, //
};
pub(crate) use tx::TxRing;
pub(crate) use tx_clean::Seen;
pub(crate) use tx_frame::{
    FrameLimits,
    FrameTx,
    Outcome, //
};
pub use tx_port::{
    Reserved,
    Segment,
    TxPort, //
};

/// Where a ring lies, for the registers of the device.
#[derive(Clone, Copy)]
pub struct RingAddress {
    /// The bus address of the first descriptor.
    pub dma: u64,
    /// The length of the ring in bytes.
    pub bytes: u32,
    /// The number of descriptors.
    pub len: u32,
}

/// The index after `at` in a ring of `len`.
#[inline]
pub(crate) fn after(at: u32, len: u32) -> u32 {
    let next = at.wrapping_add(1);
    if next >= len {
        0
    } else {
        next
    }
}

/// From `from` to `to` in a ring of `len`.
#[inline]
pub(crate) fn distance(from: u32, to: u32, len: u32) -> u32 {
    if to >= from {
        to.wrapping_sub(from)
    } else {
        to.wrapping_add(len).wrapping_sub(from)
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_ring)]
mod tests {
    use super::*;

    #[test]
    fn indices_go_round() {
        assert_eq!(after(0, 8), 1);
        assert_eq!(after(7, 8), 0);
        assert_eq!(distance(3, 3, 8), 0);
        assert_eq!(distance(6, 1, 8), 3);
        assert_eq!(distance(1, 6, 8), 5);
    }
}
