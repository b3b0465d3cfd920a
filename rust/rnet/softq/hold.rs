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
//! Whether it was right is seen later. A batch that ended by the timer, and whose sender has slept
//! before its next packet, has cost time: whoever waits for it might have had it before. After it
//! this sender has to send more before anything of it is held back again; one that was only
//! preempted goes on. A sender whose batches are complete has to send less.

/// So many packets in a row make a stream: of a sender that is new, of one whose batches were
/// complete, and at most. A program that sends some packets to itself and then looks for them is
/// not held up.
const FIRST: u32 = 32;
const LEAST: u32 = 4;
const MOST: u32 = 1 << 16;

/// Senders that are told apart on a queue.
const SENDERS: usize = 64;

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

/// What a queue has seen of one sender.
#[derive(Clone, Copy)]
struct Stream {
    last: Sender,
    run: u32,
    patience: u32,
    /// The timer has ended a batch while this sender did not run: it may have gone to sleep.
    doubt: bool,
}

impl Stream {
    const fn new(sender: Sender) -> Self {
        Self {
            last: sender,
            run: 0,
            patience: FIRST,
            doubt: false,
        }
    }
}

/// What a queue has seen of its senders. Those with the same place in the table take it from each
/// other, and begin anew.
pub(super) struct Streams {
    senders: [Stream; SENDERS],
    /// Whose packets are held back.
    holder: usize,
}

impl Streams {
    pub(super) const fn new() -> Self {
        Self {
            senders: [Stream::new(Sender { task: 0, slept: 0 }); SENDERS],
            holder: 0,
        }
    }

    /// Another packet; whether it belongs to a stream. `full`: with it the batch is complete.
    #[inline(always)]
    pub(super) fn packet(&mut self, sender: Sender, full: bool) -> bool {
        // Tasks are large, and aligned to a cache line.
        let place = (sender.task >> 6 ^ sender.task >> 12) & (SENDERS - 1);
        let Some(stream) = self.senders.get_mut(place) else {
            return false;
        };
        if stream.last != sender {
            if stream.last.task != sender.task {
                *stream = Stream::new(sender);
                return false;
            }
            if stream.doubt {
                stream.patience = stream.patience.saturating_mul(4).min(MOST);
                stream.doubt = false;
            }
            stream.last = sender;
            stream.run = 0;
            return false;
        }
        stream.run = stream.run.saturating_add(1);
        if stream.run < stream.patience {
            return false;
        }
        self.holder = place;
        stream.doubt = false;
        if full {
            stream.patience = (stream.patience / 2).max(LEAST);
        }
        true
    }

    /// The timer has ended a batch, and its sender did not run.
    #[cold]
    pub(super) fn expired(&mut self) {
        if let Some(stream) = self.senders.get_mut(self.holder) {
            stream.doubt = true;
        }
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_softq_hold)]
mod tests {
    use super::*;

    const A: Sender = Sender {
        task: 0x1000,
        slept: 7,
    };
    const B: Sender = Sender {
        task: 0x1040,
        slept: 7,
    };

    fn packets(streams: &mut Streams, sender: Sender, n: u32) -> bool {
        let mut held = false;
        for _ in 0..n {
            held = streams.packet(sender, false);
        }
        held
    }

    #[test]
    fn a_stream_is_held_back() {
        let mut streams = Streams::new();
        assert!(!packets(&mut streams, A, FIRST));
        assert!(packets(&mut streams, A, 1));
        assert!(packets(&mut streams, A, 1000));
    }

    #[test]
    fn requests_and_answers_are_not() {
        let mut streams = Streams::new();
        for slept in 0..100 {
            assert!(!streams.packet(Sender { slept, ..A }, false));
            assert!(!streams.packet(Sender { slept, ..B }, false));
        }
        // Nor a few at a time.
        for slept in 0..100 {
            assert!(!packets(&mut streams, Sender { slept, ..A }, FIRST));
        }
    }

    #[test]
    fn streams_beside_each_other() {
        let mut streams = Streams::new();
        for _ in 0..FIRST + 1 {
            streams.packet(A, false);
            streams.packet(B, false);
        }
        assert!(streams.packet(A, false) && streams.packet(B, false));
    }

    #[test]
    fn who_sleeps_begins_anew() {
        let mut streams = Streams::new();
        assert!(packets(&mut streams, A, 100));
        assert!(!streams.packet(Sender { slept: 8, ..A }, false));
    }

    #[test]
    fn batches_in_vain_are_rare() {
        let mut streams = Streams::new();
        let slept = |more| Sender {
            slept: A.slept + more,
            ..A
        };
        assert!(packets(&mut streams, B, 100));
        assert!(packets(&mut streams, A, FIRST + 1));
        streams.expired();
        // It has slept: in vain.
        assert!(!packets(&mut streams, slept(1), 4 * FIRST));
        assert!(packets(&mut streams, slept(1), 1));
        // That was A's; B goes on.
        assert!(packets(&mut streams, B, 1));
        for n in 1..16 {
            streams.expired();
            packets(&mut streams, slept(n + 1), MOST + 1);
        }
        assert!(!packets(&mut streams, slept(100), MOST));
        assert!(packets(&mut streams, slept(100), 1));
        for _ in 0..64 {
            streams.packet(slept(100), true);
        }
        assert!(!packets(&mut streams, slept(101), LEAST));
        assert!(packets(&mut streams, slept(101), 1));
    }

    #[test]
    fn who_is_preempted_goes_on() {
        let mut streams = Streams::new();
        assert!(packets(&mut streams, A, FIRST + 1));
        for _ in 0..10 {
            streams.expired();
            assert!(packets(&mut streams, A, 1));
        }
        assert!(!packets(&mut streams, Sender { slept: 8, ..A }, FIRST));
        assert!(packets(&mut streams, Sender { slept: 8, ..A }, 1));
    }
}
