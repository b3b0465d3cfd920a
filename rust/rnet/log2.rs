// SPDX-License-Identifier: GPL-2.0

//! Histograms by powers of two.

use crate::percpu::CounterSet;

/// A bucket of a histogram with `N` buckets, to be counted in
/// [`Counters`](crate::percpu::Counters).
///
/// Bucket 0 holds the value 0, bucket `i` the values from 2^(i-1) to 2^i - 1, and the last one also
/// everything above: the number of significant bits is the bucket.
///
/// # Invariants
///
/// The number is below `N`.
///
/// # Examples
///
/// ```ignore
/// let lengths = Counters::<Log2<21>>::new()?;
/// lengths.add(Log2::of(u64::from(len)), 1);
/// for bucket in Log2::<21>::all() {
///     pr_info!("up to {}: {}\n", bucket.last(), lengths.sum(bucket));
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Log2<const N: usize>(usize);

impl<const N: usize> Log2<N> {
    /// The bucket of a value. Any context.
    #[inline(always)]
    pub const fn of(value: u64) -> Self {
        const {
            assert!(
                N > 1 && N <= 65,
                "a 64-bit value has at most 64 significant bits"
            )
        };
        // Never 0, which the instruction for this does not know.
        let bits = if value > i64::MAX as u64 {
            64
        } else {
            (value << 1 | 1).ilog2()
        };
        let last = N as u32 - 1;
        // INVARIANT: Both are below `N`.
        Self(if bits < last { bits } else { last } as usize)
    }

    /// The largest value of this bucket; `u64::MAX` for the last one.
    pub const fn last(self) -> u64 {
        if self.0 + 1 >= N {
            return u64::MAX;
        }
        match 1u64.checked_shl(self.0 as u32) {
            Some(next) => next - 1,
            None => u64::MAX,
        }
    }

    /// All buckets, from the one that holds 0.
    pub fn all() -> impl Iterator<Item = Self> {
        // INVARIANT: The range ends before `N`.
        (0..N).map(Self)
    }
}

impl<const N: usize> CounterSet for Log2<N> {
    const LEN: usize = N;

    #[inline(always)]
    fn index(self) -> usize {
        self.0
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_log2)]
mod tests {
    use super::*;

    #[test]
    fn borders() {
        for bits in 0..64u32 {
            let first = if bits == 0 { 0 } else { 1u64 << (bits - 1) };
            let last = (1u64 << bits) - 1;
            assert_eq!(Log2::<65>::of(first).index(), bits as usize);
            assert_eq!(Log2::<65>::of(last).index(), bits as usize);
            assert_eq!(Log2::<65>::of(last).last(), last);
        }
        assert_eq!(Log2::<65>::of(u64::MAX).index(), 64);
        assert_eq!(Log2::<65>::of(u64::MAX).last(), u64::MAX);
    }

    #[test]
    fn last_bucket_takes_the_rest() {
        assert_eq!(Log2::<21>::of((1 << 20) - 1).index(), 20);
        assert_eq!(Log2::<21>::of(1 << 20).index(), 20);
        assert_eq!(Log2::<21>::of(u64::MAX).index(), 20);
        assert_eq!(Log2::<21>::of(u64::MAX).last(), u64::MAX);
    }

    #[test]
    fn all_in_order() {
        let mut count = 0;
        for (place, bucket) in Log2::<5>::all().enumerate() {
            assert_eq!(bucket.index(), place);
            count += 1;
        }
        assert_eq!(count, Log2::<5>::LEN);
    }
}
