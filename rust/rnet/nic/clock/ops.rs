// SPDX-License-Identifier: GPL-2.0

//! What is done with the clock of a device.

use kernel::{
    prelude::*,
    sync::atomic::Full, //
};
use net_bindings as nb;

use super::{
    state::{
        now,
        State, //
    },
    ClockTable, //
};
use crate::{
    nic::{
        Core,
        Driver, //
    },
    rtnl::Rtnl,
    stamps::StampConfig, //
};

/// A packet whose stamp has not come for so long, in nanoseconds, gets none.
const PATIENCE: u64 = 1_000_000_000;

/// What the worker of the clock is to do next.
pub(super) enum Next {
    /// Nothing for a long time.
    Rest,
    /// Look for a stamp again, at once.
    Again,
    /// In a little while.
    Soon,
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
