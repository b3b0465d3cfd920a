// SPDX-License-Identifier: GPL-2.0

//! The clock of a device, and packets that it stamps with the time.
//!
//! A driver implements [`Clock`] and names the table in [`Driver::CLOCK`]:
//!
//! ```ignore
//! const CLOCK: Option<ClockTable<Self>> = Some(ClockTable::new());
//! ```
//!
//! The chip counts cycles, the layer makes a time of them: setting and shifting the clock leaves the
//! chip alone, and a chip that was reset goes on with the time that it would have come to. On a
//! kernel whose PTP clocks are not built in, all of this is not there.
//!
//! C header: [`include/linux/ptp_clock_kernel.h`](srctree/include/linux/ptp_clock_kernel.h)

mod counter;
mod device;
mod ops;
mod state;

pub(crate) use device::PtpClock;
pub(super) use state::ClockState;
pub use state::StampClaim;

use kernel::prelude::*;
use net_bindings as nb;

use super::{
    Driver,
    Nic, //
};
use crate::stamps::{
    StampConfig,
    StampFilter, //
};

/// What a driver implements for a clock on the device.
pub trait Clock: Driver {
    /// A cycle is a nanosecond divided by two to the power of this. At most 22.
    const FRACTION: u32;

    /// How far the clock can be made to go faster or slower, in parts per 10^9. Less than 10^9.
    const MAX_ADJUST: u32;

    /// Which received frames can be stamped, beside none: exactly those that are shown. Others may
    /// be taken if they are a part of one of these.
    const FILTERS: &'static [StampFilter];

    /// How many cycles the clock has counted; goes round at 2^64. Calls `latched` as soon as the
    /// value is fixed, but for what is still to be read of it. One caller at a time, any context;
    /// must not sleep. Errors: `ENODEV`.
    fn read_clock(&self, nic: &Nic<'_>, latched: &mut dyn FnMut()) -> Result<u64>;

    /// Makes the clock go, faster by `scaled_ppm / 2^16` parts per million than it would by itself
    /// ([`adjusted`]). One caller at a time, any context; must not sleep.
    fn tune_clock(&self, nic: &Nic<'_>, scaled_ppm: isize);

    /// Stamps what is wanted, from now on, or more: what is returned. RTNL; may sleep; also while
    /// the device is down. Errors: `ERANGE` for what cannot be had, and all is as it was.
    fn set_stamps(&self, nic: &Nic<'_>, wanted: StampConfig) -> Result<StampConfig>;

    /// The count at which the packet of the [`StampClaim`] was sent, which the device then forgets.
    /// `None` if that is not known yet. One caller at a time, any context; must not sleep.
    fn sent_stamp(&self, nic: &Nic<'_>) -> Option<u64>;
}

/// What [`Clock::tune_clock`] has to make of a value that one cycle of the chip counts. C function:
/// `adjust_by_scaled_ppm()`.
pub fn adjusted(base: u32, scaled_ppm: isize) -> u64 {
    adjusted_time(base.into(), scaled_ppm)
}

fn adjusted_time(ns: u64, scaled_ppm: isize) -> u64 {
    // What is adjusted is less than 100 percent, which nothing overflows with.
    const MOST: isize = 1_000_000 << 16;
    // SAFETY: No requirement but this range: the quotient is no more than the base.
    unsafe { nb::adjust_by_scaled_ppm(ns, scaled_ppm.clamp(-MOST, MOST)) }
}

/// The clock of a driver.
pub struct ClockTable<D: Driver> {
    fraction: u32,
    max_adjust: u32,
    filters: &'static [StampFilter],
    read: fn(&D, &Nic<'_>, &mut dyn FnMut()) -> Result<u64>,
    tune: fn(&D, &Nic<'_>, isize),
    stamp: fn(&D, &Nic<'_>, StampConfig) -> Result<StampConfig>,
    sent: fn(&D, &Nic<'_>) -> Option<u64>,
}

impl<D: Clock> ClockTable<D> {
    /// The table for `D`.
    pub const fn new() -> Self {
        const {
            assert!(D::FRACTION <= 22 && D::MAX_ADJUST < 1_000_000_000);
        }
        Self {
            fraction: D::FRACTION,
            max_adjust: D::MAX_ADJUST,
            filters: D::FILTERS,
            read: D::read_clock,
            tune: D::tune_clock,
            stamp: D::set_stamps,
            sent: D::sent_stamp,
        }
    }
}

impl<D: Clock> Default for ClockTable<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: Driver> ClockTable<D> {
    pub(super) fn fraction(&self) -> u32 {
        self.fraction
    }

    /// What can be stamped of what comes in, as a set of `enum hwtstamp_rx_filters`.
    pub(super) fn filters(&self) -> u32 {
        self.filters
            .iter()
            .fold(StampFilter::NONE.bit(), |all, one| all | one.bit())
    }
}
