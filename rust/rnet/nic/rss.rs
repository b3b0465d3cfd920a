// SPDX-License-Identifier: GPL-2.0

//! How received frames are spread over the queues.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use net_bindings as nb;

/// Receive side scaling: a frame's hash, made with a key, chooses an entry of a table, and that a
/// queue. Kept by the layer, also while the device is down; written under RTNL.
///
/// # Examples
///
/// ```ignore
/// for (index, queue) in nic.rss().table().enumerate() {
///     io.write_index(index, Entry::new(queue));
/// }
/// ```
pub struct Rss {
    table: KVec<Atomic<u32>>,
    key: KVec<Atomic<u32>>,
    /// Over IPv4, over IPv6.
    udp_ports: [Atomic<bool>; 2],
}

impl Rss {
    /// A table of `entries` over `queues`, and a random key of `key` bytes, the same for all
    /// devices of this machine. Process context. Errors: `EINVAL` for a longer key than the core
    /// has; `ENOMEM`.
    pub(super) fn new(entries: u32, key: u32, queues: u32) -> Result<Self> {
        let mut this = Self {
            table: KVec::with_capacity(entries as usize, GFP_KERNEL)?,
            key: KVec::with_capacity(key as usize, GFP_KERNEL)?,
            udp_ports: [Atomic::new(false), Atomic::new(false)],
        };
        let mut bytes = [0u8; nb::NETDEV_RSS_KEY_LEN as usize];
        let bytes = bytes.get_mut(..key as usize).ok_or(EINVAL)?;
        // SAFETY: A buffer of this length.
        unsafe { nb::netdev_rss_key_fill(bytes.as_mut_ptr().cast(), bytes.len()) };
        for _ in 0..entries {
            this.table.push(Atomic::new(0), GFP_KERNEL)?;
        }
        for &mut byte in bytes {
            this.key.push(Atomic::new(byte.into()), GFP_KERNEL)?;
        }
        this.spread(queues);
        Ok(this)
    }

    /// Every queue in turn. C function: `ethtool_rxfh_indir_default()`.
    pub(super) fn spread(&self, queues: u32) {
        for (entry, place) in (0u32..).zip(&self.table) {
            place.store(entry.checked_rem(queues).unwrap_or(0), Relaxed);
        }
    }

    pub(super) fn set_table(&self, queues: &[u32]) {
        for (place, &queue) in self.table.iter().zip(queues) {
            place.store(queue, Relaxed);
        }
    }

    pub(super) fn set_key(&self, key: &[u8]) {
        for (place, &byte) in self.key.iter().zip(key) {
            place.store(byte.into(), Relaxed);
        }
    }

    pub(super) fn set_udp_ports(&self, v6: bool, on: bool) {
        let [four, six] = &self.udp_ports;
        (if v6 { six } else { four }).store(on, Relaxed);
    }

    /// Whether the ports of UDP over IPv4, or over IPv6, are to be in the hash, too, and not only
    /// the addresses. Off at first: fragments have no ports, so they would overtake each other.
    pub fn udp_ports(&self, v6: bool) -> bool {
        let [four, six] = &self.udp_ports;
        (if v6 { six } else { four }).load(Relaxed)
    }

    /// The queue of each entry, in order.
    pub fn table(&self) -> impl Iterator<Item = u32> + '_ {
        self.table.iter().map(|place| place.load(Relaxed))
    }

    /// The bytes of the key, in order.
    pub fn key(&self) -> impl Iterator<Item = u8> + '_ {
        self.key.iter().map(|place| place.load(Relaxed) as u8)
    }
}
