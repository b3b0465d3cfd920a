// SPDX-License-Identifier: GPL-2.0

//! Descriptors that are taken back late, several at once, although the device is done with them.
//!
//! A device that is emulated has sent a packet when it has been told of it. To take its descriptors
//! back before the transmit callback returns costs no interrupt, but it does cost the sender of many
//! small packets more than a NIC that interrupts now and then. Where such packets were
//! [copied](super::tx_copy), they are free already and nobody waits: what is left are counters and
//! byte queue limits. So a queue that sends many does the rest by the batch. When no more come, a
//! timer has the ring's NAPI do it for what is left.

use core::ptr::NonNull;

use kernel::{
    prelude::*,
    types::Opaque, //
};
use net_bindings as nb;

/// So many descriptors in use make a batch; in a short ring fewer.
pub(super) const BATCH: u32 = 32;

/// So many packets in a tick of the clock are many.
const MANY: u32 = 64;

/// The shortest and the longest time that a descriptor waits, in microseconds.
const SHORTEST: u32 = 50;
const LONGEST: u32 = 1000;

/// How fast packets come, and whether they can wait. Of the filling side.
pub(super) struct Pace {
    tick: usize,
    count: u32,
    wait: u32,
    /// Whether somebody waits for a packet that is in the ring: it was not copied.
    awaited: bool,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self {
            tick: 0,
            count: 0,
            wait: 0,
            awaited: false,
        }
    }

    /// Another packet, which was not copied.
    #[inline(always)]
    pub(super) fn awaited(&mut self) {
        self.awaited = true;
    }

    /// There is nothing in the ring any more.
    #[inline(always)]
    pub(super) fn empty(&mut self) {
        self.awaited = false;
    }

    /// Another packet, which was copied. How long it, and what is before it, may wait, in
    /// microseconds: 0 when few come.
    #[inline(always)]
    pub(super) fn copied(&mut self) -> u32 {
        // SAFETY: No requirement.
        let now = unsafe { nb::jiffies_now() };
        self.count = self.count.wrapping_add(1);
        if now != self.tick || self.count == MANY {
            // SAFETY: No requirement.
            self.look(now, unsafe { nb::jiffy_usecs() });
        }
        if self.awaited {
            return 0;
        }
        self.wait
    }

    /// Many in the last tick, or in this one already: twice the time that a batch takes.
    #[cold]
    #[inline(never)]
    fn look(&mut self, now: usize, usecs: u32) {
        let next = now == self.tick || now == self.tick.wrapping_add(1);
        self.wait = if next && self.count >= MANY {
            usecs
                .saturating_mul(2 * BATCH)
                .checked_div(self.count)
                .unwrap_or(0)
                .clamp(SHORTEST, LONGEST)
        } else {
            0
        };
        if now != self.tick {
            self.tick = now;
            self.count = 0;
        }
    }
}

/// The timer of a ring.
///
/// # Invariants
///
/// `timer` is set up, with [`expired`](Self::expired). `napi` outlives this value.
pub(super) struct Late {
    timer: Opaque<nb::hrtimer>,
    napi: NonNull<nb::napi_struct>,
    /// 1 while the timer runs for what is in the ring.
    running: Opaque<u32>,
}

// SAFETY: Timers are started and run on any CPU; NAPIs are scheduled from any.
unsafe impl Send for Late {}
// SAFETY: See above.
unsafe impl Sync for Late {}

impl Late {
    /// Errors: `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `napi` must stay allocated while the returned value exists.
    pub(super) unsafe fn new(napi: NonNull<nb::napi_struct>) -> Result<Pin<KBox<Self>>> {
        // The memory first: a value without a timer must not be dropped.
        let this = KBox::into_pin(KBox::<Self>::new_uninit(GFP_KERNEL)?.write(Self {
            timer: Opaque::zeroed(),
            napi,
            running: Opaque::new(0),
        }));
        // INVARIANT: `timer` is set up here.
        // SAFETY: Pinned, and cancelled when it is dropped.
        unsafe { nb::hrtimer_setup(this.timer.get(), Some(Self::expired)) };
        Ok(this)
    }

    /// The ring is polled in `usecs`, unless it has been cleaned by then. What is in it must have been
    /// published. False where no timer can be started. In a transmit callback.
    #[inline(always)]
    pub(super) fn within(&self, usecs: u32) -> bool {
        // SAFETY: Valid for reads. A full barrier, as in `expired()`: what was published before it is
        // seen by the poll that follows there, or that the timer does not run any more is seen here.
        let running = unsafe {
            nb::smp_mb();
            nb::read_once_u32(self.running.get())
        };
        running != 0 || self.start(usecs)
    }

    #[cold]
    #[inline(never)]
    fn start(&self, usecs: u32) -> bool {
        // SAFETY: No requirement.
        if unsafe { nb::irqs_disabled() } {
            // Netpoll, which may print what somebody says who has the lock of timers.
            return false;
        }
        // SAFETY: Valid for writes, and set up. One caller at a time, with the lock of the queue.
        unsafe {
            nb::write_once_u32(self.running.get(), 1);
            nb::hrtimer_start_us(self.timer.get(), usecs);
        }
        true
    }

    /// The ring has been cleaned: for what comes now the time begins anew. In a transmit callback.
    #[inline(always)]
    pub(super) fn again(&self) {
        // SAFETY: Valid for writes.
        unsafe { nb::write_once_u32(self.running.get(), 0) };
    }

    /// Hard interrupt.
    unsafe extern "C" fn expired(timer: *mut nb::hrtimer) -> nb::hrtimer_restart {
        // SAFETY: Set up as the member of a `Late`, which cancels it before it goes.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(timer), Self, timer) };
        // SAFETY: Valid for writes; a full barrier. The NAPI is there by the type invariant; one
        // that is disabled is not polled.
        unsafe {
            nb::xchg_u32(this.running.get(), 0);
            nb::napi_schedule(this.napi.as_ptr());
        }
        nb::hrtimer_restart::HRTIMER_NORESTART
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        // SAFETY: Set up. Nobody starts it any more; this waits for one that runs. Process context.
        unsafe { nb::hrtimer_cancel(self.timer.get()) };
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_ring_late)]
mod tests {
    use super::*;

    fn wait(pace: &mut Pace, tick: usize, count: u32) -> u32 {
        pace.count = count;
        pace.look(tick, 4000);
        pace.wait
    }

    #[test]
    fn many_are_told_from_few() {
        let mut pace = Pace::new();
        assert_eq!(wait(&mut pace, 7, MANY), 0);
        assert_eq!(wait(&mut pace, 8, MANY - 1), 0);
        // Within a tick, and in the next one.
        assert_eq!(wait(&mut pace, 8, MANY), LONGEST);
        assert_eq!(wait(&mut pace, 9, 2000), 128);
        assert_eq!(wait(&mut pace, 10, 1 << 20), SHORTEST);
        assert_eq!(wait(&mut pace, 11, MANY - 1), 0);
        // After a pause.
        assert_eq!(wait(&mut pace, 13, 2000), 0);
    }
}
