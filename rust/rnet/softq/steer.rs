// SPDX-License-Identifier: GPL-2.0

//! Where the thread of a receiving socket runs.
//!
//! RFS learns it when a socket is read, from a table that has to be set up. A device that carries
//! both directions of a flow knows it without: a thread that sends through it (data, or the
//! acknowledgement that a read of a TCP socket sends) runs here, and reads what comes back.

use core::cell::UnsafeCell;

use kernel::prelude::*;
use net_bindings as nb;

/// Entries; flows with the same one send each other's packets to the wrong CPU.
const FLOWS: usize = 2 << BITS;
const BITS: u32 = 9;

/// The CPUs of both ends of each flow. An entry is `CPU + 1`, or 0.
pub(super) struct Steer(KVec<UnsafeCell<u32>>);

// SAFETY: Entries are read and written whole.
unsafe impl Send for Steer {}
// SAFETY: See above.
unsafe impl Sync for Steer {}

/// A flow, and in which of its two directions a packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Direction(usize);

impl Direction {
    /// Of a packet of IP; `None` for what has no ports, or not where they are expected (options,
    /// extension headers, fragments).
    #[inline]
    pub(super) fn of(packet: &[u8]) -> Option<Self> {
        let first = *packet.first()?;
        let (from, to, header) = match first >> 4 {
            4 if first == 0x45 => {
                let fragment = packet.get(6)? & 0x3f | packet.get(7)?;
                let protocol = *packet.get(9)?;
                if fragment != 0 || (protocol != 6 && protocol != 17) {
                    return None;
                }
                (word(packet, 12)?, word(packet, 16)?, 20)
            }
            6 => {
                let protocol = *packet.get(6)?;
                if protocol != 6 && protocol != 17 {
                    return None;
                }
                let fold = |at: usize| {
                    Some(
                        word(packet, at)?
                            ^ word(packet, at.wrapping_add(4))?
                            ^ word(packet, at.wrapping_add(8))?
                            ^ word(packet, at.wrapping_add(12))?,
                    )
                };
                (fold(8)?, fold(24)?, 40)
            }
            _ => return None,
        };
        let ports = word(packet, header)?;
        let from = u64::from(from) << 16 | u64::from(ports >> 16);
        let to = u64::from(to) << 16 | u64::from(ports & 0xffff);
        // Symmetric, so that both directions find the same pair of entries.
        let hash = (from ^ to)
            .wrapping_add(from.wrapping_add(to))
            .wrapping_mul(0x61c8_8646_80b5_83eb);
        let pair = (hash >> (u64::BITS - BITS)) as usize;
        Some(Self((pair << 1) | usize::from(from < to)))
    }

    /// The other one.
    fn back(self) -> Self {
        Self(self.0 ^ 1)
    }
}

#[inline(always)]
fn word(packet: &[u8], at: usize) -> Option<u32> {
    let bytes = packet.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

impl Steer {
    /// A table that knows nothing. Errors: `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        let mut entries = KVec::with_capacity(FLOWS, GFP_KERNEL)?;
        for _ in 0..FLOWS {
            entries.push(UnsafeCell::new(0), GFP_KERNEL)?;
        }
        Ok(Self(entries))
    }

    /// A thread on this CPU has sent a packet.
    #[inline]
    pub(super) fn learn(&self, direction: Direction, cpu: u32) {
        if let Some(entry) = self.0.get(direction.0) {
            // SAFETY: Valid for reads and writes. Mostly it does not change.
            unsafe {
                if nb::read_once_u32(entry.get()) != cpu.wrapping_add(1) {
                    nb::write_once_u32(entry.get(), cpu.wrapping_add(1));
                }
            }
        }
    }

    /// Where the thread was last that such a packet is for.
    #[inline]
    pub(super) fn receiver(&self, direction: Direction) -> Option<u32> {
        let entry = self.0.get(direction.back().0)?;
        // SAFETY: Valid for reads.
        unsafe { nb::read_once_u32(entry.get()) }.checked_sub(1)
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_softq_steer)]
mod tests {
    use super::*;

    fn v4(from: u8, to: u8, ports: [u8; 4]) -> [u8; 28] {
        let mut packet = [0; 28];
        packet[0] = 0x45;
        packet[9] = 17;
        packet[12..16].copy_from_slice(&[127, 0, 0, from]);
        packet[16..20].copy_from_slice(&[127, 0, 0, to]);
        packet[20..24].copy_from_slice(&ports);
        packet
    }

    #[test]
    fn the_answer_finds_the_asker() {
        let Ok(steer) = Steer::new() else {
            return assert!(false);
        };
        let Some(there) = Direction::of(&v4(1, 2, [0x80, 0, 0, 53])) else {
            return assert!(false);
        };
        let Some(back) = Direction::of(&v4(2, 1, [0, 53, 0x80, 0])) else {
            return assert!(false);
        };
        assert!(there != back);
        assert!(there.back() == back);
        assert!(steer.receiver(back).is_none());
        steer.learn(there, 5);
        assert!(steer.receiver(back) == Some(5));
        assert!(steer.receiver(there).is_none());
    }

    #[test]
    fn the_same_address_on_both_ends() {
        let there = Direction::of(&v4(1, 1, [0x80, 0, 0, 53]));
        let back = Direction::of(&v4(1, 1, [0, 53, 0x80, 0]));
        assert!(there.is_some() && back.is_some() && there != back);
    }

    #[test]
    fn what_has_no_ports() {
        let whole = v4(1, 2, [0, 1, 0, 2]);
        for len in 0..24 {
            assert!(Direction::of(&whole[..len]).is_none());
        }
        let mut icmp = whole;
        icmp[9] = 1;
        assert!(Direction::of(&icmp).is_none());
        let mut fragment = whole;
        fragment[6] = 0x20;
        assert!(Direction::of(&fragment).is_none());
        let mut options = whole;
        options[0] = 0x46;
        assert!(Direction::of(&options).is_none());
        assert!(Direction::of(&[0x60; 44]).is_none());
    }
}
