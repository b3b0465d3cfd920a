// SPDX-License-Identifier: GPL-2.0

//! Which object something is, without being able to reach it.

use core::marker::PhantomData;

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use net_bindings as nb;

/// The identity of a `T` while it lives: to be compared, never followed. After its end another one
/// may have the same.
pub struct Id<T> {
    address: u64,
    _type: PhantomData<fn() -> T>,
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl<T> Eq for Id<T> {}

impl<T> Id<T> {
    /// The identity of what lies there.
    #[inline(always)]
    pub(crate) fn of<R>(ptr: *const R) -> Self {
        Self {
            address: ptr as u64,
            _type: PhantomData,
        }
    }
}

/// What is to be let through: everything, one object, or nothing any more because the object is
/// gone. Read by packets, written rarely.
pub struct Filter<T> {
    wanted: Atomic<i64>,
    _type: PhantomData<fn() -> T>,
}

/// No object is there.
const GONE: i64 = 1;

impl<T> Default for Filter<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Filter<T> {
    /// Lets everything through.
    pub const fn new() -> Self {
        Self {
            wanted: Atomic::new(0),
            _type: PhantomData,
        }
    }

    #[inline(always)]
    fn wanted(&self) -> u64 {
        // SAFETY: A member of `self`.
        unsafe { nb::read_once_u64(self.wanted.as_ptr().cast()) }
    }

    /// Whether it is to be looked at. Any context.
    #[inline(always)]
    pub fn passes(&self, id: Id<T>) -> bool {
        let wanted = self.wanted();
        wanted == 0 || wanted == id.address
    }

    /// The same where the object has to be found out first.
    #[inline(always)]
    pub fn passes_with(&self, id: impl FnOnce() -> Id<T>) -> bool {
        let wanted = self.wanted();
        wanted == 0 || wanted == id().address
    }

    /// Whether everything is let through.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        self.wanted() == 0
    }

    /// Whether the object is gone, so that nothing is let through.
    pub fn is_gone(&self) -> bool {
        self.wanted() == GONE as u64
    }

    /// Lets everything through.
    pub fn open(&self) {
        self.wanted.store(0, Relaxed);
    }

    /// Lets one object through. Whoever calls this says when it is [`gone`](Self::gone).
    pub fn only(&self, id: Id<T>) {
        self.wanted.store(id.address as i64, Relaxed);
    }

    /// The object ends: nothing is let through if it was this one, so that another one at its place
    /// is not taken for it. To be called before its memory is freed.
    pub fn gone(&self, id: Id<T>) {
        let _ = self.wanted.cmpxchg(id.address as i64, GONE, Relaxed);
    }
}
