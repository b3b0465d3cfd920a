// SPDX-License-Identifier: GPL-2.0

//! What probes have seen, one record for each call, in the order in which they came.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        barrier::{
            smp_mb,
            Read, //
        },
    },
};

use super::ProbeCx;

/// Being written.
const LOCKED: i64 = -1;

/// One record and its number, counted from 1.
struct Record<const WORDS: usize> {
    number: Atomic<i64>,
    words: [Atomic<i64>; WORDS],
}

impl<const WORDS: usize> Record<WORDS> {
    /// False if somebody else is writing it.
    fn write(&self, number: i64, words: [u64; WORDS]) -> bool {
        let old = self.number.load(Relaxed);
        if old == LOCKED || self.number.cmpxchg(old, LOCKED, Full).is_err() {
            return false;
        }
        for (to, word) in self.words.iter().zip(words) {
            to.store(word as i64, Relaxed);
        }
        self.number.store(number, Release);
        true
    }

    /// The words, if it is the record of this number, now and when they have been read.
    fn read(&self, number: i64) -> Option<[u64; WORDS]> {
        if self.number.load(Acquire) != number {
            return None;
        }
        let mut words = [0; WORDS];
        for (to, word) in words.iter_mut().zip(&self.words) {
            *to = word.load(Relaxed) as u64;
        }
        smp_mb(Read);
        if self.number.load(Relaxed) == number {
            Some(words)
        } else {
            None
        }
    }
}

/// The last records of probes on all CPUs, in a table of a fixed size and without a lock: a new one
/// takes the place of the oldest.
///
/// # Examples
///
/// ```ignore
/// let log = EventLog::<2>::new(12)?;
/// // In a probe:
/// log.push([cx.now(), packet.len().into()], cx);
/// // Anywhere:
/// for [time, len] in log.iter() { /* ... */ }
/// ```
pub struct EventLog<const WORDS: usize> {
    records: KVVec<Record<WORDS>>,
    /// The number of the next record, and of the first one since the log was emptied.
    next: Atomic<i64>,
    first: Atomic<i64>,
    missed: Atomic<i64>,
}

impl<const WORDS: usize> EventLog<WORDS> {
    /// A log of `1 << bits` records, at most 2^20. Process context. Errors: `ENOMEM`; `EINVAL` for a
    /// size that is out of range.
    pub fn new(bits: u32) -> Result<Self> {
        if bits > 20 {
            return Err(EINVAL);
        }
        let len = 1usize << bits;
        let mut records = KVVec::with_capacity(len, GFP_KERNEL)?;
        for _ in 0..len {
            records.push(
                Record {
                    number: Atomic::new(0),
                    words: [const { Atomic::new(0) }; WORDS],
                },
                GFP_KERNEL,
            )?;
        }
        Ok(Self {
            records,
            next: Atomic::new(1),
            first: Atomic::new(1),
            missed: Atomic::new(0),
        })
    }

    /// The place of a record.
    fn at(&self, number: i64) -> Option<&Record<WORDS>> {
        let mask = self.records.len().wrapping_sub(1);
        self.records.get(number as usize & mask)
    }

    /// Adds a record. False, and counted, if its place is being written by somebody who has been
    /// overtaken by all other records.
    pub fn push(&self, words: [u64; WORDS], _cx: &ProbeCx<'_>) -> bool {
        let number = self.next.fetch_add(1, Relaxed);
        let written = self
            .at(number)
            .is_some_and(|record| record.write(number, words));
        if !written {
            self.missed.fetch_add(1, Relaxed);
        }
        written
    }

    /// The numbers of the records that are there.
    fn numbers(&self) -> core::ops::Range<i64> {
        let next = self.next.load(Relaxed);
        let oldest = next.saturating_sub(self.records.len() as i64);
        oldest.max(self.first.load(Relaxed))..next
    }

    /// The records, oldest first, without those that are being written or overwritten meanwhile. Any
    /// context.
    pub fn iter(&self) -> impl Iterator<Item = [u64; WORDS]> + '_ {
        self.numbers()
            .filter_map(|number| self.at(number)?.read(number))
    }

    /// How many records are not there any more, or never were, since it was emptied.
    pub fn lost(&self) -> u64 {
        let gone = self
            .numbers()
            .start
            .saturating_sub(self.first.load(Relaxed));
        gone.saturating_add(self.missed.load(Relaxed))
            .unsigned_abs()
    }

    /// Empties it. Any context; what is added meanwhile is there or not.
    pub fn clear(&self) {
        self.first.store(self.next.load(Relaxed), Relaxed);
        self.missed.store(0, Relaxed);
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_event_log)]
mod tests {
    use super::*;

    #[test]
    fn last_ones_stay() -> Result {
        let log = EventLog::<2>::new(2)?;
        let cx = ProbeCx::enter();
        for i in 0..7u64 {
            assert!(log.push([i, i * 2], &cx));
        }
        drop(cx);
        assert_eq!(log.lost(), 3);
        let mut expected = 3u64;
        for words in log.iter() {
            assert_eq!(words, [expected, expected * 2]);
            expected += 1;
        }
        assert_eq!(expected, 7);
        Ok(())
    }

    #[test]
    fn nothing_of_before() -> Result {
        let log = EventLog::<1>::new(3)?;
        for filling in 0..30u64 {
            assert_eq!(log.iter().count(), 0);
            let cx = ProbeCx::enter();
            log.push([filling], &cx);
            drop(cx);
            assert_eq!(log.iter().count(), 1);
            assert_eq!(log.iter().next(), Some([filling]));
            log.clear();
            assert_eq!(log.lost(), 0);
        }
        Ok(())
    }

    #[test]
    fn written_by_one() -> Result {
        let log = EventLog::<1>::new(0)?;
        let cx = ProbeCx::enter();
        assert!(log.push([1], &cx));
        // Somebody is in the middle of it.
        log.records[0].number.store(LOCKED, Relaxed);
        assert!(!log.push([2], &cx));
        drop(cx);
        assert_eq!(log.iter().count(), 0);
        assert_eq!(log.lost(), 2);
        Ok(())
    }

    #[test]
    fn sizes() {
        assert!(EventLog::<1>::new(21).is_err());
    }
}
