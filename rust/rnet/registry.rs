// SPDX-License-Identifier: GPL-2.0

//! Everything of this module that the kernel can call back, so that module exit can end it.
//!
//! Safe code can leak any handle (`mem::forget`, a reference cycle). A leaked registration would
//! leave the kernel with function pointers into unloaded text. So each registration is one
//! reference-counted object with two owners: the driver's handle and this list. Whichever ends
//! first unregisters; module exit ends whatever is left, in reverse order.

use core::{
    mem::ManuallyDrop,
    ops::Deref, //
};

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

/// Something that can be unregistered, once.
pub(crate) trait Registered: Send + Sync {
    /// Ends all callbacks. Process context, no locks held; must tolerate being called again.
    fn unregister(&self);
}

/// Whether something is registered, so that it is unregistered once, whoever does it.
pub(crate) struct Presence(Atomic<u32>);

impl Presence {
    /// Not yet.
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// It is registered now.
    pub(crate) fn begin(&self) {
        self.0.store(1, Release);
    }

    /// True for the one caller that has to unregister it.
    pub(crate) fn end(&self) -> bool {
        self.0.xchg(0, Full) == 1
    }
}

/// One registration in the list.
struct Entry {
    registered: Arc<dyn Registered>,
    /// Whether it is still being registered.
    pending: bool,
}

kernel::sync::global_lock! {
    // SAFETY: Initialised in `init()` before first use, which `ModuleCtx` proves.
    unsafe(uninit) static LIVE: Mutex<KVVec<Entry>> = KVVec::new();
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

/// Puts something in the list that is being registered. Errors: `ENOMEM`.
fn insert(registered: Arc<dyn Registered>) -> Result {
    LIVE.lock().push(
        Entry {
            registered,
            pending: true,
        },
        GFP_KERNEL,
    )?;
    Ok(())
}

/// The newest entry of an address comes last, where most are looked for.
fn position(live: &[Entry], address: *const u8) -> Option<usize> {
    live.iter()
        .rposition(|e| Arc::as_ptr(&e.registered).cast::<u8>() == address)
}

/// Says that something in the list is registered.
fn commit(address: *const u8) {
    let mut live = LIVE.lock();
    if let Some(entry) = position(&live, address).and_then(|at| live.get_mut(at)) {
        entry.pending = false;
    }
}

fn take(address: *const u8) -> Option<Entry> {
    let mut live = LIVE.lock();
    let at = position(&live, address)?;
    live.remove(at).ok()
}

/// The newest entry that is registered, and whether there are others.
fn take_newest() -> (Option<Entry>, bool) {
    let mut live = LIVE.lock();
    let newest = live
        .iter()
        .rposition(|e| !e.pending)
        .and_then(|at| live.remove(at).ok());
    (newest, !live.is_empty())
}

/// Ends what is still registered, newest first, and waits for objects that the kernel still holds.
pub(crate) fn sweep() {
    loop {
        // The lock is not held while unregistering: that may sleep for long and take other locks.
        match take_newest() {
            (Some(entry), _) => entry.registered.unregister(),
            // Somebody is registering in a callback of what has just been ended: wait for it.
            (None, true) => fsleep(Delta::from_millis(1)),
            (None, false) => break,
        }
    }
    // A static is never dropped: give its memory back.
    *LIVE.lock() = KVVec::new();
    let mut waited = 0u32;
    while OUTSTANDING.load(Relaxed) > 0 {
        fsleep(Delta::from_millis(10));
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
        commit(Arc::as_ptr(&inner).cast());
        Ok(Self(inner))
    }
}

impl<R: Registered + 'static> Handle<R> {
    /// Another reference to what is registered.
    pub(crate) fn share(&self) -> Arc<R> {
        self.0.clone()
    }

    /// Leaves the registration to [`sweep`], which ends it and drops what belongs to it.
    pub(crate) fn until_exit(self) {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so its reference is moved out of it, once.
        drop(unsafe { core::ptr::read(&this.0) });
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
