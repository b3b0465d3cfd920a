// SPDX-License-Identifier: GPL-2.0

//! Messages that a packet, a peer or a user can cause at any rate.

/// True when a message may be printed now. C function: `net_ratelimit()`.
#[doc(hidden)]
pub fn __net_ratelimit() -> bool {
    // SAFETY: No requirement; callable in any context.
    unsafe { net_bindings::net_ratelimit() != 0 }
}

/// `pr_warn!`, limited by the network stack's own rate limit
/// (`/proc/sys/net/core/message_cost`). C macro: `net_warn_ratelimited()`.
#[macro_export]
macro_rules! net_warn_ratelimited {
    ($($arg:tt)*) => {
        if $crate::__net_ratelimit() {
            $crate::kernel::pr_warn!($($arg)*)
        }
    };
}

/// `pr_info!`, limited by the network stack's own rate limit. C macro: `net_info_ratelimited()`.
#[macro_export]
macro_rules! net_info_ratelimited {
    ($($arg:tt)*) => {
        if $crate::__net_ratelimit() {
            $crate::kernel::pr_info!($($arg)*)
        }
    };
}
