// SPDX-License-Identifier: GPL-2.0

//! Words that every packet reads. The kernel crate's atomics are calls.

use core::cell::UnsafeCell;

use net_bindings as nb;

/// A word that several CPUs read and write.
pub(super) struct Word(UnsafeCell<u32>);

// SAFETY: Read and written whole.
unsafe impl Sync for Word {}

impl Word {
    pub(super) const fn new(val: u32) -> Self {
        Self(UnsafeCell::new(val))
    }

    #[inline(always)]
    pub(super) fn get(&self) -> u32 {
        // SAFETY: Valid for reads.
        unsafe { nb::read_once_u32(self.0.get()) }
    }

    #[inline(always)]
    pub(super) fn set(&self, val: u32) {
        // SAFETY: Valid for writes.
        unsafe { nb::write_once_u32(self.0.get(), val) };
    }

    /// A full barrier.
    #[inline(always)]
    pub(super) fn swap(&self, val: u32) -> u32 {
        // SAFETY: Valid for reads and writes.
        unsafe { nb::xchg_u32(self.0.get(), val) }
    }
}

/// A counter.
pub(super) struct Count(UnsafeCell<u64>);

// SAFETY: Read whole, and added to atomically.
unsafe impl Sync for Count {}

impl Count {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    #[inline(always)]
    pub(super) fn get(&self) -> u64 {
        // SAFETY: Valid for reads.
        unsafe { nb::read_once_u64(self.0.get()) }
    }

    #[inline(always)]
    pub(super) fn add(&self, val: u64) {
        // SAFETY: Valid for reads and writes.
        unsafe { nb::atomic_add_u64(self.0.get(), val) };
    }

    /// For a counter that nobody else adds to.
    #[inline(always)]
    pub(super) fn bump(&self) {
        // SAFETY: Valid for reads and writes.
        unsafe { nb::write_once_u64(self.0.get(), self.get().wrapping_add(1)) };
    }
}
