// SPDX-License-Identifier: GPL-2.0

//! From the cycles of a device's clock to nanoseconds.

/// A count of cycles, and the time that it stands for. A cycle is a nanosecond divided by a power
/// of two; counts go round at 2^64.
///
/// C type: `struct timecounter`.
pub(super) struct TimeCounter {
    shift: u32,
    cycles: u64,
    ns: u64,
    /// Of a nanosecond, in cycles.
    rest: u64,
}

impl TimeCounter {
    /// `shift`: how many bits of a count are less than a nanosecond.
    pub(super) fn new(shift: u32, ns: u64) -> Self {
        Self {
            shift: shift & 63,
            cycles: 0,
            ns,
            rest: 0,
        }
    }

    /// The time at the count that was last told.
    pub(super) fn ns(&self) -> u64 {
        self.ns
    }

    /// The whole nanoseconds from the last count to this one, rounded down, and what is left. Half
    /// of all counts lie before the last one.
    fn since(&self, cycles: u64) -> (i64, u64) {
        let passed = cycles.wrapping_sub(self.cycles);
        let mask = 1u64.wrapping_shl(self.shift).wrapping_sub(1);
        let rest = (passed & mask).wrapping_add(self.rest);
        let whole = (passed as i64) >> self.shift;
        let carry = rest >> self.shift;
        (whole.wrapping_add_unsigned(carry), rest & mask)
    }

    /// The time at a count, which may be before the last one: that of a stamp.
    pub(super) fn at(&self, cycles: u64) -> u64 {
        self.ns.wrapping_add_signed(self.since(cycles).0)
    }

    /// The clock has reached this count.
    pub(super) fn advance(&mut self, cycles: u64) {
        let (passed, rest) = self.since(cycles);
        self.ns = self.ns.wrapping_add_signed(passed);
        self.rest = rest;
        self.cycles = cycles;
    }

    /// This count is that time.
    pub(super) fn set(&mut self, cycles: u64, ns: u64) {
        self.cycles = cycles;
        self.set_ns(ns);
    }

    /// The last count is that time.
    pub(super) fn set_ns(&mut self, ns: u64) {
        self.ns = ns;
        self.rest = 0;
    }

    /// Shifts the time.
    pub(super) fn adjust(&mut self, delta: i64) {
        self.ns = self.ns.wrapping_add_signed(delta);
    }

    /// Whether a clock that goes at most twice as fast as it should may have come to this count in
    /// `passed` nanoseconds: not when it was reset or stands still.
    /// Nor when it may have gone round meanwhile.
    pub(super) fn is_likely(&self, cycles: u64, passed: u64) -> bool {
        const SECOND: u64 = 1_000_000_000;
        if cycles == self.cycles {
            return passed < SECOND / 1000;
        }
        let most = passed.saturating_mul(2).saturating_add(SECOND);
        if most > i64::MAX as u64 >> self.shift {
            return false;
        }
        u64::try_from(self.since(cycles).0).is_ok_and(|counted| counted <= most)
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_timecounter)]
mod tests {
    use super::*;

    /// A nanosecond in cycles.
    const NS: u64 = 1 << 19;

    #[test]
    fn fractions_add_up() {
        let mut counter = TimeCounter::new(19, 1000);
        let mut cycles = 0u64;
        for _ in 0..1000 {
            cycles += NS / 4 + 1;
            counter.advance(cycles);
        }
        assert_eq!(counter.ns(), 1000 + cycles / NS);
        assert_eq!(counter.rest, cycles % NS);
    }

    #[test]
    fn goes_round() {
        let mut counter = TimeCounter::new(19, 0);
        counter.set(u64::MAX - 10 * NS + 1, 500);
        assert_eq!(counter.at(20 * NS), 530);
        counter.advance(20 * NS);
        assert_eq!(counter.ns(), 530);
        assert_eq!(counter.at(0), 510);
    }

    #[test]
    fn stamps_of_the_past() {
        let mut counter = TimeCounter::new(19, 0);
        counter.set(1000 * NS, 5000);
        assert_eq!(counter.at(999 * NS), 4999);
        assert_eq!(counter.at(999 * NS + 1), 4999);
        assert_eq!(counter.at(1000 * NS - 1), 4999);
        assert_eq!(counter.at(1000 * NS), 5000);
        assert_eq!(counter.at(1001 * NS - 1), 5000);
        counter.advance(1000 * NS + NS / 2);
        assert_eq!(counter.at(1001 * NS), 5001);
        assert_eq!(counter.at(1000 * NS), 5000);
    }

    #[test]
    fn shifted() {
        let mut counter = TimeCounter::new(19, 1000);
        counter.adjust(-400);
        assert_eq!(counter.at(7 * NS), 607);
        counter.adjust(1 << 40);
        assert_eq!(counter.at(0), 600 + (1 << 40));
        counter.adjust(i64::MIN);
        counter.adjust(i64::MIN);
        assert_eq!(counter.ns(), 600 + (1 << 40));
    }

    #[test]
    fn unlikely_counts() {
        let mut counter = TimeCounter::new(19, 0);
        counter.set(1000 * NS, 0);
        assert!(counter.is_likely(2000 * NS, 1000));
        assert!(counter.is_likely(1000 * NS, 0));
        assert!(!counter.is_likely(1000 * NS, 1_000_000));
        assert!(!counter.is_likely(999 * NS, 1_000_000));
        assert!(counter.is_likely(1_000_001_000 * NS, 0));
        assert!(!counter.is_likely(1_000_001_001 * NS, 0));
        assert!(counter.is_likely(2000 * NS, 2 * 3600 * 1_000_000_000));
        assert!(!counter.is_likely(2000 * NS, 3 * 3600 * 1_000_000_000));
    }
}
