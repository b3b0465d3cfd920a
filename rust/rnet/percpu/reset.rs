// SPDX-License-Identifier: GPL-2.0

//! Counters that can be set back while they count.

use kernel::{
    cpu::{
        nr_cpu_ids,
        CpuId, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use super::{
    possible_cpus,
    CounterSet,
    Counters, //
};

/// [`Counters`] that can be reset at any time without losing or doubling a count: a reset remembers
/// what each stands at, and reading subtracts it.
pub struct Resettable<C: CounterSet> {
    counters: Counters<C>,
    /// By CPU, then by counter.
    base: KVVec<Atomic<i64>>,
}

impl<C: CounterSet> Resettable<C> {
    /// Allocates the counters, all zero. Process context. Errors: `ENOMEM`.
    pub fn new() -> Result<Self> {
        let len = C::LEN.checked_mul(nr_cpu_ids() as usize).ok_or(ENOMEM)?;
        let mut base = KVVec::with_capacity(len, GFP_KERNEL)?;
        for _ in 0..len {
            base.push(Atomic::new(0), GFP_KERNEL)?;
        }
        Ok(Self {
            counters: Counters::new()?,
            base,
        })
    }

    /// Adds to this CPU's counter. Any context.
    #[inline(always)]
    pub fn add(&self, c: C, val: u64) {
        self.counters.add(c, val);
    }

    fn base(&self, c: C, cpu: CpuId) -> Option<&Atomic<i64>> {
        let row = (cpu.as_u32() as usize).checked_mul(C::LEN)?;
        self.base.get(row.checked_add(c.index())?)
    }

    /// What `cpu` has counted since the last reset. Any context.
    pub fn read(&self, c: C, cpu: CpuId) -> u64 {
        let base = self.base(c, cpu).map_or(0, |base| base.load(Relaxed));
        self.counters.read(c, cpu).wrapping_sub(base as u64)
    }

    /// The sum over all CPUs.
    pub fn sum(&self, c: C) -> u64 {
        possible_cpus().fold(0, |sum, cpu| sum.wrapping_add(self.read(c, cpu)))
    }

    /// Makes one counter 0 on every CPU. Any context.
    pub fn reset(&self, c: C) {
        for cpu in possible_cpus() {
            if let Some(base) = self.base(c, cpu) {
                base.store(self.counters.read(c, cpu) as i64, Relaxed);
            }
        }
    }
}
