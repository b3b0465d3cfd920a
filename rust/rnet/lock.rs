// SPDX-License-Identifier: GPL-2.0

//! A lock that every context can take.

use core::cell::UnsafeCell;

use kernel::{
    prelude::*,
    types::Opaque, //
};
use net_bindings as nb;

/// Data under a lock that process context, softirqs and hard interrupts can take. C functions:
/// `spin_lock_irqsave()`, `spin_unlock_irqrestore()`.
#[pin_data]
pub(crate) struct IrqLock<T> {
    #[pin]
    lock: Opaque<nb::spinlock_t>,
    data: UnsafeCell<T>,
}

// SAFETY: The lock may be taken by any thread, and gives the data to one at a time.
unsafe impl<T: Send> Send for IrqLock<T> {}
// SAFETY: See above.
unsafe impl<T: Send> Sync for IrqLock<T> {}

impl<T> IrqLock<T> {
    pub(crate) fn new(data: T) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: The place for a lock, pinned.
            lock <- Opaque::ffi_init(|lock| unsafe { nb::spin_lock_init(lock) }),
            data: UnsafeCell::new(data),
        })
    }

    /// Calls `work` with the lock held: interrupts are off. Not from inside of itself.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: Initialised by `new()`, and not moved since.
        let flags = unsafe { nb::spin_lock_irqsave(self.lock.get()) };
        // SAFETY: The lock is held, so nobody else has the data.
        let result = work(unsafe { &mut *self.data.get() });
        // SAFETY: Taken above.
        unsafe { nb::spin_unlock_irqrestore(self.lock.get(), flags) };
        result
    }
}
