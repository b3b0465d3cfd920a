// SPDX-License-Identifier: GPL-2.0

//! The standard interface counters.
//!
//! C header: [`include/uapi/linux/if_link.h`](srctree/include/uapi/linux/if_link.h)

use net_bindings as nb;

/// What `ip -s link`, `/proc/net/dev` and `/sys/class/net/*/statistics` report, to be filled by
/// [`Driver::stats64`](crate::netdev::Driver::stats64). C type: `struct rtnl_link_stats64`.
///
/// The core hands it over zeroed and adds the drops that it has counted itself afterwards.
#[repr(transparent)]
pub struct LinkStats(nb::rtnl_link_stats64);

macro_rules! fields {
    ($($(#[$meta:meta])* $set:ident = $field:ident),+ $(,)?) => {
        impl LinkStats {
            $(
                $(#[$meta])*
                #[inline]
                pub fn $set(&mut self, val: u64) -> &mut Self {
                    self.0.$field = val;
                    self
                }
            )+
        }
    };
}

fields! {
    /// Good packets received.
    rx_packets = rx_packets,
    /// Good packets handed to the device.
    tx_packets = tx_packets,
    /// Bytes of the good packets received.
    rx_bytes = rx_bytes,
    /// Bytes of the good packets transmitted.
    tx_bytes = tx_bytes,
    /// Bad packets received.
    rx_errors = rx_errors,
    /// Transmit problems.
    tx_errors = tx_errors,
    /// Packets received but not processed, such as for lack of memory.
    rx_dropped = rx_dropped,
    /// Packets dropped on their way to transmission.
    tx_dropped = tx_dropped,
    /// Multicast packets received.
    multicast = multicast,
}

impl LinkStats {
    /// # Safety
    ///
    /// `ptr` must be valid for reads and writes, and nothing else may access it, for `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut nb::rtnl_link_stats64) -> &'a mut Self {
        // SAFETY: By the requirement of this function; the type is transparent.
        unsafe { &mut *ptr.cast() }
    }
}
