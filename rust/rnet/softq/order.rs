// SPDX-License-Identifier: GPL-2.0

//! Which queue a flow may use, so that its packets stay in order.
//!
//! A flow is what one socket sends. It stays with the queue that has its last packet until that
//! one was delivered; only then it may go to another queue. RFS keeps flows in order in this way
//! (`struct rps_dev_flow`).

use core::cell::UnsafeCell;

use kernel::prelude::*;
use net_bindings as nb;

/// Flows are told apart by so many values of a hash; those with the same one wait for each other.
const FLOWS: usize = 1 << BITS;
const BITS: u32 = 12;

/// Where the last packet of a flow is. An entry is `(queue + 1) << 32 | number of the packet`.
///
/// A socket that is used by several threads at once has no order between them, and may lose an
/// entry of one to the other; so may two flows that have the same entry and send at the same moment
/// on two CPUs. One of them can be overtaken by itself then, if it changes its CPU just after.
pub(super) struct Order(KVec<UnsafeCell<u64>>);

// SAFETY: Entries are read and written whole.
unsafe impl Send for Order {}
// SAFETY: See above.
unsafe impl Sync for Order {}

/// The place of a flow in the table.
#[derive(Clone, Copy)]
pub(super) struct Flow(usize);

impl Flow {
    /// Of the socket at this address. What belongs to none is one flow.
    #[inline(always)]
    pub(super) fn of(sock: usize) -> Self {
        // Multiplicative hashing, as `hash_ptr()`: the upper bits are the good ones.
        let hash = (sock as u64).wrapping_mul(0x61c8_8646_80b5_83eb);
        Self((hash >> (u64::BITS - BITS)) as usize)
    }
}

/// Whether packet `number` is among the first `done` ones. Both wrap.
#[inline(always)]
pub(super) fn delivered(done: u32, number: u32) -> bool {
    done.wrapping_sub(number) as i32 >= 0
}

impl Order {
    /// A table without flows. Errors: `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        let mut entries = KVec::with_capacity(FLOWS, GFP_KERNEL)?;
        for _ in 0..FLOWS {
            entries.push(UnsafeCell::new(0), GFP_KERNEL)?;
        }
        Ok(Self(entries))
    }

    /// The queue that the flow has to stay with, if its last packet is still there. `done` says
    /// how many packets of a queue were delivered.
    #[inline(always)]
    pub(super) fn bound_to(&self, flow: Flow, done: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let entry = self.0.get(flow.0)?;
        // SAFETY: Valid for reads.
        let entry = unsafe { nb::read_once_u64(entry.get()) };
        let queue = ((entry >> 32) as u32).checked_sub(1)?;
        if delivered(done(queue)?, entry as u32) {
            return None;
        }
        Some(queue)
    }

    /// Flows may leave the queues from `active` on, which are empty: numbers wrap, and those of a
    /// queue that is not used stand still.
    pub(super) fn forget(&self, active: u32) {
        for entry in &self.0 {
            // SAFETY: Valid for reads and writes.
            unsafe {
                if (nb::read_once_u64(entry.get()) >> 32) as u32 > active {
                    nb::write_once_u64(entry.get(), 0);
                }
            }
        }
    }

    /// Packet `number` of `queue` is the last one of the flow.
    #[inline(always)]
    pub(super) fn note(&self, flow: Flow, queue: u32, number: u32) {
        if let Some(entry) = self.0.get(flow.0) {
            let value = (u64::from(queue).wrapping_add(1) << 32) | u64::from(number);
            // SAFETY: Valid for writes.
            unsafe { nb::write_once_u64(entry.get(), value) };
        }
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_softq_order)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_waits_for_its_last_packet() {
        let Ok(order) = Order::new() else {
            return assert!(false);
        };
        let flow = Flow::of(0xffff_8880_1234_5600);
        assert!(order.bound_to(flow, |_| Some(0)).is_none());
        order.note(flow, 3, 10);
        assert!(order.bound_to(flow, |_| Some(9)) == Some(3));
        assert!(order.bound_to(flow, |_| Some(10)).is_none());
        assert!(order.bound_to(flow, |_| Some(11)).is_none());
        // A queue that is not there any more holds nobody.
        assert!(order.bound_to(flow, |_| None).is_none());
        order.note(flow, 0, 12);
        assert!(order.bound_to(flow, |queue| Some(queue)) == Some(0));
    }

    #[test]
    fn numbers_wrap() {
        assert!(delivered(0, 0));
        assert!(delivered(5, u32::MAX));
        assert!(!delivered(u32::MAX, 5));
        assert!(!delivered(u32::MAX, 0));
    }

    #[test]
    fn every_flow_has_a_place() {
        let mut seen = 0usize;
        for sock in 0..4096usize {
            let place = Flow::of(sock << 6).0;
            assert!(place < FLOWS);
            seen = seen.max(place);
        }
        assert!(seen > FLOWS / 2);
    }
}
