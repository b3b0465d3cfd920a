// SPDX-License-Identifier: GPL-2.0

//! When packets are held back, so that several are delivered at once.
//!
//! Interrupts of a NIC are held back because nobody knows whether another packet follows. A queue
//! that is filled by software does know something: who sends. A task that has sent several packets
//! without sleeping in between waits for no answer, so what it sends next can wait; a task that
//! has slept since its last packet was waiting for something, and so may whoever gets its next
//! one. This tells a stream from requests and answers at the first packet, and needs no averages
//! of the past, as `net_dim()` has them.
//!
//! Whether it was right is seen when a batch ends. One that ends by the timer with little in it
//! has cost time and saved nothing; after it the queue wants to see more of a stream before it
//! holds packets back again.

/// So many packets in a row make a stream at first, and at most.
const PATIENCE: (u32, u32) = (4, 1024);

/// What `ethtool -C` sets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Coalesce {
    /// The first packet of a batch waits no longer than this, in microseconds. 0: no batches.
    pub(super) usecs: u32,
    /// So many packets make a batch.
    pub(super) frames: u32,
    /// Only streams are held back.
    pub(super) adaptive: bool,
}

impl Coalesce {
    /// What a device begins with.
    pub(super) const DEFAULT: Self = Self {
        usecs: 250,
        frames: 32,
        adaptive: true,
    };
    /// The longest time.
    pub(super) const MAX_USECS: u32 = 10_000;
    /// The largest batch.
    pub(super) const MAX_FRAMES: u32 = 1024;
}

/// Who sends a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Sender {
    /// The address of the task.
    pub(super) task: usize,
    /// How often it has slept.
    pub(super) slept: usize,
}

/// What a queue has seen of its senders. Written by whoever sends, without a lock: a wrong value
/// costs a batch.
#[derive(Clone, Copy)]
pub(super) struct Stream {
    last: Sender,
    run: u32,
    patience: u32,
}

impl Stream {
    pub(super) const fn new() -> Self {
        Self {
            last: Sender { task: 0, slept: 0 },
            run: 0,
            patience: PATIENCE.0,
        }
    }

    /// Another packet; whether it belongs to a stream.
    #[inline(always)]
    pub(super) fn packet(&mut self, sender: Sender) -> bool {
        if self.last == sender {
            self.run = self.run.saturating_add(1);
        } else {
            self.last = sender;
            self.run = 0;
        }
        self.run >= self.patience
    }

    /// A batch was complete.
    #[inline(always)]
    pub(super) fn filled(&mut self) {
        self.patience = PATIENCE.0;
    }

    /// A batch ended by the timer with `len` packets of the `wanted` ones.
    pub(super) fn expired(&mut self, len: u32, wanted: u32) {
        if len >= wanted / 4 {
            self.patience = PATIENCE.0;
        } else {
            self.patience = self.patience.saturating_mul(2).min(PATIENCE.1);
            self.run = 0;
        }
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_softq_hold)]
mod tests {
    use super::*;

    const A: Sender = Sender { task: 1, slept: 7 };

    fn packets(stream: &mut Stream, sender: Sender, n: u32) -> bool {
        let mut held = false;
        for _ in 0..n {
            held = stream.packet(sender);
        }
        held
    }

    #[test]
    fn a_stream_is_held_back() {
        let mut stream = Stream::new();
        assert!(!packets(&mut stream, A, PATIENCE.0));
        assert!(packets(&mut stream, A, 1));
        assert!(packets(&mut stream, A, 1000));
    }

    #[test]
    fn requests_and_answers_are_not() {
        let mut stream = Stream::new();
        for slept in 0..100 {
            assert!(!stream.packet(Sender { task: 1, slept }));
            assert!(!stream.packet(Sender { task: 2, slept }));
        }
        // Nor a few at a time.
        for slept in 0..100 {
            assert!(!packets(&mut stream, Sender { task: 1, slept }, PATIENCE.0));
        }
    }

    #[test]
    fn who_sleeps_begins_anew() {
        let mut stream = Stream::new();
        assert!(packets(&mut stream, A, 100));
        assert!(!stream.packet(Sender { slept: 8, ..A }));
    }

    #[test]
    fn batches_in_vain_are_rare() {
        let mut stream = Stream::new();
        assert!(packets(&mut stream, A, 5));
        stream.expired(1, 32);
        assert!(!packets(&mut stream, A, 2 * PATIENCE.0 - 1));
        assert!(packets(&mut stream, A, 1));
        for _ in 0..64 {
            stream.expired(1, 32);
        }
        assert!(!packets(&mut stream, A, PATIENCE.1 - 1));
        assert!(packets(&mut stream, A, 1));
        stream.filled();
        assert!(packets(&mut stream, A, 1));
        stream.expired(8, 32);
        assert!(packets(&mut stream, A, 1));
    }
}
