// SPDX-License-Identifier: GPL-2.0

//! Runtime power management.
//!
//! A device sleeps (D3hot) while its network device is down, if `power/control` in sysfs says
//! `auto`. While it sleeps its registers cannot be reached, so whatever reaches them holds an
//! [`Awake`]: the rings while the device is up, and the callbacks that are also called while it is
//! down. ethtool and the PCI core hold one of their own around their callbacks.

use core::ptr::NonNull;

use kernel::{
    error::to_result,
    prelude::*, //
};
use net_bindings as nb;

/// The device is awake as long as this is there.
pub(crate) struct Awake(NonNull<nb::device>);

// SAFETY: A count that any thread may give back.
unsafe impl Send for Awake {}
// SAFETY: There is nothing that could be called.
unsafe impl Sync for Awake {}

impl Awake {
    /// Wakes the device. Process context. C function: `pm_runtime_resume_and_get()`. Errors: what
    /// the PCI core answers for a device that cannot be woken.
    ///
    /// # Safety
    ///
    /// `dev` must be bound while the returned value exists.
    pub(crate) unsafe fn new(dev: NonNull<nb::device>) -> Result<Self> {
        // SAFETY: By the requirement.
        to_result(unsafe { nb::pm_runtime_resume_and_get(dev.as_ptr()) })?;
        Ok(Self(dev))
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        // SAFETY: Counted by `new()`; the device is bound. It falls asleep later, if nobody else
        // has it awake.
        unsafe { nb::pm_runtime_put(self.0.as_ptr()) };
    }
}

/// The device may sleep as long as this is there: the count that the PCI core takes before probe
/// is given back.
pub(super) struct MaySleep(NonNull<nb::device>);

// SAFETY: See `Awake`.
unsafe impl Send for MaySleep {}
// SAFETY: See `Awake`.
unsafe impl Sync for MaySleep {}

impl MaySleep {
    /// # Safety
    ///
    /// At the end of a probe that succeeds; to be dropped when the device is unbound.
    pub(super) unsafe fn new(dev: NonNull<nb::device>) -> Self {
        // SAFETY: By the requirement.
        unsafe { nb::pm_runtime_put_noidle(dev.as_ptr()) };
        Self(dev)
    }
}

impl Drop for MaySleep {
    fn drop(&mut self) {
        // SAFETY: Given back by `new()`. The PCI core has woken the device for its removal.
        unsafe { nb::pm_runtime_get_noresume(self.0.as_ptr()) };
    }
}
