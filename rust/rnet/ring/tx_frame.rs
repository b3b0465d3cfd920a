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

    /// Puts a frame into the ring: `encode` makes the descriptor of each piece of at most `max`
    /// bytes, knowing how long the frame is. Gives it back when there is no room. One that
    /// cannot be sent at all is dropped and counted.
    ///
    /// Queues are neither stopped nor woken for frames: who fills a ring with packets looks for
    /// room by itself.
    pub(crate) fn send(
        &self,
        frame: Frame,
        max: u32,
        mut encode: impl FnMut(u32, Segment) -> D,
    ) -> Result<(), Frame> {
        let ring = self.0;
        let pieces = frame.pieces();
        if pieces > TxRing::<D>::STOP {
            ring.stats.dropped.add(1);
            return Ok(());
        }
        if ring.free() < pieces {
            return Err(frame);
        }
        let next = ring.next();
        let mut place = Reserved {
            ring,
            first: next,
            next,
            left: pieces,
        };
        let total = frame.len();
        for piece in 0..pieces {
            let (data, len) = frame.piece(piece);
            if len == 0 || len > max {
                place.undo();
                return Ok(());
            }
            let dev = ring.dev.as_ptr();
            // SAFETY: The device is bound. The memory is the frame's, which stays until the mapping
            // has been undone.
            let dma = unsafe { nb::dma_map_to_device(dev, data, len as usize) };
            // SAFETY: The device is bound; the address comes from mapping.
            if unsafe { nb::dma_mapping_failed(dev, dma) } {
                place.undo();
                return Ok(());
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
        Ok(())
    }

    /// Tells the device what is in the ring. To be called after frames were sent.
    pub(crate) fn start(&self) {
        // SAFETY: The lock is held, by the contract of `new()`.
        unsafe { self.0.start() };
    }
}
