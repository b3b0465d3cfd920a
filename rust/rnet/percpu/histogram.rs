// SPDX-License-Identifier: GPL-2.0

//! How values are distributed: by powers of two, with their sum and the largest.

use kernel::{
    cpu::CpuId,
    prelude::*, //
};

use super::{
    possible_cpus,
    Cells,
    CounterSet,
    Pinned,
    Resettable, //
};
use crate::log2::Log2;

/// The counters of a histogram: its buckets, and behind them the sum.
#[derive(Clone, Copy)]
enum Part<const N: usize> {
    Bucket(Log2<N>),
    Sum,
}

impl<const N: usize> CounterSet for Part<N> {
    const LEN: usize = N + 1;

    #[inline(always)]
    fn index(self) -> usize {
        match self {
            Part::Bucket(bucket) => bucket.index(),
            Part::Sum => N,
        }
    }
}

crate::counters! {
    enum Extreme { Max }
}

/// A histogram with `N` buckets ([`Log2`]) on each CPU.
///
/// # Examples
///
/// ```ignore
/// let waits = Histogram::<40>::new()?;
/// // In a probe:
/// waits.record(cx.now().wrapping_sub(then), cx);
/// // Anywhere:
/// pr_info!("{} waits, the longest {} ns\n", waits.count(None), waits.max(None));
/// ```
pub struct Histogram<const N: usize> {
    parts: Resettable<Part<N>>,
    max: Cells<Extreme>,
}

impl<const N: usize> Histogram<N> {
    /// Allocates it, empty. Process context. Errors: `ENOMEM`.
    pub fn new() -> Result<Self> {
        Ok(Self {
            parts: Resettable::new()?,
            max: Cells::new()?,
        })
    }

    /// Counts a value on this CPU.
    #[inline(always)]
    pub fn record(&self, val: u64, cx: &impl Pinned) {
        self.parts.add(Part::Bucket(Log2::of(val)), 1);
        self.parts.add(Part::Sum, val);
        self.max.raise(Extreme::Max, val, cx);
    }

    fn read(&self, part: Part<N>, cpu: Option<CpuId>) -> u64 {
        match cpu {
            Some(cpu) => self.parts.read(part, cpu),
            None => self.parts.sum(part),
        }
    }

    /// The values in a bucket, of a CPU or all. Any context.
    pub fn bucket(&self, bucket: Log2<N>, cpu: Option<CpuId>) -> u64 {
        self.read(Part::Bucket(bucket), cpu)
    }

    /// How many values there were.
    pub fn count(&self, cpu: Option<CpuId>) -> u64 {
        Log2::all().fold(0, |sum: u64, b| sum.wrapping_add(self.bucket(b, cpu)))
    }

    /// The sum of the values.
    pub fn sum(&self, cpu: Option<CpuId>) -> u64 {
        self.read(Part::Sum, cpu)
    }

    /// The largest value.
    pub fn max(&self, cpu: Option<CpuId>) -> u64 {
        match cpu {
            Some(cpu) => self.max.read(Extreme::Max, cpu),
            None => possible_cpus()
                .map(|cpu| self.max.read(Extreme::Max, cpu))
                .max()
                .unwrap_or(0),
        }
    }

    /// Empties it. What is recorded meanwhile may be left in some of the numbers.
    pub fn reset(&self) {
        for bucket in Log2::all() {
            self.parts.reset(Part::Bucket(bucket));
        }
        self.parts.reset(Part::Sum);
        self.max.clear(Extreme::Max);
    }
}
