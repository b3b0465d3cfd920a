// SPDX-License-Identifier: GPL-2.0

//! What is known about the clock of a device, and the packet that waits for its stamp.

use core::ptr::{
    null_mut,
    NonNull, //
};

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use net_bindings as nb;

use super::{
    adjusted_time,
    counter::TimeCounter, //
};
use crate::{
    lock::IrqLock,
    nic::Nic,
    skb::TxSkb,
    stamps::StampConfig, //
};

/// A reference to a packet that is to be stamped.
pub(super) struct Pending {
    pub(super) skb: NonNull<nb::sk_buff>,
    pub(super) since: u64,
    /// Whether the device has been given it.
    pub(super) posted: bool,
}

// SAFETY: A reference to a packet belongs to no thread.
unsafe impl Send for Pending {}

impl Drop for Pending {
    fn drop(&mut self) {
        // SAFETY: Our reference. Any context.
        unsafe { nb::dev_consume_skb_any(self.skb.as_ptr()) };
    }
}

/// Packets whose stamp was asked for.
#[derive(Clone, Copy, Default)]
pub(in crate::nic) struct StampCounts {
    pub(in crate::nic) stamped: u64,
    pub(in crate::nic) lost: u64,
    /// Sent without one, since another packet was waiting for its own.
    pub(in crate::nic) skipped: u64,
}

/// Under the lock.
pub(super) struct State {
    pub(super) time: TimeCounter,
    /// When the count in `time` was read, by the clock of the system that goes on in its sleep.
    pub(super) read: u64,
    pub(super) scaled_ppm: isize,
    /// Whether the device is up.
    pub(super) live: bool,
    /// Whether its registers cannot be reached for a while.
    pub(super) away: bool,
    pub(super) ptp: *mut nb::ptp_clock,
    pub(super) config: StampConfig,
    pub(super) pending: Option<Pending>,
    pub(super) counts: StampCounts,
}

// SAFETY: The clock may be used by any thread.
unsafe impl Send for State {}

impl State {
    /// The time without asking the chip.
    pub(super) fn guess(&self, now: u64) -> u64 {
        let passed = adjusted_time(now.wrapping_sub(self.read), self.scaled_ppm);
        self.time.ns().wrapping_add(passed)
    }
}

/// The clock of a device.
#[pin_data]
pub(in crate::nic) struct ClockState {
    /// Whether the chip was reset, or may have been.
    pub(super) strange: Atomic<bool>,
    #[pin]
    pub(super) state: IrqLock<State>,
}

pub(super) fn now() -> u64 {
    // SAFETY: No requirement.
    unsafe { nb::ktime_get_boot_fast_ns() }
}

impl ClockState {
    pub(in crate::nic) fn new(fraction: u32) -> impl PinInit<Self> {
        // SAFETY: No requirement.
        let time = TimeCounter::new(fraction, unsafe { nb::ktime_get_real_ns() });
        pin_init!(Self {
            strange: Atomic::new(true),
            state <- IrqLock::new(State {
                time,
                read: now(),
                scaled_ppm: 0,
                live: false,
                away: false,
                ptp: null_mut(),
                config: StampConfig::NOTHING,
                pending: None,
                counts: StampCounts::default(),
            }),
        })
    }

    /// The chip was reset, or may have been. Any context.
    pub(in crate::nic) fn distrust(&self) {
        self.strange.store(true, Relaxed);
    }

    /// Nobody reaches registers because of the clock until this is said again.
    pub(in crate::nic) fn keep_away(&self, away: bool) {
        self.state.with(|state| state.away = away);
    }

    /// The clock is there, or will soon not be any more: its worker is not called for from now on.
    pub(super) fn set_ptp(&self, ptp: *mut nb::ptp_clock) {
        self.state.with(|state| state.ptp = ptp);
    }

    /// The number of the clock, if there is one.
    pub(in crate::nic) fn index(&self) -> Option<i32> {
        self.state.with(|state| {
            // SAFETY: Registered, since it is taken out before that ends.
            (!state.ptp.is_null()).then(|| unsafe { nb::ptp_clock_index(state.ptp) })
        })
    }

    pub(in crate::nic) fn counts(&self) -> StampCounts {
        self.state.with(|state| state.counts)
    }

    /// The time of a stamp.
    fn time_of(&self, cycles: u64) -> u64 {
        self.state.with(|state| state.time.at(cycles))
    }

    #[cold]
    fn claim(&self, skb: &TxSkb<'_>) -> bool {
        self.state.with(|state| {
            if !state.live || !state.config.sent || state.ptp.is_null() {
                return false;
            }
            if state.pending.is_some() {
                state.counts.skipped = state.counts.skipped.wrapping_add(1);
                return false;
            }
            // SAFETY: The packet is the caller's own, and not shared.
            let Some(skb) = NonNull::new(unsafe { nb::skb_get_for_tstamp(skb.as_raw()) }) else {
                return false;
            };
            state.pending = Some(Pending {
                skb,
                since: now(),
                posted: false,
            });
            true
        })
    }
}

impl<'a> Nic<'a> {
    /// Whether this packet is to be stamped when it is sent: the driver tells the device so, hands
    /// it over and says [`posted`](StampClaim::posted). One packet at a time; others that ask for a
    /// stamp meanwhile get none. Softirqs off.
    #[inline]
    pub fn claim_stamp(&self, skb: &TxSkb<'_>) -> Option<StampClaim<'a>> {
        let clock = self.shared.clock();
        // SAFETY: The packet is the caller's own.
        if unsafe { !nb::skb_wants_hw_tstamp(skb.as_raw()) } || !clock.claim(skb) {
            return None;
        }
        Some(StampClaim(clock))
    }

    /// The time at which the clock had counted so many cycles, for a frame that has just come.
    pub(crate) fn time_of(&self, cycles: u64) -> u64 {
        self.shared.clock().time_of(cycles)
    }
}

/// A packet is to be stamped. Dropping it gives that up.
pub struct StampClaim<'a>(&'a ClockState);

impl StampClaim<'_> {
    /// The device has been given the packet: the layer waits for the stamp.
    pub fn posted(self) {
        self.0.state.with(|state| {
            if let Some(pending) = &mut state.pending {
                pending.posted = true;
                pending.since = now();
            }
            if !state.ptp.is_null() {
                // SAFETY: Registered, since it is taken out before that ends.
                unsafe { nb::ptp_schedule_worker(state.ptp, 0) };
            }
        });
        core::mem::forget(self);
    }
}

impl Drop for StampClaim<'_> {
    fn drop(&mut self) {
        let pending = self.0.state.with(|state| {
            let ours = state.pending.as_ref().is_some_and(|one| !one.posted);
            ours.then(|| state.pending.take())
        });
        drop(pending);
    }
}
