// SPDX-License-Identifier: GPL-2.0

//! Frames of programs in a transmit ring, beside the packets of the stack.

use core::ptr::NonNull;

use net_bindings as nb;

use super::{
    tx::{
        Content,
        Mapped,
        TxRing, //
    },
    Reserved,
    Segment, //
};
use crate::{
    dma::Descriptor,
    xdp::Frame, //
};

/// What has become of a frame.
pub(crate) enum Outcome {
    /// It is in the ring.
    Sent,
    /// It cannot be sent: dropped and counted.
    Dropped,
    /// There is no room for it now.
    NoRoom(Frame),
}

/// What the device can send.
#[derive(Clone, Copy)]
pub(crate) struct FrameLimits {
    /// The shortest frame, in bytes; shorter ones get zeros behind.
    pub(crate) shortest: u32,
    /// The longest piece, in bytes.
    pub(crate) piece: u32,
}

/// The filling side of a ring, with the transmit lock of its queue held.
pub(crate) struct FrameTx<'a, D: Descriptor>(&'a TxRing<D>);

impl<'a, D: Descriptor> FrameTx<'a, D> {
    /// # Safety
    ///
    /// The transmit lock of the ring's queue must be held while the returned value exists.
    #[inline]
    pub(crate) unsafe fn new(ring: &'a TxRing<D>) -> Self {
        Self(ring)
    }

    /// Puts a frame into the ring: `encode` makes the descriptor of each piece, knowing how long the
    /// frame is.
    ///
    /// Queues are neither stopped nor woken for frames: who fills a ring with packets looks for
    /// room by itself.
    pub(crate) fn send(
        &self,
        mut frame: Frame,
        limits: FrameLimits,
        mut encode: impl FnMut(u32, Segment) -> D,
    ) -> Outcome {
        let ring = self.0;
        let pieces = frame.pieces();
        if pieces > TxRing::<D>::STOP || !frame.pad_to(limits.shortest) {
            ring.stats.dropped.add(1);
            return Outcome::Dropped;
        }
        let room = ring.free();
        if room < pieces {
            return Outcome::NoRoom(frame);
        }
        let mut place = Reserved::new(ring, pieces, room);
        let total = frame.len();
        for piece in 0..pieces {
            let (data, len) = frame.piece(piece);
            if len == 0 || len > limits.piece {
                place.undo();
                return Outcome::Dropped;
            }
            let dev = ring.dev.as_ptr();
            // SAFETY: The device is bound. The memory is the frame's, which stays until the mapping
            // has been undone.
            let dma = unsafe { nb::dma_map_to_device(dev, data, len as usize) };
            // SAFETY: The device is bound; the address comes from mapping.
            if unsafe { nb::dma_mapping_failed(dev, dma) } {
                place.undo();
                return Outcome::Dropped;
            }
            place.keep(dma, len, Mapped::Single);
            let segment = Segment {
                dma,
                len,
                first: piece == 0,
                last: piece.wrapping_add(1) == pieces,
            };
            place.write(encode(total, segment));
        }
        let content = NonNull::new(frame.into_raw()).map_or(Content::Nothing, Content::Frame);
        // SAFETY: All pieces are written; the frame is the slot's from now on.
        unsafe { place.publish(content, total, 1, true) };
        Outcome::Sent
    }

    /// Tells the device what is in the ring. To be called after frames were sent.
    pub(crate) fn start(&self) {
        // SAFETY: The lock is held, by the contract of `new()`.
        unsafe { self.0.start(0) };
    }
}
