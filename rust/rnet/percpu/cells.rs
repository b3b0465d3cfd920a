// SPDX-License-Identifier: GPL-2.0

//! Values that every CPU has one of.

use kernel::{
    cpu::CpuId,
    prelude::*, //
};
use net_bindings as nb;

use super::{
    possible_cpus,
    CounterSet,
    Counters, //
};

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// Proof that the code stays on its CPU: a probe ([`ProbeCx`](crate::trace::ProbeCx)) or a
/// transmit callback ([`XmitCx`](crate::skb::XmitCx)).
pub trait Pinned: sealed::Sealed {}

impl sealed::Sealed for crate::skb::XmitCx<'_> {}
impl Pinned for crate::skb::XmitCx<'_> {}

/// A block of 64-bit values for each CPU, zero at first. Each is read and written in one
/// instruction, so an interrupt sees it before or after, never half.
pub struct Cells<C: CounterSet>(Counters<C>);

impl<C: CounterSet> Cells<C> {
    /// Allocates the values. Process context. Errors: `ENOMEM`.
    pub fn new() -> Result<Self> {
        Ok(Self(Counters::new()?))
    }

    /// This CPU's value. C macro: `this_cpu_read()`.
    #[inline(always)]
    pub fn get(&self, c: C, _cx: &impl Pinned) -> u64 {
        match self.0.at(c) {
            // SAFETY: Points into a live per-CPU allocation.
            Some(ptr) => unsafe { nb::this_cpu_read_u64(ptr) },
            None => 0,
        }
    }

    /// Sets this CPU's value. C macro: `this_cpu_write()`.
    #[inline(always)]
    pub fn set(&self, c: C, val: u64, _cx: &impl Pinned) {
        if let Some(ptr) = self.0.at(c) {
            // SAFETY: Points into a live per-CPU allocation.
            unsafe { nb::this_cpu_write_u64(ptr, val) };
        }
    }

    /// Makes this CPU's value `val` if it is less. C macro: `this_cpu_cmpxchg()`.
    #[inline(always)]
    pub fn raise(&self, c: C, val: u64, cx: &impl Pinned) {
        let Some(ptr) = self.0.at(c) else {
            return;
        };
        let mut seen = self.get(c, cx);
        while seen < val {
            // SAFETY: Points into a live per-CPU allocation.
            let now = unsafe { nb::this_cpu_cmpxchg_u64(ptr, seen, val) };
            if now == seen {
                return;
            }
            seen = now;
        }
    }

    /// The value of `cpu`. Any context.
    pub fn read(&self, c: C, cpu: CpuId) -> u64 {
        self.0.read(c, cpu)
    }

    /// Sets the value of a CPU that may be setting it itself: the last one wins. Any context.
    pub fn write(&self, c: C, cpu: CpuId, val: u64) {
        // SAFETY: A `CpuId` is below `nr_cpu_ids`, as `cpu_possible()` wants.
        if !unsafe { nb::cpu_possible(cpu.as_u32()) } {
            return;
        }
        if let Some(ptr) = self.0.at(c) {
            // SAFETY: Points into a live per-CPU allocation, and `cpu` is possible.
            unsafe { nb::per_cpu_write_u64(ptr, cpu.as_u32(), val) };
        }
    }

    /// Makes a value 0 on every CPU, as [`write`](Self::write).
    pub fn clear(&self, c: C) {
        for cpu in possible_cpus() {
            self.write(c, cpu, 0);
        }
    }
}
