// SPDX-License-Identifier: GPL-2.0

//! The filling side of a transmit ring, in a transmit callback.

use core::ptr::NonNull;

use net_bindings as nb;

use super::{
    tx::{
        Content,
        Mapped,
        TxRing, //
    },
    tx_copy::SHORT, //
};
use crate::{
    dma::Descriptor,
    nic::Nic,
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
    nic: Nic<'a>,
}

impl<'a, D: Descriptor, S> TxPort<'a, D, S> {
    /// # Safety
    ///
    /// Only in `ndo_start_xmit`, under the transmit lock of the ring's queue, and not beyond it.
    #[inline]
    pub(crate) unsafe fn new(ring: &'a TxRing<D>, state: &'a mut S, nic: Nic<'a>) -> Self {
        Self { ring, state, nic }
    }

    /// The device.
    #[inline]
    pub fn nic(&self) -> Nic<'a> {
        self.nic
    }

    /// Room for `n` descriptors, and what the driver keeps for this queue. `None` when there is less: the queue is stopped then, and woken by
    /// the layer when there is room again; answer `Busy`. More than a ring can ever have fails the
    /// same way, so ask for no more than a packet's pieces and a few.
    #[inline]
    pub fn reserve(&mut self, n: u32) -> Option<(Reserved<'_, D>, &mut S)> {
        let mut room = self.ring.free();
        if room < n {
            if !self.stop(n) {
                return None;
            }
            room = self.ring.free();
        }
        Some((Reserved::new(self.ring, n, room), self.state))
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
    pub(super) ring: &'a TxRing<D>,
    pub(super) first: u32,
    pub(super) next: u32,
    pub(super) left: u32,
    /// So many descriptors are free beyond `next`; others may have become free since.
    room: u32,
}

impl<'a, D: Descriptor> Reserved<'a, D> {
    /// Of `n` descriptors, where at least `room` are free.
    #[inline]
    pub(super) fn new(ring: &'a TxRing<D>, n: u32, room: u32) -> Self {
        let next = ring.next();
        Self {
            ring,
            first: next,
            next,
            left: n,
            room,
        }
    }

    /// Puts a descriptor without memory in front of the packet. Ignored when there is no room left.
    #[inline]
    pub fn context(&mut self, desc: D) {
        if self.left == 0 {
            return;
        }
        self.left = self.left.wrapping_sub(1);
        self.write(desc);
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
        let raw = skb.as_raw();
        let len = skb.len();
        // SAFETY: The packet is ours.
        if len <= SHORT.min(max) && self.left != 0 && unsafe { nb::skb_headlen(raw) == len } {
            // SAFETY: The packet is ours, and all of it here. The slot is the filling side's, and
            // that is us.
            let copy = unsafe { self.ring.copies.fill(self.next, nb::skb_data(raw), len) };
            if let Some(dma) = copy {
                self.write(encode(Segment {
                    dma,
                    len,
                    first: true,
                    last: true,
                }));
                return Ok(self.commit(skb, wire_bytes, packets, true));
            }
        }
        let pieces = skb.pieces(max);
        if pieces == 0 || pieces > self.left {
            self.ring.stats.dropped.add(1);
            return Err(skb.drop_with(DropReason::NOT_SPECIFIED));
        }
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
            self.keep(dma, len, kind);
            let mut at = 0u32;
            while at < len {
                let part = len.wrapping_sub(at).min(max);
                let segment = Segment {
                    dma: dma.wrapping_add(at.into()),
                    len: part,
                    first: done == 0,
                    last: done.wrapping_add(1) == pieces,
                };
                self.write(encode(segment));
                at = at.wrapping_add(part);
                done = done.wrapping_add(1);
            }
        }
        Ok(self.commit(skb, wire_bytes, packets, false))
    }

    /// Remembers the mapping of what the next descriptors point to.
    #[inline]
    pub(super) fn keep(&mut self, dma: u64, len: u32, kind: Mapped) {
        if let Some(slot) = self.ring.slot(self.next) {
            // SAFETY: Between `next` and `clean`: the filling side's, and that is us.
            unsafe {
                (*slot).dma = dma;
                (*slot).len = len;
                (*slot).mapped = kind;
            }
        }
    }

    /// Writes the next descriptor.
    #[inline]
    pub(super) fn write(&mut self, desc: D) {
        self.ring.desc.write(self.next as usize, desc);
        self.next = self.ring.after(self.next);
        self.room = self.room.wrapping_sub(1);
    }

    /// Makes what was written a packet of the ring, and tells the device. One that was `copied` is
    /// free by that.
    #[inline(always)]
    fn commit<'call>(
        self,
        skb: TxSkb<'call>,
        wire_bytes: u32,
        packets: u32,
        copied: bool,
    ) -> Disposed<'call> {
        let (ring, room) = (self.ring, self.room);
        // SAFETY: The packet is ours, and sent by this device.
        unsafe { nb::skb_tx_timestamp(skb.as_raw(), ring.netdev.as_ptr()) };
        let (raw, disposed) = skb.into_ring();
        // SAFETY: No requirement. Asks for the core's own knowledge of this CPU.
        let more = unsafe { nb::netdev_xmit_more() };
        // One that somebody else has, too, is not free by being copied: it stays for the batch.
        // SAFETY: It was ours.
        let free = copied && !unsafe { nb::skb_is_shared(raw) };
        let content = match NonNull::new(raw) {
            Some(skb) if !free => Content::Skb(skb),
            _ => Content::Nothing,
        };
        // SAFETY: The packet is complete, and the slot's from now on unless it is free.
        let ring_now = unsafe { self.publish(content, wire_bytes, packets, more) };
        let stopped = room < TxRing::<D>::STOP && !stop_unless(ring, TxRing::<D>::WAKE);
        // SAFETY: A reservation is made and used in a transmit callback only: we are the filling
        // side.
        unsafe {
            let pace = &mut *ring.pace.get();
            let wait = if copied {
                pace.copied()
            } else {
                pace.awaited();
                0
            };
            if ring_now || stopped {
                ring.start(if ring.is_below_batch(room) { wait } else { 0 });
            }
        }
        if free {
            // SAFETY: Still ours. In a transmit callback.
            unsafe { nb::skb_consume_in_xmit(raw) };
        }
        disposed
    }

    /// Makes what was written a packet of the ring. Whether the device has to be told now.
    ///
    /// # Safety
    ///
    /// Everything before `next` must be written, and `content` be the caller's to give away.
    #[inline]
    pub(super) unsafe fn publish(
        &self,
        content: Content,
        wire_bytes: u32,
        packets: u32,
        more: bool,
    ) -> bool {
        let ring = self.ring;
        if let Some(slot) = ring.slot(self.first) {
            // SAFETY: Between `next` and `clean`: the filling side's, and that is us. The packet
            // belongs to the slot from now on.
            unsafe {
                (*slot).content = content;
                (*slot).last = ring.before(self.next);
                (*slot).bytes = wire_bytes;
                (*slot).packets = packets;
            }
        }
        // SAFETY: A queue of a device that is there, with its lock held. Before the cleaning side
        // can count it as completed.
        let now = unsafe { nb::netdev_tx_sent_queue(ring.txq.as_ptr(), wire_bytes, more) };
        // SAFETY: We are the filling side, and the packet is complete.
        unsafe { ring.publish(self.next) };
        now
    }

    /// Undoes the mappings that were made, and drops the packet.
    #[cold]
    fn unwind<'call>(self, skb: TxSkb<'call>) -> Disposed<'call> {
        self.undo();
        skb.drop_with(DropReason::NOMEM)
    }

    /// Undoes the mappings that were made, and counts a packet that is lost.
    #[cold]
    pub(super) fn undo(&self) {
        let mut at = self.first;
        while at != self.next {
            // SAFETY: Never published: the filling side's, and unknown to the device.
            unsafe { self.ring.unmap(at) };
            at = self.ring.after(at);
        }
        self.ring.stats.dropped.add(1);
    }
}
