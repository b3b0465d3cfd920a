// SPDX-License-Identifier: GPL-2.0

//! Everything of this module that the kernel can call back, so that module exit can end it.
//!
//! Safe code can leak any handle (`mem::forget`, a reference cycle). A leaked registration would
//! leave the kernel with function pointers into unloaded text. So each registration is one
//! reference-counted object with two owners: the driver's handle and this list. Whichever ends
//! first unregisters; module exit ends whatever is left, in reverse order.

use core::ops::Deref;

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};

/// Something that can be unregistered, once.
pub(crate) trait Registered: Send + Sync {
    /// Ends all callbacks. Process context, no locks held; must tolerate being called again.
    fn unregister(&self);
}

kernel::sync::global_lock! {
    // SAFETY: Initialised in `init()` before first use, which `ModuleCtx` proves.
    unsafe(uninit) static LIVE: Mutex<KVec<Arc<dyn Registered>>> = KVec::new();
}

/// Objects whose last reference the kernel holds (kobjects) and that are still alive.
static OUTSTANDING: Atomic<i32> = Atomic::new(0);

/// Prepares the list.
///
/// # Safety
///
/// Must be called once, before anything is registered: by the module's init function.
pub(crate) unsafe fn init() {
    // SAFETY: Called once, by the requirement of this function.
    unsafe { LIVE.init() };
}

/// Puts `entry` in the list. Errors: `ENOMEM`.
fn insert(entry: Arc<dyn Registered>) -> Result {
    LIVE.lock().push(entry, GFP_KERNEL)?;
    Ok(())
}

fn take(entry: *const u8) -> Option<Arc<dyn Registered>> {
    let mut live = LIVE.lock();
    let at = live
        .iter()
        .rposition(|e| Arc::as_ptr(e).cast::<u8>() == entry)?;
    live.remove(at).ok()
}

/// Ends what is still registered, newest first, and waits for objects that the kernel still holds.
pub(crate) fn sweep() {
    loop {
        // The lock is not held while unregistering: that may sleep for long and take other locks.
        let last = LIVE.lock().pop();
        match last {
            Some(entry) => entry.unregister(),
            None => break,
        }
    }
    let mut waited = 0u32;
    while OUTSTANDING.load(Relaxed) > 0 {
        kernel::time::delay::fsleep(kernel::time::Delta::from_millis(10));
        waited = waited.wrapping_add(1);
        if waited % 1000 == 0 {
            pr_warn!(
                "module exit waits for {} sysfs directories to be released\n",
                OUTSTANDING.load(Relaxed)
            );
        }
    }
}

/// Counts an object whose release function lies in this module's text.
pub(crate) fn outstanding_get() {
    OUTSTANDING.add(1, Relaxed);
}

/// Ends what [`outstanding_get`] began.
pub(crate) fn outstanding_put() {
    OUTSTANDING.add(-1, Relaxed);
}

/// The driver's half of a registration: dropping it unregisters.
pub(crate) struct Handle<R: Registered + 'static>(Arc<R>);

impl<R: Registered + 'static> Handle<R> {
    /// Enters `inner` into the list, then runs `register`. When that fails, nothing is left.
    pub(crate) fn new(inner: Arc<R>, register: impl FnOnce(&R) -> Result) -> Result<Self> {
        insert(inner.clone())?;
        if let Err(err) = register(&inner) {
            drop(take(Arc::as_ptr(&inner).cast()));
            return Err(err);
        }
        Ok(Self(inner))
    }
}

impl<R: Registered + 'static> Deref for Handle<R> {
    type Target = R;

    #[inline]
    fn deref(&self) -> &R {
        &self.0
    }
}

impl<R: Registered + 'static> Drop for Handle<R> {
    fn drop(&mut self) {
        self.0.unregister();
        drop(take(Arc::as_ptr(&self.0).cast()));
    }
}
