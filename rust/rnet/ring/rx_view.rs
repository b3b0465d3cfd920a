// SPDX-License-Identifier: GPL-2.0

//! Frames that a program sees before the stack does (XDP).

use core::ptr::NonNull;

use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};
use net_bindings as nb;

use super::{
    rx::{
        RxRing,
        HEADROOM,
        SHORTEST, //
    },
    RxDescriptor,
};
use crate::xdp::Frame;

/// What programs are told about a receive queue: also where the memory of a frame goes back to. C
/// type: `struct xdp_rxq_info`.
///
/// # Invariants
///
/// Registered, with the page pool of the ring, until [`end`](Self::end).
pub(super) struct RxQueueInfo(KBox<Opaque<nb::xdp_rxq_info>>);

impl RxQueueInfo {
    /// Registers a queue. Process context. Errors: `ENOMEM`, `ENOSPC`.
    ///
    /// # Safety
    ///
    /// `netdev` must be a device that stays until [`end`](Self::end), `napi` its, and `pool` must
    /// not be destroyed before that.
    pub(super) unsafe fn new(
        netdev: NonNull<nb::net_device>,
        queue: u32,
        napi: NonNull<nb::napi_struct>,
        pool: NonNull<nb::page_pool>,
    ) -> Result<Self> {
        let this = KBox::new(Opaque::zeroed(), GFP_KERNEL)?;
        // SAFETY: Zeroed; the rest by the requirement.
        to_result(unsafe {
            nb::xdp_rxq_info_reg(this.get(), netdev.as_ptr(), queue, napi.as_ptr())
        })?;
        // SAFETY: Registered just now; the pool is there.
        let done = to_result(unsafe { nb::xdp_rxq_info_reg_pool(this.get(), pool.as_ptr()) });
        if let Err(err) = done {
            // SAFETY: Registered above.
            unsafe { nb::xdp_rxq_info_unreg(this.get()) };
            return Err(err);
        }
        // INVARIANT: Registered with the pool.
        Ok(Self(this))
    }

    pub(super) fn as_raw(&self) -> *mut nb::xdp_rxq_info {
        self.0.get()
    }

    /// Ends the registration. Once; no program may be running for this queue.
    pub(super) fn end(&mut self) {
        // SAFETY: Registered by the type invariant. It gives the pool's reference back.
        unsafe { nb::xdp_rxq_info_unreg(self.0.get()) };
    }
}

/// A frame until a program has seen it: more of it may still come.
///
/// # Invariants
///
/// With `pages` above 0, `buff` is a frame of so many pages of the ring's pool, which are ours.
pub(super) struct Gathered {
    buff: Opaque<nb::xdp_buff>,
    pages: u32,
}

impl Gathered {
    /// Nothing.
    pub(super) fn new() -> Self {
        // INVARIANT: No pages.
        Self {
            buff: Opaque::zeroed(),
            pages: 0,
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.pages == 0
    }
}

/// Where frames go that a program sends back the way they came.
pub(crate) trait SendBack {
    /// Takes a frame. False if it could not be sent, and is dropped.
    fn send_back(&self, frame: Frame) -> bool;
}

/// A program in a poll function, and what it has left to be done at the end of it.
pub(crate) struct Viewer<'a> {
    program: NonNull<nb::bpf_prog>,
    back: &'a dyn SendBack,
    /// Whether frames wait to be handed on.
    redirected: bool,
}

impl<'a> Viewer<'a> {
    /// # Safety
    ///
    /// In a poll function, with a program that was [loaded](crate::xdp::Slot::load) in it; not to be
    /// kept beyond.
    #[inline]
    pub(crate) unsafe fn new(program: NonNull<nb::bpf_prog>, back: &'a dyn SendBack) -> Self {
        Self {
            program,
            back,
            redirected: false,
        }
    }
}

impl Drop for Viewer<'_> {
    fn drop(&mut self) {
        if self.redirected {
            // SAFETY: In the poll function in which the frames were redirected, by the contract of
            // `new()`.
            unsafe { nb::xdp_do_flush() };
        }
    }
}

impl<D: RxDescriptor> RxRing<D> {
    /// Another buffer of a frame for a program; false if the frame cannot have it.
    fn gather(&mut self, page: *mut nb::page, len: u32) -> bool {
        let buff = self.gathered.buff.get();
        // SAFETY: A page of our pool that the device has written `len` bytes to, which are inside
        // the buffer; the frame has begun if it has pages.
        unsafe {
            nb::page_pool_sync_for_cpu(self.pool.as_ptr(), page, 0, len);
            if !self.gathered.is_empty() {
                if !nb::xdp_add_page(buff, page, HEADROOM, len) {
                    return false;
                }
            } else if len < SHORTEST || !self.frame.is_null() {
                return false;
            } else {
                nb::xdp_prepare(buff, self.rxq.as_raw(), page, HEADROOM, len);
            }
        }
        // INVARIANT: The page is the frame's.
        self.gathered.pages = self.gathered.pages.saturating_add(1);
        true
    }

    /// Gives back what has come of a frame for a program. `direct`: in the poll function.
    #[cold]
    pub(super) fn forget(&mut self, direct: bool) {
        if !self.gathered.is_empty() {
            self.gathered.pages = 0;
            // SAFETY: By the invariant of what was gathered.
            unsafe { nb::xdp_put_pages(self.gathered.buff.get(), self.pool.as_ptr(), direct) };
        }
    }

    /// There is no program any more: what has come of a frame for it goes to the stack. In the
    /// poll function.
    #[cold]
    pub(super) fn without_program(&mut self) {
        if !self.pass() {
            self.drop_frame(false);
        }
    }

    /// Shows a frame to the program, once all of it is there. True when it is to go on to the
    /// stack, as `frame`, or has not come to its end.
    ///
    /// A program that does not take frames in pieces sees such in one buffer only. A longer one,
    /// which can come with all frames let in, is dropped; also one whose first buffers came before
    /// there was a program.
    #[cold]
    pub(super) fn show(
        &mut self,
        viewer: &mut Viewer<'_>,
        page: *mut nb::page,
        len: u32,
        last: bool,
    ) -> bool {
        if !self.gather(page, len) {
            self.stats.length_errors.add(1);
            self.put(page);
            return false;
        }
        if !last {
            return true;
        }
        let (program, dev) = (viewer.program.as_ptr(), self.netdev.as_ptr());
        let buff = self.gathered.buff.get();
        // SAFETY: The program was loaded in this poll function, and the frame is complete.
        let (fits, len) = unsafe {
            let fits = !nb::xdp_has_pieces(buff) || nb::bpf_prog_takes_pieces(program);
            (fits, nb::xdp_len(buff))
        };
        if !fits {
            // The caller drops it.
            self.stats.length_errors.add(1);
            return false;
        }
        // SAFETY: As above; softirqs are off.
        let verdict = unsafe { nb::xdp_run(program, buff) };
        if verdict == nb::xdp_action_XDP_PASS {
            return self.pass();
        }
        self.stats.packets.add(1);
        self.stats.bytes.add(len.into());
        let done = match verdict {
            nb::xdp_action_XDP_DROP => None,
            nb::xdp_action_XDP_TX => {
                // SAFETY: The program has left a frame in the pages. Ours if there is no room for
                // what belongs to a frame, else the frame's.
                NonNull::new(unsafe { nb::xdp_to_frame(buff) }).map(|frame| {
                    // SAFETY: The pages were ours, and with them the frame.
                    let frame = unsafe { Frame::from_raw(frame) };
                    let sent = viewer.back.send_back(frame);
                    sent.then_some(&self.stats.xdp_sent)
                })
            }
            nb::xdp_action_XDP_REDIRECT => {
                // SAFETY: In the poll function, with what the program was run with; the pages are
                // given away if it succeeds.
                let done = unsafe { nb::xdp_do_redirect(dev, buff, program) } == 0;
                viewer.redirected |= done;
                done.then_some(Some(&self.stats.xdp_redirected))
            }
            _ => None,
        };
        match done {
            Some(Some(counter)) => counter.add(1),
            _ => self.stats.xdp_dropped.add(1),
        }
        if verdict != nb::xdp_action_XDP_DROP && !matches!(done, Some(Some(_))) {
            // SAFETY: A device and a program that are there.
            unsafe {
                if verdict > nb::xdp_action_XDP_REDIRECT {
                    nb::bpf_warn_invalid_xdp_action(dev, program, verdict);
                }
                nb::xdp_exception(dev, program, verdict);
            }
        }
        if done.is_some() {
            // INVARIANT: The pages are somebody else's, also those of a frame that could not be sent.
            self.gathered.pages = 0;
        } else {
            self.forget(true);
        }
        false
    }

    /// A frame goes on to the stack, as long and where the program has left it.
    fn pass(&mut self) -> bool {
        // SAFETY: By the invariant of what was gathered a frame of pages that are ours, in the poll
        // function; the packet has them then.
        self.frame = unsafe { nb::napi_build_xdp_skb(self.gathered.buff.get()) };
        if self.frame.is_null() {
            // The caller drops the frame.
            self.stats.no_memory.add(1);
            return false;
        }
        // INVARIANT: The pages are the packet's.
        self.gathered.pages = 0;
        true
    }
}
