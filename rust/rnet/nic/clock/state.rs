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
        Full,
        Relaxed, //
    },
};
use net_bindings as nb;

use super::{
    adjusted_time,
    counter::TimeCounter,
    ClockTable, //
};
use crate::{
    lock::IrqLock,
    nic::{
        Core,
        Driver,
        Nic, //
    },
    rtnl::Rtnl,
    skb::TxSkb,
    stamps::StampConfig, //
};

/// A packet whose stamp has not come for so long, in nanoseconds, gets none.
const PATIENCE: u64 = 1_000_000_000;

/// A reference to a packet that is to be stamped.
struct Pending {
    skb: NonNull<nb::sk_buff>,
    since: u64,
    /// Whether the device has been given it.
    posted: bool,
}

// SAFETY: A reference to a packet belongs to no thread.
unsafe impl Send for Pending {}

impl Drop for Pending {
    fn drop(&mut self) {
        // SAFETY: Our reference. Any context.
        unsafe { nb::dev_consume_skb_any(self.skb.as_ptr()) };
    }
}

/// What the worker of the clock is to do next.
pub(super) enum Next {
    /// Nothing for a long time.
    Rest,
    /// Look for a stamp again, at once.
    Again,
    /// In a little while.
    Soon,
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
    time: TimeCounter,
    /// When the count in `time` was read, by the clock of the system that goes on in its sleep.
    read: u64,
    scaled_ppm: isize,
    /// Whether the device is up.
    live: bool,
    /// Whether its registers cannot be reached for a while.
    away: bool,
    ptp: *mut nb::ptp_clock,
    config: StampConfig,
    pending: Option<Pending>,
    counts: StampCounts,
}

// SAFETY: The clock may be used by any thread.
unsafe impl Send for State {}

impl State {
    /// The time without asking the chip.
    fn guess(&self, now: u64) -> u64 {
        let passed = adjusted_time(now.wrapping_sub(self.read), self.scaled_ppm);
        self.time.ns().wrapping_add(passed)
    }
}

/// The clock of a device.
#[pin_data]
pub(in crate::nic) struct ClockState {
    /// Whether the chip was reset, or may have been.
    strange: Atomic<bool>,
    #[pin]
    state: IrqLock<State>,
}

fn now() -> u64 {
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

impl<D: Driver> Core<D> {
    /// The driver's clock, where the kernel has clocks.
    pub(in crate::nic) const CLOCK: Option<ClockTable<D>> = if cfg!(CONFIG_PTP_1588_CLOCK = "y") {
        D::CLOCK
    } else {
        None
    };

    /// Reads the clock: what time it is on it.
    fn read_clock(
        &self,
        table: &ClockTable<D>,
        state: &mut State,
        latched: &mut dyn FnMut(),
    ) -> Result<u64> {
        let (driver, nic) = (self.driver(), self.nic());
        let now = now();
        if state.away {
            latched();
            return Ok(state.guess(now));
        }
        let cycles = (table.read)(driver, &nic, latched)?;
        let passed = now.wrapping_sub(state.read);
        let strange = self.shared().clock().strange.xchg(false, Full);
        if strange || !state.time.is_likely(cycles, passed) {
            (table.tune)(driver, &nic, state.scaled_ppm);
            let cycles = (table.read)(driver, &nic, &mut || {})?;
            let ns = state.guess(now);
            state.time.set(cycles, ns);
        } else {
            state.time.advance(cycles);
        }
        state.read = now;
        Ok(state.time.ns())
    }

    /// What time it is on the clock. The device is awake. Errors: `ENODEV`.
    pub(super) fn clock_time(
        &self,
        table: &ClockTable<D>,
        latched: &mut dyn FnMut(),
    ) -> Result<u64> {
        let clock = self.shared().clock();
        clock
            .state
            .with(|state| self.read_clock(table, state, latched))
    }

    /// Sets the clock. The device is awake. Errors: `ENODEV`.
    pub(super) fn set_clock(&self, table: &ClockTable<D>, ns: u64) -> Result {
        self.shared().clock().state.with(|state| {
            self.read_clock(table, state, &mut || {})?;
            if state.away {
                state.read = now();
            }
            state.time.set_ns(ns);
            Ok(())
        })
    }

    /// Shifts the clock. Errors: `ENODEV`.
    pub(super) fn shift_clock(&self, delta: i64) -> Result {
        if self.shared().io().is_gone() {
            return Err(ENODEV);
        }
        let clock = self.shared().clock();
        clock.state.with(|state| state.time.adjust(delta));
        Ok(())
    }

    /// Makes the clock faster or slower. The device is awake. Errors: `ENODEV`.
    pub(super) fn tune_clock(&self, table: &ClockTable<D>, scaled_ppm: isize) -> Result {
        self.shared().clock().state.with(|state| {
            // What has passed went at the old speed.
            let ns = self.read_clock(table, state, &mut || {})?;
            if state.away {
                state.time.set_ns(ns);
                state.read = now();
            } else {
                (table.tune)(self.driver(), &self.nic(), scaled_ppm);
            }
            state.scaled_ppm = scaled_ppm;
            Ok(())
        })
    }

    /// What the worker of the clock does: follows the clock, so that it does not go round unseen,
    /// and hands a stamp to the sender of its packet.
    pub(super) fn service_clock(&self, table: &ClockTable<D>) -> Next {
        let (done, next) = self.shared().clock().state.with(|state| {
            // Only the rings keep the device awake: going down waits for the lock.
            if !state.live || self.read_clock(table, state, &mut || {}).is_err() {
                return (None, Next::Rest);
            }
            let Some(pending) = state.pending.as_ref().filter(|one| one.posted) else {
                return (None, Next::Rest);
            };
            let waited = now().wrapping_sub(pending.since);
            match (table.sent)(self.driver(), &self.nic()) {
                Some(cycles) => {
                    let ns = state.time.at(cycles);
                    state.counts.stamped = state.counts.stamped.wrapping_add(1);
                    (state.pending.take().map(|one| (one, Some(ns))), Next::Rest)
                }
                None if waited > PATIENCE => {
                    state.counts.lost = state.counts.lost.wrapping_add(1);
                    (state.pending.take().map(|one| (one, None)), Next::Rest)
                }
                None if waited < PATIENCE / 1000 => (None, Next::Again),
                None => (None, Next::Soon),
            }
        });
        if let Some((pending, Some(ns))) = done {
            // SAFETY: A packet that was sent, of which this is a reference. Process context.
            unsafe { nb::skb_tstamp_tx_hw(pending.skb.as_ptr(), ns) };
        }
        next
    }

    /// The device is up: the clock goes, and packets are stamped as they were. `reset` says whether
    /// the driver has reset it.
    pub(in crate::nic) fn start_clock(&self, reset: bool, rtnl: &Rtnl) {
        let Some(table) = Self::CLOCK else { return };
        let clock = self.shared().clock();
        if reset {
            clock.distrust();
        }
        if let Err(err) = (table.stamp)(self.driver(), &self.nic(), self.stamp_config(rtnl)) {
            pr_warn!("{}: no time stamps: {:?}\n", self.shared().dev(), err);
        }
        clock.state.with(|state| {
            let _ = self.read_clock(&table, state, &mut || {});
            state.live = true;
        });
    }

    /// The device goes down: no transmit callback runs any more.
    pub(in crate::nic) fn stop_clock(&self) {
        let Some(table) = Self::CLOCK else { return };
        let pending = self.shared().clock().state.with(|state| {
            // For the guess, if the device is reset or falls asleep.
            let _ = self.read_clock(&table, state, &mut || {});
            state.live = false;
            let pending = state.pending.take();
            if pending.is_some() {
                state.counts.lost = state.counts.lost.wrapping_add(1);
            }
            pending
        });
        drop(pending);
    }

    /// What is stamped.
    pub(in crate::nic) fn stamp_config(&self, _rtnl: &Rtnl) -> StampConfig {
        self.shared().clock().state.with(|state| state.config)
    }

    /// Has stamped what is wanted, or more. Errors: `ERANGE`; `EOPNOTSUPP` without a clock.
    pub(in crate::nic) fn change_stamps(
        &self,
        wanted: StampConfig,
        _rtnl: &Rtnl,
    ) -> Result<StampConfig> {
        let (table, clock) = (Self::CLOCK.ok_or(EOPNOTSUPP)?, self.shared().clock());
        let _awake = self.shared().awake()?;
        let config = (table.stamp)(self.driver(), &self.nic(), wanted)?;
        clock.state.with(|state| state.config = config);
        Ok(config)
    }
}
