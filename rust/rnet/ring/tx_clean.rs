// SPDX-License-Identifier: GPL-2.0

//! The cleaning side of a transmit ring.

use kernel::sync::atomic::{
    Acquire,
    Relaxed,
    Release, //
};
use net_bindings as nb;

use super::tx::{
    Content,
    Mapped,
    TxRing, //
};
use crate::{
    dma::Descriptor,
    xdp::Frame, //
};

/// What [`TxRing::look`] has seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The ring moves, or there is nothing in it.
    Fine,
    /// The device is done with the oldest packet, but nobody has cleaned: no interrupt has come.
    Forgotten,
    /// The device does not send the oldest packet.
    Stuck,
}

/// How packets are freed that the device has sent.
#[derive(Clone, Copy)]
enum Free {
    /// In a poll function, with this budget; 0 is netpoll's.
    Poll(i32),
    /// In a transmit callback.
    Xmit,
}

impl Free {
    /// Whether the memory of frames can be given back: page pools cannot be used by netpoll, which
    /// may have interrupts off.
    #[cold]
    fn can_return_frames(self) -> bool {
        match self {
            Self::Poll(budget) => budget > 0,
            // SAFETY: No requirement.
            Self::Xmit => unsafe { !nb::irqs_disabled() },
        }
    }
}

impl<D: Descriptor> TxRing<D> {
    /// Becomes the cleaning side, unless somebody is it.
    #[inline]
    fn cleaner(&self) -> Option<Cleaner<'_, D>> {
        if self.cleaning.xchg(1, Acquire) != 0 {
            return None;
        }
        // INVARIANT: Was 0, so there was no other.
        Some(Cleaner(self))
    }

    /// Frees the packets that the device has sent, at most `limit`, and wakes the queue. `budget`
    /// is NAPI's, 0 for netpoll. False when there may be more.
    ///
    /// # Safety
    ///
    /// In the poll function of the ring's NAPI, with its budget.
    #[inline]
    pub(crate) unsafe fn poll(&self, limit: u32, budget: i32) -> bool {
        if self.used() == 0 {
            return true;
        }
        match self.cleaner() {
            // SAFETY: By the requirement.
            Some(cleaner) => unsafe { cleaner.run(limit, Free::Poll(budget)) },
            // Somebody is at it, who may have passed what the interrupt was about.
            None => false,
        }
    }

    /// Tells the device what is in the ring, and frees what it has sent by then, or within `wait`
    /// microseconds: see [`tx_late`](super::tx_late).
    ///
    /// # Safety
    ///
    /// Only for the filling side, with the transmit lock of the queue held.
    #[inline(always)]
    pub(super) unsafe fn start(&self, wait: u32) {
        let next = self.next();
        self.stats.doorbells.add(1);
        // SAFETY: Rings end before the mapping of the device's registers does.
        unsafe { self.doorbell.ring(next) };
        // SAFETY: By the requirement.
        unsafe { self.reap(self.before(next), wait) };
        if wait == 0 && self.used() == 0 {
            // SAFETY: We are the filling side.
            unsafe { (*self.pace.get()).empty() };
        }
    }

    /// After the doorbell: frees what has been sent, if the device is done with the descriptor in
    /// slot `last` already, as emulated devices are; with `wait` only when the queue has been
    /// stopped.
    ///
    /// # Safety
    ///
    /// In the transmit callback of the queue, or where else its lock is held.
    #[inline(always)]
    unsafe fn reap(&self, last: u32, wait: u32) {
        if !self.desc.is_done(last as usize) {
            return;
        }
        // SAFETY: A queue of a device that is there.
        let halted = unsafe { nb::netif_tx_queue_halted(self.txq.as_ptr()) };
        if wait != 0 && !halted && self.late.within(wait) {
            return;
        }
        self.late.again();
        match self.cleaner() {
            // SAFETY: By the requirement. There is no limit, so there is no more.
            Some(cleaner) => unsafe {
                cleaner.run(u32::MAX, Free::Xmit);
            },
            // SAFETY: The ring's NAPI, which is enabled while packets can come. Softirqs are off.
            None => unsafe { nb::napi_schedule(self.napi.as_ptr()) },
        }
    }

    /// Looks whether the ring moves: with packets in it, it has to have cleaned some since this was
    /// last called. Any context, one caller at a time.
    pub(crate) fn look(&self) -> Seen {
        let (clean, next) = (self.clean_at(), self.next());
        // Not `clean`, which comes back to the same place.
        let now = if clean == next {
            Self::NOTHING
        } else {
            self.stats.packets.get()
        };
        let before = self.seen.load(Relaxed);
        self.seen.store(now, Relaxed);
        if now == Self::NOTHING || now != before {
            return Seen::Fine;
        }
        let Some(slot) = self.slot(clean) else {
            return Seen::Fine;
        };
        // SAFETY: Valid for reads. The filling side does not write it while the packet is in the
        // ring, as it was all the time since the last look.
        let last = unsafe { (&raw const (*slot).last).read_volatile() };
        if self.desc.is_done(last as usize) {
            Seen::Forgotten
        } else {
            Seen::Stuck
        }
    }

    /// Has the ring's NAPI polled soon. Process context.
    pub(crate) fn poll_soon(&self) {
        // SAFETY: The ring's NAPI; one that is disabled is not polled.
        unsafe { nb::napi_schedule_bh(self.napi.as_ptr()) };
    }
}

/// The cleaning side of a ring.
struct Cleaner<'a, D: Descriptor>(&'a TxRing<D>);

impl<D: Descriptor> Drop for Cleaner<'_, D> {
    #[inline]
    fn drop(&mut self) {
        self.0.cleaning.store(0, Release);
    }
}

impl<D: Descriptor> Cleaner<'_, D> {
    /// Frees the packets that the device has sent, at most `limit`, and wakes the queue. False when
    /// there may be more.
    ///
    /// # Safety
    ///
    /// In the context that `how` names.
    #[inline(never)]
    unsafe fn run(self, limit: u32, how: Free) -> bool {
        let ring = self.0;
        let begin = ring.clean_at();
        let next = ring.next();
        let mut at = begin;
        let (mut count, mut packets, mut bytes) = (0u32, 0u32, 0u32);
        while at != next && count < limit {
            let Some(slot) = ring.slot(at) else { break };
            // SAFETY: Between `clean` and `next`: ours.
            let (last, content, mapped) =
                unsafe { ((*slot).last, (*slot).content, (*slot).mapped) };
            if !ring.desc.is_done(last as usize) {
                break;
            }
            if matches!(content, Content::Frame(_)) && !how.can_return_frames() {
                // SAFETY: The ring's NAPI, which is enabled while packets can come. It comes again,
                // with a budget.
                unsafe { nb::napi_schedule(ring.napi.as_ptr()) };
                break;
            }
            // SAFETY: A packet begins at `at`, since it did at `clean` and each is taken as a
            // whole; its last descriptor, and so all of them, are done. The short way is for copies.
            let (content, after, its_bytes, its_packets) = unsafe {
                if last == at && mapped == Mapped::No {
                    (*slot).content = Content::Nothing;
                    (content, ring.after(at), (*slot).bytes, (*slot).packets)
                } else {
                    let (content, after, bytes, packets) = ring.take(at);
                    if packets > 1 {
                        ring.stats.count_segments(packets, bytes);
                    }
                    (content, after, bytes, packets)
                }
            };
            // SAFETY: The ring owned it. By the requirement this is the right context.
            unsafe {
                match (content, how) {
                    (Content::Nothing, _) => {}
                    (Content::Skb(skb), Free::Poll(budget)) => {
                        nb::napi_consume_skb(skb.as_ptr(), budget)
                    }
                    (Content::Skb(skb), Free::Xmit) => nb::skb_consume_in_xmit(skb.as_ptr()),
                    (Content::Frame(frame), _) => drop(Frame::from_raw(frame)),
                }
            }
            bytes = bytes.wrapping_add(its_bytes);
            packets = packets.wrapping_add(its_packets);
            count = count.wrapping_add(1);
            at = after;
        }
        if at == begin {
            return true;
        }
        // SAFETY: Only we write it; the slots before it are empty.
        unsafe { nb::smp_store_release_u32(ring.clean.get(), at) };
        ring.stats.packets.add(packets.into());
        ring.stats.bytes.add(bytes.into());
        // SAFETY: A queue of a device that is there. Counted as sent by the same amounts.
        unsafe { nb::netdev_tx_completed_queue(ring.txq.as_ptr(), count, bytes) };
        // SAFETY: No requirement. The filling side stops the queue, then looks at `clean`; here
        // `clean` is written, then the queue is looked at: one of both sees the other.
        unsafe { nb::smp_mb() };
        // SAFETY: A queue of a device that is there.
        let stopped = unsafe { nb::netif_tx_queue_stopped(ring.txq.as_ptr()) };
        if stopped && ring.free() >= TxRing::<D>::WAKE {
            // SAFETY: A queue of a device that is there, whose ring has room.
            unsafe { nb::netif_tx_wake_queue(ring.txq.as_ptr()) };
            ring.stats.woken.add(1);
        }
        count < limit
    }
}
