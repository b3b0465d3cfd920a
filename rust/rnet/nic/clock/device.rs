// SPDX-License-Identifier: GPL-2.0

//! The clock of a device as a PTP clock: `/dev/ptp<n>`.

use core::ptr::{
    null_mut,
    NonNull, //
};

use kernel::{
    container_of,
    error::{
        from_err_ptr,
        from_result, //
    },
    ffi::{
        c_int,
        c_long, //
    },
    prelude::*,
    types::Opaque, //
};
use net_bindings as nb;
use pin_init::zeroed;

use super::{
    ops::Next,
    ClockTable, //
};
use crate::nic::{
    Core,
    Driver, //
};

/// The clock is read at least this often while the device is up, in milliseconds: much more often
/// than its count goes round.
const FOLLOW: u32 = 6 * 60 * 1000;

/// The PTP clock of a device. Dropping it takes it away: whoever has it open gets `ENODEV`.
///
/// # Invariants
///
/// `core` is there as long as this is. `ptp` is registered with `info`.
pub(crate) struct PtpClock<D: Driver> {
    info: Opaque<nb::ptp_clock_info>,
    core: NonNull<Core<D>>,
    ptp: *mut nb::ptp_clock,
}

// SAFETY: The callbacks run in any thread, and what `core` points to is made for that.
unsafe impl<D: Driver> Send for PtpClock<D> {}
// SAFETY: See above.
unsafe impl<D: Driver> Sync for PtpClock<D> {}

impl<D: Driver> PtpClock<D> {
    /// Registers the clock of a device, if the driver has one and the kernel clocks. Process
    /// context. C function: `ptp_clock_register()`. Errors: `ENOMEM`, and what the core answers.
    ///
    /// # Safety
    ///
    /// `core` must be the data of a registered device, and stay until the returned value has been
    /// dropped.
    pub(crate) unsafe fn new(core: NonNull<Core<D>>) -> Result<Option<KBox<Self>>> {
        let Some(table) = Core::<D>::CLOCK else {
            return Ok(None);
        };
        let info = nb::ptp_clock_info {
            max_adj: table.max_adjust as i32,
            adjfine: Some(Self::adjfine),
            adjtime: Some(Self::adjtime),
            gettimex64: Some(Self::gettimex64),
            settime64: Some(Self::settime64),
            enable: Some(Self::enable),
            do_aux_work: Some(Self::do_aux_work),
            ..zeroed()
        };
        let mut this = KBox::new(
            Self {
                info: Opaque::new(info),
                core,
                ptp: null_mut(),
            },
            GFP_KERNEL,
        )?;
        // SAFETY: By the requirement.
        let shared = unsafe { core.as_ref() }.shared();
        // SAFETY: `info` stays where it is, in the box, until the clock is unregistered; the device
        // is there.
        let ptp = unsafe { nb::ptp_clock_register(this.info.get(), shared.dev().as_raw()) };
        this.ptp = from_err_ptr(ptp)?;
        shared.clock().set_ptp(ptp);
        if !ptp.is_null() {
            // SAFETY: Registered just now; unregistered when the returned value is dropped.
            unsafe { nb::ptp_schedule_worker(ptp, 0) };
        }
        Ok(Some(this))
    }

    /// What every callback begins with: the device is awake.
    ///
    /// # Safety
    ///
    /// `info` must be that of this clock, in a callback.
    unsafe fn call(
        info: *mut nb::ptp_clock_info,
        work: impl FnOnce(&Core<D>, &ClockTable<D>) -> Result,
    ) -> c_int {
        from_result(|| {
            let table = Core::<D>::CLOCK.ok_or(EOPNOTSUPP)?;
            let info: *mut Opaque<nb::ptp_clock_info> = info.cast();
            // SAFETY: The member of a value that stays until the clock is unregistered, which waits
            // for callbacks; so does `core`, by the type invariant.
            let core = unsafe { (*container_of!(info, Self, info)).core.as_ref() };
            let _awake = core.shared().awake()?;
            work(core, &table).map(|()| 0)
        })
    }

    unsafe extern "C" fn adjfine(info: *mut nb::ptp_clock_info, scaled_ppm: c_long) -> c_int {
        // SAFETY: In a callback of this clock.
        unsafe { Self::call(info, |core, table| core.tune_clock(table, scaled_ppm)) }
    }

    unsafe extern "C" fn adjtime(info: *mut nb::ptp_clock_info, delta: i64) -> c_int {
        // SAFETY: In a callback of this clock.
        unsafe { Self::call(info, |core, _| core.shift_clock(delta)) }
    }

    unsafe extern "C" fn gettimex64(
        info: *mut nb::ptp_clock_info,
        ts: *mut nb::timespec64,
        system: *mut nb::ptp_system_timestamp,
    ) -> c_int {
        let get = |core: &Core<D>, table: &ClockTable<D>| {
            // SAFETY: The caller's own, or null.
            let mut latched = || unsafe { nb::ptp_read_system_postts(system) };
            // SAFETY: The caller's own, or null.
            unsafe { nb::ptp_read_system_prets(system) };
            let ns = core.clock_time(table, &mut latched)?;
            // SAFETY: The caller's own.
            unsafe { nb::timespec64_from_ns(ts, ns as i64) };
            Ok(())
        };
        // SAFETY: In a callback of this clock.
        unsafe { Self::call(info, get) }
    }

    unsafe extern "C" fn settime64(
        info: *mut nb::ptp_clock_info,
        ts: *const nb::timespec64,
    ) -> c_int {
        // SAFETY: The caller's own.
        let ns = unsafe { nb::timespec64_to_ns(ts) };
        // SAFETY: In a callback of this clock.
        unsafe { Self::call(info, |core, table| core.set_clock(table, ns as u64)) }
    }

    /// Pins and alarms, of which there are none.
    unsafe extern "C" fn enable(
        _info: *mut nb::ptp_clock_info,
        _request: *mut nb::ptp_clock_request,
        _on: c_int,
    ) -> c_int {
        EOPNOTSUPP.to_errno()
    }

    /// How many jiffies to wait until it is called again.
    unsafe extern "C" fn do_aux_work(info: *mut nb::ptp_clock_info) -> c_long {
        let Some(table) = Core::<D>::CLOCK else {
            return -1;
        };
        let info: *mut Opaque<nb::ptp_clock_info> = info.cast();
        // SAFETY: As for `call()`. The device is not woken for this.
        let core = unsafe { (*container_of!(info, Self, info)).core.as_ref() };
        match core.service_clock(&table) {
            Next::Again => 0,
            Next::Soon => 1,
            // SAFETY: No requirement.
            Next::Rest => unsafe { nb::msecs_to_jiffies(FOLLOW) },
        }
    }
}

impl<D: Driver> Drop for PtpClock<D> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        let clock = unsafe { self.core.as_ref() }.shared().clock();
        clock.set_ptp(null_mut());
        if !self.ptp.is_null() {
            // SAFETY: Registered, and the worker is not called by anybody any more. Process context;
            // waits for callbacks.
            unsafe { nb::ptp_clock_unregister(self.ptp) };
        }
    }
}
