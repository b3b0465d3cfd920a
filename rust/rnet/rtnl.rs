// SPDX-License-Identifier: GPL-2.0

//! RTNL, the mutex that configuration of network devices takes, as a type.
//!
//! A function that must run under RTNL takes `&Rtnl`. There are two ways to get one: a callback
//! that the core runs under RTNL is handed it, and [`lock`] takes the mutex.
//!
//! C header: [`include/linux/rtnetlink.h`](srctree/include/linux/rtnetlink.h)

use core::ops::Deref;

use kernel::{
    prelude::*,
    types::NotThreadSafe, //
};
use net_bindings as nb;

/// Proof that the current task holds RTNL.
///
/// It cannot be made by a driver, sent to another thread or kept: callbacks get a reference that
/// ends with the callback, [`lock`] returns a [`Guard`] that lends one.
///
/// # Invariants
///
/// RTNL is held by the current task while a value of this type is reachable.
pub struct Rtnl(NotThreadSafe);

impl Rtnl {
    /// Makes the token in a callback that the core runs under RTNL.
    ///
    /// # Safety
    ///
    /// The current task must hold RTNL for as long as the returned value exists.
    #[inline]
    pub(crate) unsafe fn assume() -> Self {
        // SAFETY: No requirement; it warns once where the caller's promise is broken.
        unsafe { nb::assert_rtnl() };
        // INVARIANT: By the requirement of this function.
        Self(NotThreadSafe)
    }
}

/// RTNL taken by [`lock`], [`try_lock`] or [`try_lock_or_restart`], given back on drop.
#[must_use = "RTNL is released when the guard is dropped"]
pub struct Guard(Rtnl);

impl Deref for Guard {
    type Target = Rtnl;

    #[inline]
    fn deref(&self) -> &Rtnl {
        &self.0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: The guard was made with RTNL taken by this task and is not `Send`. This also
        // runs the work that unregistered devices left (`netdev_run_todo()`), which may sleep, as
        // this context can, since it took a mutex.
        unsafe { nb::rtnl_unlock() };
    }
}

/// Takes RTNL. Process context; may sleep. C function: `rtnl_lock()`.
///
/// A sysfs store function must not call this, because the removal of its file may wait for it with
/// RTNL held: use [`try_lock_or_restart`] there.
pub fn lock() -> Guard {
    // SAFETY: Process context, by this function's contract; a mutex without further conditions.
    unsafe { nb::rtnl_lock() };
    // INVARIANT: Just taken, given back by the guard's `drop`.
    Guard(Rtnl(NotThreadSafe))
}

/// Takes RTNL if nobody holds it. C function: `rtnl_trylock()`.
pub fn try_lock() -> Option<Guard> {
    // SAFETY: No requirement.
    if unsafe { nb::rtnl_trylock() } == 0 {
        return None;
    }
    // INVARIANT: Just taken, given back by the guard's `drop`.
    Some(Guard(Rtnl(NotThreadSafe)))
}

/// Takes RTNL in a system call that may be restarted, such as a write to sysfs.
///
/// # Errors
///
/// `ERESTARTNOINTR` when somebody else holds RTNL: pass it on; the system call is then restarted
/// after it has let go of the file, so that whoever removes the file under RTNL can go on. C
/// function: `restart_syscall()`, used the same way by `net/core/net-sysfs.c`.
pub fn try_lock_or_restart() -> Result<Guard> {
    match try_lock() {
        Some(guard) => Ok(guard),
        None => {
            // SAFETY: Process context of a system call; marks a signal as pending for it.
            let err = unsafe { nb::restart_syscall() };
            Err(Error::from_errno(err))
        }
    }
}
