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
    /// Shows a frame to the program. True when it is to go on to the stack, as `frame`.
    ///
    /// A program sees frames in one buffer only: one that has more, which can come with all frames
    /// let in, is dropped, also one whose first buffers came before there was a program.
    #[cold]
    pub(super) fn show(
        &mut self,
        viewer: &mut Viewer<'_>,
        page: *mut nb::page,
        len: u32,
        last: bool,
    ) -> bool {
        if !last || len < SHORTEST || !self.frame.is_null() {
            self.stats.length_errors.add(1);
            self.put(page);
            return false;
        }
        let buff = Opaque::<nb::xdp_buff>::uninit();
        let (buff, program, dev) = (buff.get(), viewer.program.as_ptr(), self.netdev.as_ptr());
        // SAFETY: A page of our pool that the device has written `len` bytes to, which are inside
        // the buffer. The program was loaded in this poll function; softirqs are off.
        let verdict = unsafe {
            nb::page_pool_sync_for_cpu(self.pool.as_ptr(), page, 0, len);
            nb::xdp_prepare(buff, self.rxq.as_raw(), page, HEADROOM, len);
            nb::xdp_run(program, buff)
        };
        if verdict == nb::xdp_action_XDP_PASS {
            // SAFETY: The program has left a frame inside the page, of which this is ours.
            unsafe { return self.pass(page, buff) };
        }
        self.stats.packets.add(1);
        self.stats.bytes.add(len.into());
        let done = match verdict {
            nb::xdp_action_XDP_DROP => None,
            nb::xdp_action_XDP_TX => {
                // SAFETY: The program has left a frame inside the page. Ours if there is no room for
                // what belongs to a frame, else the frame's.
                NonNull::new(unsafe { nb::xdp_to_frame(buff) }).map(|frame| {
                    // SAFETY: The page was ours, and with it the frame.
                    let frame = unsafe { Frame::from_raw(frame) };
                    let sent = viewer.back.send_back(frame);
                    sent.then_some(&self.stats.xdp_sent)
                })
            }
            nb::xdp_action_XDP_REDIRECT => {
                // SAFETY: In the poll function, with what the program was run with; the page is
                // given away if it succeeds.
                let done = unsafe { nb::xdp_do_redirect(dev, buff, program) } == 0;
                viewer.redirected |= done;
                done.then_some(Some(&self.stats.xdp_redirected))
            }
            _ => None,
        };
        match done {
            Some(Some(counter)) => counter.add(1),
            // The frame went the way of the page.
            Some(None) => self.stats.xdp_dropped.add(1),
            None => {
                self.stats.xdp_dropped.add(1);
                self.put(page);
            }
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
        false
    }

    /// A frame goes on to the stack, as long and where the program has left it.
    ///
    /// # Safety
    ///
    /// `buff` must be a frame in `page`, which must be of our pool, and ours.
    unsafe fn pass(&mut self, page: *mut nb::page, buff: *const nb::xdp_buff) -> bool {
        // SAFETY: By the requirement; what is in front of the frame in the page is for metadata.
        self.frame = unsafe {
            let skb = nb::napi_build_page_skb(page, nb::xdp_offset(buff), nb::xdp_len(buff));
            let metadata = nb::xdp_metadata(buff);
            if !skb.is_null() && metadata != 0 {
                nb::skb_set_metadata(skb, metadata);
            }
            skb
        };
        if self.frame.is_null() {
            self.stats.no_memory.add(1);
            self.put(page);
        }
        !self.frame.is_null()
    }
}
