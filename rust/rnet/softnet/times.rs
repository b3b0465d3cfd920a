// SPDX-License-Identifier: GPL-2.0

//! When packets passed somewhere, kept beside them.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use net_bindings as nb;

use crate::trace::{
    PacketId,
    ProbeCx, //
};

/// One packet's times. The key is 0 when the slot is free, and odd while somebody writes the times.
struct Slot {
    key: Atomic<i64>,
    times: [Atomic<i64>; 2],
}

const LOCKED: u64 = 1;

impl Slot {
    #[inline(always)]
    fn key(&self) -> u64 {
        // SAFETY: A member of `self`. Pairs with the release in `fill()`.
        unsafe { nb::smp_load_acquire_u64(self.key.as_ptr().cast()) }
    }

    #[inline(always)]
    fn time(&self, which: usize) -> u64 {
        match self.times.get(which) {
            // SAFETY: A member of `self`.
            Some(time) => unsafe { nb::read_once_u64(time.as_ptr().cast()) },
            None => 0,
        }
    }

    /// Changes the key if it is still `old`.
    #[inline(always)]
    fn change(&self, old: u64, new: u64) -> bool {
        // SAFETY: A member of `self`.
        unsafe { nb::cmpxchg_u64(self.key.as_ptr().cast(), old, new) == old }
    }

    /// Takes the slot over from `old`. False if somebody else was faster.
    #[inline(always)]
    fn fill(&self, old: u64, key: u64, times: [u64; 2]) -> bool {
        if !self.change(old, key | LOCKED) {
            return false;
        }
        // SAFETY: Members of `self`; nobody else writes them while the key is locked.
        unsafe {
            for (slot, time) in self.times.iter().zip(times) {
                nb::write_once_u64(slot.as_ptr().cast(), time);
            }
            nb::smp_store_release_u64(self.key.as_ptr().cast(), key);
        }
        true
    }
}

/// A table of a fixed size that keeps two times for each of the packets that are on their way, found
/// by the packet. Nothing is written into the packet itself.
///
/// Packets that never arrive where their times are taken out leave them behind. Their places are
/// used again when there is no other ([`put`](Self::put) says so), oldest first.
pub struct PacketTimes {
    slots: KVVec<Slot>,
}

/// In so many places a packet may be.
const WINDOW: usize = 4;

impl PacketTimes {
    /// A table for `1 << bits` packets, at most 2^20. Process context. Errors: `ENOMEM`; `EINVAL`
    /// for a size that is out of range.
    pub fn new(bits: u32) -> Result<Self> {
        if !(4..=20).contains(&bits) {
            return Err(EINVAL);
        }
        let len = 1usize << bits;
        let mut slots = KVVec::with_capacity(len, GFP_KERNEL)?;
        for _ in 0..len {
            slots.push(
                Slot {
                    key: Atomic::new(0),
                    times: [Atomic::new(0), Atomic::new(0)],
                },
                GFP_KERNEL,
            )?;
        }
        Ok(Self { slots })
    }

    /// The places of a packet.
    #[inline(always)]
    fn window(&self, key: u64) -> impl Iterator<Item = &Slot> {
        // Packets come from a slab: neighbours differ in the middle bits.
        let hash = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize;
        let mask = self.slots.len().wrapping_sub(1);
        (0..WINDOW).filter_map(move |i| self.slots.get(hash.wrapping_add(i) & mask))
    }

    /// Remembers two times for a packet, the first of which says how old they are. False if times
    /// of another packet, or older ones of this, were given up for it, or these.
    #[inline(always)]
    pub fn put(&self, packet: PacketId, times: [u64; 2], _cx: &ProbeCx<'_>) -> bool {
        let key = packet.as_u64();
        let mut free = None;
        let mut oldest: Option<(&Slot, u64, u64)> = None;
        for slot in self.window(key) {
            let seen = slot.key();
            if seen == key {
                slot.fill(key, key, times);
                return false;
            }
            if seen == 0 {
                if free.is_none() {
                    free = Some(slot);
                }
            } else if seen & LOCKED == 0 && free.is_none() {
                let time = slot.time(0);
                if oldest.is_none_or(|(_, _, than)| time < than) {
                    oldest = Some((slot, seen, time));
                }
            }
        }
        if let Some(slot) = free {
            if slot.fill(0, key, times) {
                return true;
            }
            // Somebody else took it: there may be another.
            for slot in self.window(key) {
                if slot.fill(0, key, times) {
                    return true;
                }
            }
        }
        if let Some((slot, seen, _)) = oldest {
            slot.fill(seen, key, times);
        }
        false
    }

    /// Takes the times of a packet out.
    #[inline(always)]
    pub fn take(&self, packet: PacketId, _cx: &ProbeCx<'_>) -> Option<[u64; 2]> {
        let key = packet.as_u64();
        for slot in self.window(key) {
            if slot.key() == key {
                let times = [slot.time(0), slot.time(1)];
                // Not if it was given up for another packet meanwhile.
                return if slot.change(key, 0) {
                    Some(times)
                } else {
                    None
                };
            }
        }
        None
    }

    /// Forgets everything. Any context; what is put meanwhile may be forgotten or not.
    pub fn clear(&self) {
        for slot in &self.slots {
            let seen = slot.key();
            if seen & LOCKED == 0 {
                slot.change(seen, 0);
            }
        }
    }

    /// How many packets have times in the table now. Any context.
    pub fn len(&self) -> usize {
        self.slots
            .iter()
            .filter(|slot| slot.key.load(Relaxed) != 0)
            .count()
    }

    /// Whether no packet has times in the table now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
