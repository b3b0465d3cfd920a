// SPDX-License-Identifier: GPL-2.0

//! Transmit rings.

use core::{
    cell::UnsafeCell,
    ptr::NonNull, //
};

use kernel::{
    prelude::*,
    sync::{
        atomic::Atomic,
        Arc, //
    },
};
use net_bindings as nb;

use super::{
    after,
    distance,
    tx_copy::Copies,
    tx_late::{
        Late,
        Pace,
        BATCH, //
    },
    RingAddress, //
};
use crate::{
    dma::{
        Descriptor,
        Descriptors, //
    },
    mmio::Doorbell,
    nic::TxStats,
    skb::DropReason,
    xdp::Frame, //
};

/// How a slot's memory was mapped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mapped {
    /// Not at all: a context descriptor, or a further piece of what an earlier slot has mapped.
    No,
    /// With `dma_map_single()`.
    Single,
    /// With `skb_frag_dma_map()`.
    Page,
}

/// Whom the memory behind a packet's descriptors belongs to.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// Not the first slot of a packet.
    Nothing,
    /// A packet of the stack.
    Skb(NonNull<nb::sk_buff>),
    /// A frame that a program sends.
    Frame(NonNull<nb::xdp_frame>),
}

/// What belongs to one descriptor.
pub(super) struct Slot {
    pub(super) dma: nb::dma_addr_t,
    pub(super) len: u32,
    pub(super) mapped: Mapped,
    /// In the first slot of a packet: the packet, the slot of its last descriptor, and what it
    /// counts for.
    pub(super) content: Content,
    pub(super) last: u32,
    pub(super) bytes: u32,
    pub(super) packets: u32,
}

impl Slot {
    const EMPTY: Self = Self {
        dma: 0,
        len: 0,
        mapped: Mapped::No,
        content: Content::Nothing,
        last: 0,
        bytes: 0,
        packets: 0,
    };
}

/// A ring of descriptors for packets on their way out.
///
/// One side fills it, under the transmit lock of its queue. The other cleans it: its NAPI, or the
/// filling side itself when the device is done as soon as it is told; a [`Cleaner`](super::tx_clean) is whoever does.
///
/// # Invariants
///
/// The slots from `clean` up to `next` belong to the cleaning side, all others to the filling side.
/// Both are below `len`. A slot that is mapped holds a mapping for `dev` that nobody else undoes.
/// While `cleaning` is 1 there is a [`Cleaner`](super::tx_clean), and one only.
pub(crate) struct TxRing<D: Descriptor> {
    pub(super) desc: Descriptors<D>,
    slots: KVVec<UnsafeCell<Slot>>,
    len: u32,
    next: UnsafeCell<u32>,
    pub(super) clean: UnsafeCell<u32>,
    pub(super) cleaning: Atomic<u32>,
    /// How many packets had been sent when somebody last looked, or [`NOTHING`](Self::NOTHING).
    pub(super) seen: Atomic<u64>,
    /// For short packets; what belongs to a slot is of the side that the slot is of.
    pub(super) copies: Copies,
    /// Of the filling side.
    pub(super) pace: UnsafeCell<Pace>,
    /// So many descriptors in use are a batch.
    pub(super) batch: u32,
    pub(super) late: Pin<KBox<Late>>,
    pub(super) napi: NonNull<nb::napi_struct>,
    pub(super) doorbell: Doorbell,
    pub(super) txq: NonNull<nb::netdev_queue>,
    pub(super) dev: NonNull<nb::device>,
    pub(super) netdev: NonNull<nb::net_device>,
    pub(super) stats: Arc<TxStats>,
}

// SAFETY: The two sides use what is theirs, by the type invariant; the packets may be freed by any
// thread.
unsafe impl<D: Descriptor> Send for TxRing<D> {}
// SAFETY: See above.
unsafe impl<D: Descriptor> Sync for TxRing<D> {}

impl<D: Descriptor> TxRing<D> {
    /// The longest packet has this many descriptors more than it has pieces: a context, and a gap
    /// that keeps the tail from the head.
    const SPARE: u32 = 4;

    /// A queue with less room than this is stopped. It fits every packet: the pieces of the
    /// largest one that the stack makes, cut where a descriptor is too short for them.
    pub(super) const STOP: u32 = nb::MAX_SKB_FRAGS + 1 + 16 + Self::SPARE;

    /// A stopped queue with this much room is woken.
    pub(super) const WAKE: u32 = Self::STOP + 8;

    /// The shortest ring.
    pub(crate) const MIN: u32 = 64;

    /// There was nothing in the ring.
    pub(super) const NOTHING: u64 = u64::MAX;

    /// Allocates a ring of `len` descriptors. Process context. Errors: `EINVAL` for a length below
    /// [`MIN`](Self::MIN); `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `dev` must stay bound and mapped through `doorbell`, and `napi` and `netdev`, of which `txq`
    /// is a queue, must stay allocated, while the returned value exists.
    pub(crate) unsafe fn new(
        len: u32,
        dev: NonNull<nb::device>,
        netdev: NonNull<nb::net_device>,
        txq: NonNull<nb::netdev_queue>,
        napi: NonNull<nb::napi_struct>,
        doorbell: Doorbell,
        stats: Arc<TxStats>,
    ) -> Result<Self> {
        const { assert!(Self::WAKE < Self::MIN, "the shortest ring can be woken") };
        if len < Self::MIN {
            return Err(EINVAL);
        }
        let mut slots = KVVec::with_capacity(len as usize, GFP_KERNEL)?;
        for _ in 0..len {
            slots.push(UnsafeCell::new(Slot::EMPTY), GFP_KERNEL)?;
        }
        Ok(Self {
            // SAFETY: By the requirement of this function.
            desc: unsafe { Descriptors::new(dev, len as usize)? },
            slots,
            len,
            next: UnsafeCell::new(0),
            clean: UnsafeCell::new(0),
            cleaning: Atomic::new(0),
            seen: Atomic::new(Self::NOTHING),
            // SAFETY: By the requirement of this function.
            copies: unsafe { Copies::new(dev, len as usize) },
            pace: UnsafeCell::new(Pace::new()),
            batch: BATCH.min(len / 8),
            // SAFETY: By the requirement of this function.
            late: unsafe { Late::new(napi)? },
            napi,
            doorbell,
            txq,
            dev,
            netdev,
            stats,
        })
    }

    /// What the queue has counted.
    #[inline]
    pub(crate) fn stats(&self) -> &TxStats {
        &self.stats
    }

    /// The core's transmit queue.
    #[inline]
    pub(crate) fn txq(&self) -> NonNull<nb::netdev_queue> {
        self.txq
    }

    /// Where the ring lies.
    pub(crate) fn address(&self) -> RingAddress {
        RingAddress {
            dma: self.desc.dma(),
            bytes: self.desc.bytes() as u32,
            len: self.len,
        }
    }

    #[inline]
    pub(super) fn slot(&self, at: u32) -> Option<*mut Slot> {
        self.slots.get(at as usize).map(UnsafeCell::get)
    }

    #[inline]
    pub(super) fn after(&self, at: u32) -> u32 {
        after(at, self.len)
    }

    #[inline]
    pub(super) fn before(&self, at: u32) -> u32 {
        match at.checked_sub(1) {
            Some(before) => before,
            None => self.len.wrapping_sub(1),
        }
    }

    /// Where the filling side goes on.
    #[inline]
    pub(super) fn next(&self) -> u32 {
        // SAFETY: Valid for reads; the other side sees what was written before.
        unsafe { nb::smp_load_acquire_u32(self.next.get()) }
    }

    #[inline]
    pub(super) fn clean_at(&self) -> u32 {
        // SAFETY: Valid for reads; the other side sees what was written before.
        unsafe { nb::smp_load_acquire_u32(self.clean.get()) }
    }

    /// Hands everything before `next` to the cleaning side.
    ///
    /// # Safety
    ///
    /// Only for the filling side, with complete packets before `next`.
    #[inline]
    pub(super) unsafe fn publish(&self, next: u32) {
        // SAFETY: Valid for writes, only by the filling side.
        unsafe { nb::smp_store_release_u32(self.next.get(), next) };
    }

    /// How many descriptors are in use.
    #[inline]
    pub(super) fn used(&self) -> u32 {
        distance(self.clean_at(), self.next(), self.len)
    }

    /// How many descriptors the filling side may use.
    #[inline]
    pub(super) fn free(&self) -> u32 {
        self.len.wrapping_sub(1).wrapping_sub(self.used())
    }

    /// Whether less is in use than a batch when so many descriptors are free.
    #[inline]
    pub(super) fn is_below_batch(&self, free: u32) -> bool {
        free.wrapping_add(self.batch) >= self.len
    }

    /// Undoes the mapping of a slot.
    ///
    /// # Safety
    ///
    /// The slot must belong to the caller's side, and the device must not use it any more.
    #[inline]
    pub(super) unsafe fn unmap(&self, at: u32) {
        let Some(slot) = self.slot(at) else { return };
        // SAFETY: Ours by the requirement; what is mapped was mapped for `dev` with this length.
        unsafe {
            match (*slot).mapped {
                Mapped::No => {}
                Mapped::Single => {
                    nb::dma_unmap_to_device(self.dev.as_ptr(), (*slot).dma, (*slot).len as usize)
                }
                Mapped::Page => nb::dma_unmap_page_to_device(
                    self.dev.as_ptr(),
                    (*slot).dma,
                    (*slot).len as usize,
                ),
            }
            (*slot).mapped = Mapped::No;
        }
    }

    /// Takes the packet that begins at `at` out of the ring: whose it is, the slot after it, and
    /// what it counts for.
    ///
    /// # Safety
    ///
    /// Only for the cleaning side, with `at` where a packet begins that the device is done with.
    #[inline]
    pub(super) unsafe fn take(&self, at: u32) -> (Content, u32, u32, u32) {
        let Some(slot) = self.slot(at) else {
            return (Content::Nothing, self.after(at), 0, 0);
        };
        // SAFETY: Ours by the requirement.
        let (content, last, bytes, packets) = unsafe {
            let content = core::mem::replace(&mut (*slot).content, Content::Nothing);
            (content, (*slot).last, (*slot).bytes, (*slot).packets)
        };
        let mut slot = at;
        loop {
            // SAFETY: Between the first and the last slot of a packet: ours by the requirement.
            unsafe { self.unmap(slot) };
            if slot == last {
                break;
            }
            slot = self.after(slot);
        }
        (content, self.after(last), bytes, packets)
    }
}

impl<D: Descriptor> Drop for TxRing<D> {
    fn drop(&mut self) {
        let next = self.next();
        let mut at = self.clean_at();
        while at != next {
            // SAFETY: Nobody else uses the ring any more, and the device does not: the layer has
            // stopped it. A packet begins at `at`.
            let (content, after, bytes, packets) = unsafe { self.take(at) };
            let sent = self.desc.is_done(self.before(after) as usize);
            if sent {
                self.stats.packets.add(packets.into());
                self.stats.bytes.add(bytes.into());
                if packets > 1 {
                    self.stats.count_segments(packets, bytes);
                }
            }
            // SAFETY: The ring owned it.
            unsafe {
                match content {
                    Content::Nothing => {}
                    Content::Skb(skb) if sent => nb::dev_consume_skb_any(skb.as_ptr()),
                    Content::Skb(skb) => {
                        nb::dev_kfree_skb_any_reason(skb.as_ptr(), DropReason::DEV_READY.as_raw())
                    }
                    Content::Frame(frame) => drop(Frame::from_raw(frame)),
                }
            }
            at = after;
        }
    }
}
