// SPDX-License-Identifier: GPL-2.0

//! What is switched on, read by packets and changed rarely.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use net_bindings as nb;

/// Thirty-two switches. Reading them is one instruction.
///
/// # Examples
///
/// ```ignore
/// static ON: Switches = Switches::new();
///
/// ON.set(1 << 3);
/// if ON.get() & 1 << 3 != 0 { /* ... */ }
/// ```
pub struct Switches(Atomic<u32>);

impl Default for Switches {
    fn default() -> Self {
        Self::new()
    }
}

impl Switches {
    /// All off.
    pub const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// All of them. Any context. C macro: `READ_ONCE()`.
    #[inline(always)]
    pub fn get(&self) -> u32 {
        // SAFETY: A member of `self`.
        unsafe { nb::read_once_u32(self.0.as_ptr()) }
    }

    /// Sets all of them. Two callers at the same time have to agree on who is first.
    pub fn set(&self, on: u32) {
        self.0.store(on, Relaxed);
    }
}
