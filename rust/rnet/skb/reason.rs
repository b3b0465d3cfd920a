// SPDX-License-Identifier: GPL-2.0

//! Why a packet is dropped.

use net_bindings as nb;

/// Why a packet is dropped, for `perf trace -e skb:kfree_skb`, `dropwatch` and bpftrace. C type:
/// `enum skb_drop_reason`, [`include/net/dropreason-core.h`](srctree/include/net/dropreason-core.h).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DropReason(nb::skb_drop_reason);

macro_rules! reasons {
    ($($(#[$meta:meta])* $name:ident = $raw:ident),+ $(,)?) => {
        impl DropReason {
            $(
                $(#[$meta])*
                pub const $name: Self = Self(nb::$raw);
            )+
        }
    };
}

reasons! {
    /// No reason is known. Say a better one where there is one.
    NOT_SPECIFIED = skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
    /// The device is not ready: down, or its hardware is gone.
    DEV_READY = skb_drop_reason_SKB_DROP_REASON_DEV_READY,
    /// A ring or queue is full.
    FULL_RING = skb_drop_reason_SKB_DROP_REASON_FULL_RING,
    /// Out of memory.
    NOMEM = skb_drop_reason_SKB_DROP_REASON_NOMEM,
    /// The headers are wrong: too short, or not what they claim.
    HDR_TRUNC = skb_drop_reason_SKB_DROP_REASON_HDR_TRUNC,
    /// Shorter than a frame can be.
    PKT_TOO_SMALL = skb_drop_reason_SKB_DROP_REASON_PKT_TOO_SMALL,
    /// Larger than the device can send.
    PKT_TOO_BIG = skb_drop_reason_SKB_DROP_REASON_PKT_TOO_BIG,
    /// A checksum could not be computed.
    SKB_CSUM = skb_drop_reason_SKB_DROP_REASON_SKB_CSUM,
    /// The CPU's backlog queue is full.
    CPU_BACKLOG = skb_drop_reason_SKB_DROP_REASON_CPU_BACKLOG,
}

impl DropReason {
    #[inline]
    pub(crate) fn as_raw(self) -> nb::skb_drop_reason {
        self.0
    }
}
