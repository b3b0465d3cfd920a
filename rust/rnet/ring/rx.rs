// SPDX-License-Identifier: GPL-2.0

//! Receive rings, with buffers from a page pool.

use core::ptr::{
    null_mut,
    NonNull, //
};

use kernel::{
    error::from_err_ptr,
    prelude::*,
    sync::Arc, //
};
use net_bindings as nb;

use super::{
    after,
    distance,
    rx_view::{
        Gathered,
        RxQueueInfo,
        Viewer, //
    },
    RingAddress,
    RxDescriptor,
    RxPacket, //
};
use crate::{
    dma::Descriptors,
    mmio::Doorbell,
    napi::Budget,
    nic::{
        Nic,
        RxStats, //
    },
    skb::DropReason, //
};

/// What a device may write into one buffer, in bytes. A buffer is a page: in front of this is room
/// for headers that the stack adds, behind it for what belongs to a packet.
pub const RX_BUFFER: u32 = 3072;

/// In front of a frame: what XDP programs may add, too.
pub(super) const HEADROOM: u32 = 256;

/// The shortest frame that has an Ethernet header.
pub(super) const SHORTEST: u32 = nb::ETH_HLEN;

/// A ring of buffers for frames that come in. One NAPI owns it.
///
/// # Invariants
///
/// The buffers in `pages` from `next` up to `fill` are the device's; all other places are null.
/// `frame` is null or a packet of ours whose last buffer has not come yet; then nothing is
/// `gathered`.
pub(crate) struct RxRing<D: RxDescriptor> {
    desc: Descriptors<D>,
    pages: KVVec<*mut nb::page>,
    len: u32,
    next: u32,
    fill: u32,
    told: u32,
    pub(super) frame: *mut nb::sk_buff,
    pub(super) gathered: Gathered,
    skip: bool,
    pub(super) pool: NonNull<nb::page_pool>,
    pub(super) napi: NonNull<nb::napi_struct>,
    pub(super) netdev: NonNull<nb::net_device>,
    pub(super) queue: u32,
    doorbell: Doorbell,
    pub(super) stats: Arc<RxStats>,
    /// What programs are told about the queue.
    pub(super) rxq: RxQueueInfo,
}

// SAFETY: Owned by one NAPI, which any CPU may run; packets and pages belong to no thread.
unsafe impl<D: RxDescriptor> Send for RxRing<D> {}

impl<D: RxDescriptor> RxRing<D> {
    /// The shortest ring.
    pub(crate) const MIN: u32 = 64;

    /// Allocates a ring of `len` descriptors with a page pool, and fills it; the device is not
    /// told yet. Process context. Errors: `EINVAL` for a length below [`MIN`](Self::MIN); `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `dev` must stay bound and mapped through `doorbell`, and `netdev` and `napi` must stay
    /// allocated, while the returned value exists. When it is dropped, `napi` must not be running.
    pub(crate) unsafe fn new(
        len: u32,
        dev: NonNull<nb::device>,
        netdev: NonNull<nb::net_device>,
        napi: NonNull<nb::napi_struct>,
        queue: u32,
        doorbell: Doorbell,
        stats: Arc<RxStats>,
    ) -> Result<Self> {
        const {
            assert!(
                HEADROOM + RX_BUFFER + 512 <= nb::PAGE_SIZE as u32,
                "a page has room for what belongs to a packet"
            )
        };
        if len < Self::MIN {
            return Err(EINVAL);
        }
        let mut pages = KVVec::with_capacity(len as usize, GFP_KERNEL)?;
        for _ in 0..len {
            pages.push(null_mut(), GFP_KERNEL)?;
        }
        // SAFETY: By the requirement of this function.
        let desc = unsafe { Descriptors::new(dev, len as usize)? };
        // SAFETY: A bound device; NAPI and network device outlive the pool, which the returned
        // value destroys.
        let pool = from_err_ptr(unsafe {
            nb::page_pool_create(
                dev.as_ptr(),
                netdev.as_ptr(),
                napi.as_ptr(),
                queue,
                len,
                HEADROOM,
                RX_BUFFER,
            )
        })?;
        let pool = NonNull::new(pool).ok_or(ENOMEM)?;
        // SAFETY: The network device and NAPI stay, and the pool until the returned value has been
        // dropped.
        let rxq = match unsafe { RxQueueInfo::new(netdev, queue, napi, pool) } {
            Ok(rxq) => rxq,
            Err(err) => {
                // SAFETY: Ours, just made.
                unsafe { nb::page_pool_destroy(pool.as_ptr()) };
                return Err(err);
            }
        };
        let mut this = Self {
            desc,
            pages,
            len,
            next: 0,
            fill: 0,
            told: 0,
            frame: null_mut(),
            gathered: Gathered::new(),
            skip: false,
            pool,
            napi,
            netdev,
            queue,
            doorbell,
            stats,
            rxq,
        };
        if !this.fill() {
            return Err(ENOMEM);
        }
        Ok(this)
    }

    /// What the queue has counted.
    #[inline]
    pub(crate) fn stats(&self) -> &RxStats {
        &self.stats
    }

    /// Where the ring lies.
    pub(crate) fn address(&self) -> RingAddress {
        RingAddress {
            dma: self.desc.dma(),
            bytes: self.desc.bytes() as u32,
            len: self.len,
        }
    }

    /// Offers the device buffers for all free descriptors. False if there was no memory for some.
    fn fill(&mut self) -> bool {
        let free = self
            .len
            .wrapping_sub(1)
            .wrapping_sub(distance(self.next, self.fill, self.len));
        for _ in 0..free {
            // SAFETY: Our pool, from its NAPI or before that runs.
            let page = unsafe { nb::page_pool_alloc(self.pool.as_ptr()) };
            let Some(place) = self.pages.get_mut(self.fill as usize) else {
                return true;
            };
            if page.is_null() {
                self.stats.no_memory.add(1);
                return false;
            }
            // SAFETY: A page of our pool, which maps all of its pages.
            let dma = unsafe { nb::page_pool_dma_addr(page) };
            *place = page;
            self.desc.write(
                self.fill as usize,
                D::post(dma.wrapping_add(HEADROOM.into())),
            );
            self.fill = after(self.fill, self.len);
        }
        true
    }

    /// Offers new buffers when enough have been used, and tells the device. False when it has
    /// hardly any left for lack of memory: the NAPI has to come again by itself.
    pub(crate) fn refill(&mut self) -> bool {
        let left = distance(self.next, self.fill, self.len);
        let batch = (self.len / 8).min(32);
        if self.len.wrapping_sub(1).wrapping_sub(left) < batch {
            return true;
        }
        let full = self.fill();
        self.tell();
        full || distance(self.next, self.fill, self.len) >= batch
    }

    /// Tells the device which buffers are there.
    pub(crate) fn tell(&mut self) {
        if self.told != self.fill {
            self.told = self.fill;
            self.stats.doorbells.add(1);
            // SAFETY: Rings end before the mapping of the device's registers does.
            unsafe { self.doorbell.ring(self.fill) };
        }
    }

    /// Gives a buffer back that the device is done with.
    pub(super) fn put(&self, page: *mut nb::page) {
        // SAFETY: A page of our pool that belongs to us, in the poll function of its NAPI.
        unsafe { nb::page_pool_put(self.pool.as_ptr(), page, true) };
    }

    /// Drops what has come of a frame; what is still to come of it is skipped, unless this was its
    /// last buffer.
    #[cold]
    pub(super) fn drop_frame(&mut self, last: bool) {
        self.forget(true);
        let frame = core::mem::replace(&mut self.frame, null_mut());
        if !frame.is_null() {
            // SAFETY: By the type invariant it is ours.
            unsafe { nb::dev_kfree_skb_any_reason(frame, DropReason::HDR_TRUNC.as_raw()) };
        }
        self.skip = !last;
    }

    /// Adds a buffer to the frame. The reason when the frame has to be dropped.
    #[inline]
    fn append(&mut self, page: *mut nb::page, len: u32) -> bool {
        // SAFETY: A page of our pool that the device has written `len` bytes to, which is checked
        // to be inside the buffer.
        unsafe { nb::page_pool_sync_for_cpu(self.pool.as_ptr(), page, 0, len) };
        if self.frame.is_null() {
            if len < SHORTEST {
                self.stats.length_errors.add(1);
                self.put(page);
                return false;
            }
            // SAFETY: A page of a page pool, ours, with this many bytes at this offset.
            self.frame = unsafe { nb::napi_build_page_skb(page, HEADROOM, len) };
            if self.frame.is_null() {
                self.stats.no_memory.add(1);
                self.put(page);
            }
            return !self.frame.is_null();
        }
        // SAFETY: By the type invariant it is ours.
        let frags = unsafe { nb::skb_nr_frags(self.frame) };
        if frags >= nb::MAX_SKB_FRAGS {
            self.stats.length_errors.add(1);
            self.put(page);
            return false;
        }
        // SAFETY: Ours, with a fragment left; the page becomes the packet's.
        unsafe { nb::skb_add_rx_page(self.frame, frags, page, HEADROOM, len) };
        true
    }
}

impl<D: RxDescriptor> Drop for RxRing<D> {
    fn drop(&mut self) {
        self.forget(false);
        self.drop_frame(true);
        for page in &mut self.pages {
            let page = core::mem::replace(page, null_mut());
            if !page.is_null() {
                // SAFETY: Ours again: the layer has stopped the device. NAPI does not run.
                unsafe { nb::page_pool_put(self.pool.as_ptr(), page, false) };
            }
        }
        self.rxq.end();
        // SAFETY: Ours; pages that packets still hold keep what they need of it.
        unsafe { nb::page_pool_destroy(self.pool.as_ptr()) };
    }
}

/// A receive queue in the poll function of its NAPI.
pub struct RxPort<'a, D: RxDescriptor> {
    ring: &'a mut RxRing<D>,
    viewer: Option<Viewer<'a>>,
    nic: Nic<'a>,
}

impl<'a, D: RxDescriptor> RxPort<'a, D> {
    /// # Safety
    ///
    /// Only in the poll function of the ring's NAPI, with a budget, and not beyond it.
    #[inline]
    pub(crate) unsafe fn new(
        ring: &'a mut RxRing<D>,
        viewer: Option<Viewer<'a>>,
        nic: Nic<'a>,
    ) -> Self {
        if viewer.is_none() && !ring.gathered.is_empty() {
            ring.without_program();
        }
        Self { ring, viewer, nic }
    }

    /// The device.
    #[inline]
    pub fn nic(&self) -> Nic<'a> {
        self.nic
    }

    /// The number of the queue.
    #[inline]
    pub fn queue(&self) -> u32 {
        self.ring.queue
    }

    /// The next frame. `None` when there is none, or when the budget is used up; each frame takes
    /// one of it, also one that is dropped here.
    ///
    /// A program of the device sees the frame first (XDP), and may keep it.
    ///
    /// Dropped and counted are frames that the device calls damaged, that are too short for an
    /// Ethernet header, that have a buffer without bytes or with more than fit, or that have more
    /// buffers than a packet can.
    #[inline]
    pub fn next(&mut self, budget: &mut Budget<'_>) -> Option<RxPacket<'_, D>> {
        let ring = &mut *self.ring;
        loop {
            if ring.next == ring.fill {
                return None;
            }
            if !budget.has_credit() {
                return None;
            }
            let desc = ring.desc.take(ring.next as usize)?;
            let page = match ring.pages.get_mut(ring.next as usize) {
                Some(place) => core::mem::replace(place, null_mut()),
                None => return None,
            };
            ring.next = after(ring.next, ring.len);
            let (len, last) = (desc.len(), desc.is_last());
            if ring.skip {
                ring.put(page);
                ring.skip = !last;
                budget.take();
                continue;
            }
            let good = if len == 0 || len > RX_BUFFER {
                ring.stats.length_errors.add(1);
                crate::net_warn_ratelimited!(
                    "queue {}: the device wrote {} bytes into a buffer of {}: dropped\n",
                    ring.queue,
                    len,
                    RX_BUFFER
                );
                ring.put(page);
                false
            } else if desc.is_bad() {
                ring.stats.errors.add(1);
                ring.put(page);
                false
            } else if let Some(viewer) = &mut self.viewer {
                ring.show(viewer, page, len, last)
            } else {
                ring.append(page, len)
            };
            if !good {
                ring.drop_frame(last);
                budget.take();
                continue;
            }
            if !last {
                continue;
            }
            budget.take();
            let frame = core::mem::replace(&mut ring.frame, null_mut());
            let skb = NonNull::new(frame)?;
            // SAFETY: The ring owned it and gives it away, complete.
            return Some(unsafe { RxPacket::new(skb, desc, ring) });
        }
    }
}
