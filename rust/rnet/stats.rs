// SPDX-License-Identifier: GPL-2.0

//! The standard interface counters.
//!
//! C header: [`include/uapi/linux/if_link.h`](srctree/include/uapi/linux/if_link.h)

use core::cell::UnsafeCell;

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
    /// Frames whose length was wrong.
    rx_length_errors = rx_length_errors,
    /// Frames that the device had no buffer for.
    rx_missed_errors = rx_missed_errors,
    /// Frames with a wrong CRC.
    rx_crc_errors = rx_crc_errors,
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

/// A counter with one writer: a queue in its own context. It wraps at 2^64.
#[derive(Default)]
pub struct Count(UnsafeCell<u64>);

// SAFETY: A word that is read and written as a whole; a second writer could only lose a count.
unsafe impl Sync for Count {}

impl Count {
    /// Adds `n`.
    #[inline(always)]
    pub fn add(&self, n: u64) {
        // SAFETY: Valid and aligned; volatile, so that it is written as a whole.
        unsafe {
            let ptr = self.0.get();
            ptr.write_volatile(ptr.read_volatile().wrapping_add(n));
        }
    }

    /// The value now. Any context.
    #[inline]
    pub fn get(&self) -> u64 {
        // SAFETY: Valid and aligned; volatile, so that it is read as a whole.
        unsafe { self.0.get().read_volatile() }
    }
}
