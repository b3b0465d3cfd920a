// SPDX-License-Identifier: GPL-2.0

//! How long interrupts are held back.

use core::cell::Cell;

use kernel::sync::{
    atomic::{
        Atomic,
        Relaxed, //
    },
    barrier::{
        smp_mb,
        Full, //
    }, //
};
use net_bindings as nb;

/// What `ethtool -C` sets. Kept also while the device is down; written under RTNL.
pub(super) struct Moderation {
    /// The time that was asked for, in microseconds.
    usecs: Atomic<u32>,
    adaptive: Atomic<bool>,
}

impl Moderation {
    pub(super) fn new() -> Self {
        Self {
            usecs: Atomic::new(0),
            adaptive: Atomic::new(true),
        }
    }

    pub(super) fn get(&self) -> (u32, bool) {
        (self.usecs.load(Relaxed), self.adaptive.load(Relaxed))
    }

    /// The caller sets the vectors after this. A vector that adapts itself meanwhile does so
    /// before, or asks [`still_adaptive`](Self::still_adaptive) after it and sees it.
    pub(super) fn set(&self, usecs: u32, adaptive: bool) {
        self.usecs.store(usecs, Relaxed);
        self.adaptive.store(adaptive, Relaxed);
        smp_mb(Full);
    }

    /// To be asked by a vector that has just set itself to something: if this is false, somebody
    /// may have set it before, and it has to be set to [`first`](Self::first).
    pub(super) fn still_adaptive(&self) -> bool {
        smp_mb(Full);
        self.adaptive.load(Relaxed)
    }

    /// What a vector begins with.
    pub(super) fn first(&self) -> u32 {
        match self.get() {
            (_, true) => 0,
            (usecs, false) => usecs,
        }
    }
}

/// What has come and gone on the queues of a vector lately.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Frames received in a second.
    pub rate: u64,
    /// Bytes of a received frame, on average.
    pub bytes: u64,
    /// Whether at least twice as many frames come as go: nobody waits for an answer to each.
    pub one_way: bool,
}

/// So many frames are looked at together.
const WINDOW: u64 = 128;

/// While interrupts are held back, so many polls are enough: what comes then may be no flood any
/// more, of which this many frames would take long.
const POLLS: u32 = 16;

/// Totals of a vector's queues.
#[derive(Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) received: u64,
    pub(super) bytes: u64,
    pub(super) sent: u64,
}

impl Totals {
    #[inline]
    pub(super) fn add(&mut self, other: Self) {
        self.received = self.received.wrapping_add(other.received);
        self.bytes = self.bytes.wrapping_add(other.bytes);
        self.sent = self.sent.wrapping_add(other.sent);
    }
}

/// What a vector's NAPI remembers to adapt the vector.
pub(super) struct Adapt {
    at: Cell<Totals>,
    nanos: Cell<u64>,
    polls: Cell<u32>,
}

impl Adapt {
    pub(super) fn new() -> Self {
        Self {
            at: Cell::new(Totals::default()),
            nanos: Cell::new(0),
            polls: Cell::new(0),
        }
    }

    /// The load since the last window ended, if another one has ended; `held` says whether
    /// interrupts are held back. In the poll function of the vector.
    #[inline]
    pub(super) fn window(&self, now: Totals, held: bool) -> Option<Load> {
        let polls = self.polls.get().wrapping_add(1);
        self.polls.set(polls);
        let frames = now.received.wrapping_sub(self.at.get().received);
        if frames < WINDOW && !(held && polls >= POLLS) {
            return None;
        }
        self.polls.set(0);
        Some(self.load(now))
    }

    #[cold]
    fn load(&self, now: Totals) -> Load {
        // SAFETY: No requirement; any context.
        let nanos = unsafe { nb::ktime_get_mono_fast_ns() };
        let time = nanos.wrapping_sub(self.nanos.replace(nanos)).max(1);
        let before = self.at.replace(now);
        let frames = now.received.wrapping_sub(before.received);
        let bytes = now.bytes.wrapping_sub(before.bytes);
        let sent = now.sent.wrapping_sub(before.sent);
        Load {
            rate: frames
                .saturating_mul(1_000_000_000)
                .checked_div(time)
                .unwrap_or(0),
            bytes: bytes.checked_div(frames).unwrap_or(0),
            one_way: sent.saturating_mul(2) <= frames,
        }
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_moderation)]
mod tests {
    use super::*;

    fn totals(received: u64, bytes: u64, sent: u64) -> Totals {
        Totals {
            received,
            bytes,
            sent,
        }
    }

    #[test]
    fn windows() {
        let adapt = Adapt::new();
        assert!(adapt.window(totals(WINDOW - 1, 0, 0), false).is_none());
        let load = adapt
            .window(totals(WINDOW, WINDOW * 60, WINDOW / 2), false)
            .unwrap();
        assert!(load.bytes == 60 && load.one_way);
        let now = totals(WINDOW, WINDOW * 60, WINDOW);
        assert!(adapt.window(now, false).is_none());
        let load = adapt
            .window(totals(2 * WINDOW, WINDOW * 160, 2 * WINDOW), false)
            .unwrap();
        assert!(load.bytes == 100 && !load.one_way);
    }

    #[test]
    fn few_while_held_back() {
        let adapt = Adapt::new();
        for _ in 1..POLLS {
            assert!(adapt.window(totals(3, 0, 0), true).is_none());
        }
        assert!(adapt
            .window(totals(3, 0, 3), true)
            .is_some_and(|load| !load.one_way));
        assert!(adapt.window(totals(3, 0, 3), true).is_none());
    }
}
