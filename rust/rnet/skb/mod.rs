// SPDX-License-Identifier: GPL-2.0

//! Packets: `struct sk_buff`.
//!
//! A transmit callback gets its packet as a [`TxSkb`], a value that can be moved but not copied, and
//! answers with an [`Xmit`] verdict. `Xmit::Taken` needs the [`Disposed`] token that only giving
//! the packet away returns; `Xmit::Busy` needs the packet itself. Both are branded with the call
//! (`'call`), so neither can come from another packet, another call or thin air.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

mod headers;
mod looped;
mod offload;
mod reason;
mod xmit;

pub use headers::Headers;
pub use looped::{
    IpProtocol,
    Looped,
    TooShort, //
};
pub use offload::{
    Likeness,
    Offload,
    Segmentation,
    Transport,
    Wanted, //
};
pub use reason::DropReason;
pub use xmit::{
    Busy,
    Disposed,
    NoQueue,
    Qdisc,
    Queueing,
    TxSkb,
    Xmit,
    XmitCx, //
};

use core::ptr::NonNull;

use net_bindings as nb;

/// A packet that the driver owns, made by [`TxSkb::take`]. Dropping it frees the packet as lost.
///
/// # Invariants
///
/// `ptr` is a valid packet, owned by this value, with a reference-counted route or none.
pub struct Skb {
    ptr: NonNull<nb::sk_buff>,
}

// SAFETY: A packet belongs to whoever owns it, not to a thread.
unsafe impl Send for Skb {}

impl Skb {
    /// Length in bytes, header and fragments together. C member: `skb->len`.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::skb_len(self.ptr.as_ptr()) }
    }

    /// Frees the packet as delivered (drop monitors do not count it). Any context. C function:
    /// `dev_consume_skb_any()`.
    pub fn consume(self) {
        let ptr = self.into_raw();
        // SAFETY: We own the packet and give it away.
        unsafe { nb::dev_consume_skb_any(ptr) };
    }

    /// Frees the packet as lost, for `reason`. Any context. C function:
    /// `dev_kfree_skb_any_reason()`.
    pub fn drop_with(self, reason: DropReason) {
        let ptr = self.into_raw();
        // SAFETY: We own the packet and give it away.
        unsafe { nb::dev_kfree_skb_any_reason(ptr, reason.as_raw()) };
    }

    fn into_raw(self) -> *mut nb::sk_buff {
        let ptr = self.ptr.as_ptr();
        core::mem::forget(self);
        ptr
    }
}

impl Drop for Skb {
    fn drop(&mut self) {
        // SAFETY: We own the packet and give it away.
        unsafe {
            nb::dev_kfree_skb_any_reason(self.ptr.as_ptr(), DropReason::NOT_SPECIFIED.as_raw())
        };
    }
}
