// SPDX-License-Identifier: GPL-2.0

//! The filling side of a transmit ring, in a transmit callback.

use net_bindings as nb;

use super::tx::{
    Mapped,
    TxRing, //
};
use crate::{
    dma::Descriptor,
    skb::{
        Disposed,
        DropReason,
        TxSkb, //
    },
};

/// A piece of a packet, mapped, that one descriptor is to point to.
#[derive(Clone, Copy)]
pub struct Segment {
    /// The bus address.
    pub dma: u64,
    /// The length in bytes, at most what the driver said a descriptor can have.
    pub len: u32,
    /// Whether this is the first of the packet.
    pub first: bool,
    /// Whether this is the last of the packet.
    pub last: bool,
}

/// The transmit queue that a callback was called for, with its lock held.
///
/// `S` is what the driver keeps for each queue; only whoever has the lock reaches it.
pub struct TxPort<'a, D: Descriptor, S> {
    ring: &'a TxRing<D>,
    state: &'a mut S,
}

impl<'a, D: Descriptor, S> TxPort<'a, D, S> {
    /// # Safety
    ///
    /// Only in `ndo_start_xmit`, under the transmit lock of the ring's queue, and not beyond it.
    #[inline]
    pub(crate) unsafe fn new(ring: &'a TxRing<D>, state: &'a mut S) -> Self {
        Self { ring, state }
    }

    /// Room for `n` descriptors, and what the driver keeps for this queue. `None` when there is less: the queue is stopped then, and woken by
    /// the layer when there is room again; answer `Busy`. More than a ring can ever have fails the
    /// same way, so ask for no more than a packet's pieces and a few.
    #[inline]
    pub fn reserve(&mut self, n: u32) -> Option<(Reserved<'_, D>, &mut S)> {
        if self.ring.free() < n && !self.stop(n) {
            return None;
        }
        let next = self.ring.next();
        let reserved = Reserved {
            ring: self.ring,
            first: next,
            next,
            left: n,
        };
        Some((reserved, self.state))
    }

    /// Stops the queue; true if there is room for `n` nevertheless, and it runs again.
    #[cold]
    fn stop(&self, n: u32) -> bool {
        stop_unless(self.ring, n)
    }
}

/// Stops the queue, then looks again, so that it is not left stopped by a cleaner that was done
/// just before. True if there was room for `n` and the queue runs again.
fn stop_unless<D: Descriptor>(ring: &TxRing<D>, n: u32) -> bool {
    // SAFETY: A queue of a device that is there.
    unsafe {
        nb::netif_tx_stop_queue(ring.txq.as_ptr());
        // See `TxRing::clean()` for the other half.
        nb::smp_mb();
    }
    if ring.free() < n {
        ring.stats.stopped.add(1);
        return false;
    }
    // SAFETY: As above; the caller holds the transmit lock.
    unsafe { nb::netif_tx_start_queue(ring.txq.as_ptr()) };
    true
}

/// Room in a ring. What is not [posted](Self::post) is not seen by the device.
pub struct Reserved<'a, D: Descriptor> {
    ring: &'a TxRing<D>,
    first: u32,
    next: u32,
    left: u32,
}

impl<D: Descriptor> Reserved<'_, D> {
    /// Puts a descriptor without memory in front of the packet. Ignored when there is no room left.
    #[inline]
    pub fn context(&mut self, desc: D) {
        if self.left == 0 {
            return;
        }
        self.ring.desc.write(self.next as usize, desc);
        self.left = self.left.wrapping_sub(1);
        self.next = self.ring.after(self.next);
    }

    /// Maps the packet and hands it to the device: `encode` makes the descriptor of each piece, of
    /// at most `max` bytes. `wire_bytes` and `packets` are what it will be on the wire. The
    /// doorbell is rung unless more packets follow.
    ///
    /// `Ok` when the packet is on its way. `Err` when it could not be mapped or has more pieces
    /// than were reserved: it is dropped and counted, and nothing of it, also no
    /// [`context`](Self::context), has reached the device.
    #[inline]
    pub fn post<'call>(
        mut self,
        skb: TxSkb<'call>,
        max: u32,
        wire_bytes: u32,
        packets: u32,
        mut encode: impl FnMut(Segment) -> D,
    ) -> core::result::Result<Disposed<'call>, Disposed<'call>> {
        let pieces = skb.pieces(max);
        if pieces == 0 || pieces > self.left {
            self.ring.stats.dropped.add(1);
            return Err(skb.drop_with(DropReason::NOT_SPECIFIED));
        }
        let raw = skb.as_raw();
        let mut done = 0u32;
        // SAFETY: The packet is ours.
        let (head, frags) = unsafe { (nb::skb_headlen(raw), nb::skb_nr_frags(raw)) };
        for piece in 0..frags.wrapping_add(1) {
            // SAFETY: The packet is ours; the fragment is one of its own.
            let (len, kind) = unsafe {
                match piece.checked_sub(1) {
                    None => (head, Mapped::Single),
                    Some(frag) => (nb::skb_frag_size(raw, frag), Mapped::Page),
                }
            };
            if len == 0 {
                continue;
            }
            let dev = self.ring.dev.as_ptr();
            // SAFETY: The device is bound. The memory is the packet's, which stays until the
            // mapping has been undone.
            let dma = unsafe {
                match piece.checked_sub(1) {
                    None => nb::dma_map_to_device(
                        dev,
                        nb::skb_data(raw).cast_mut().cast(),
                        len as usize,
                    ),
                    Some(frag) => nb::skb_frag_dma_map(dev, raw, frag),
                }
            };
            // SAFETY: The device is bound; the address comes from mapping.
            if unsafe { nb::dma_mapping_failed(dev, dma) } {
                return Err(self.unwind(skb));
            }
            if let Some(slot) = self.ring.slot(self.next) {
                // SAFETY: Between `next` and `clean`: the filling side's, and that is us.
                unsafe {
                    (*slot).dma = dma;
                    (*slot).len = len;
                    (*slot).mapped = kind;
                }
            }
            let mut at = 0u32;
            while at < len {
                let part = len.wrapping_sub(at).min(max);
                let segment = Segment {
                    dma: dma.wrapping_add(at.into()),
                    len: part,
                    first: done == 0,
                    last: done.wrapping_add(1) == pieces,
                };
                self.ring.desc.write(self.next as usize, encode(segment));
                at = at.wrapping_add(part);
                done = done.wrapping_add(1);
                self.next = self.ring.after(self.next);
            }
        }
        Ok(self.commit(skb, wire_bytes, packets))
    }

    /// Makes what was written a packet of the ring, and tells the device.
    #[inline]
    fn commit<'call>(self, skb: TxSkb<'call>, wire_bytes: u32, packets: u32) -> Disposed<'call> {
        let ring = self.ring;
        // SAFETY: The packet is ours, and sent by this device.
        unsafe { nb::skb_tx_timestamp(skb.as_raw(), ring.netdev.as_ptr()) };
        let (raw, disposed) = skb.into_ring();
        let last = self.last();
        if let Some(slot) = ring.slot(self.first) {
            // SAFETY: Between `next` and `clean`: the filling side's, and that is us. The packet
            // belongs to the slot from now on.
            unsafe {
                (*slot).skb = raw;
                (*slot).last = last;
                (*slot).bytes = wire_bytes;
                (*slot).packets = packets;
            }
        }
        // SAFETY: No requirement. Asks for the core's own knowledge of this CPU.
        let more = unsafe { nb::netdev_xmit_more() };
        // SAFETY: A queue of a device that is there, with its lock held. Before the cleaning side
        // can count it as completed.
        let ring_now = unsafe { nb::netdev_tx_sent_queue(ring.txq.as_ptr(), wire_bytes, more) };
        // SAFETY: We are the filling side, and the packet is complete.
        unsafe { ring.publish(self.next) };
        let stopped = ring.free() < TxRing::<D>::STOP && !stop_unless(ring, TxRing::<D>::WAKE);
        if ring_now || stopped {
            ring.stats.doorbells.add(1);
            // SAFETY: Rings end before the mapping of the device's registers does.
            unsafe { ring.doorbell.ring(self.next) };
            // SAFETY: A reservation is made and used in a transmit callback only.
            unsafe { ring.reap(last) };
        }
        disposed
    }

    /// The slot before `next`.
    #[inline]
    fn last(&self) -> u32 {
        let len = self.ring.address().len;
        match self.next.checked_sub(1) {
            Some(last) => last,
            None => len.wrapping_sub(1),
        }
    }

    /// Undoes the mappings that were made, and drops the packet.
    #[cold]
    fn unwind<'call>(self, skb: TxSkb<'call>) -> Disposed<'call> {
        let mut at = self.first;
        while at != self.next {
            // SAFETY: Never published: the filling side's, and unknown to the device.
            unsafe { self.ring.unmap(at) };
            at = self.ring.after(at);
        }
        self.ring.stats.dropped.add(1);
        skb.drop_with(DropReason::NOMEM)
    }
}
