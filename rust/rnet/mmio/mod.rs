// SPDX-License-Identifier: GPL-2.0

//! Device registers: typed, checked when compiled, and aware of a device that is gone.
//!
//! [`registers!`](crate::registers) makes a type for each register, so that a value of one cannot be
//! written to another. [`Mmio`] is lent by the layer to the callbacks of a driver that is bound and
//! ends with them: there is no way to keep it beyond the mapping.
//!
//! A read from a device that has been pulled out, or that a bus error has cut off, returns all
//! ones. [`Mmio::read`] makes an error of it ([`Gone`]).
//!
//! C functions: `readl()`, `writel()`.

mod registers;

pub use registers::{
    Bits,
    Register,
    RegisterArray, //
};

use core::{
    cell::UnsafeCell,
    ptr::NonNull, //
};

use kernel::prelude::*;
use net_bindings as nb;

/// The device answers with all ones: it is gone, or the way to it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl From<Gone> for Error {
    fn from(_: Gone) -> Self {
        ENODEV
    }
}

/// The registers of a device (a memory BAR), mapped. Any context.
///
/// # Invariants
///
/// `base` is the start of a mapping of at least `len` bytes, which is there while `self` is.
pub struct Mmio {
    base: NonNull<u8>,
    len: usize,
    /// The register that tells a device that is gone from a register of all ones.
    probe: usize,
    gone: UnsafeCell<u32>,
}

// SAFETY: Registers are reached from any thread; `gone` is only read and written as a whole, and
// only from 0 to 1.
unsafe impl Send for Mmio {}
// SAFETY: See above.
unsafe impl Sync for Mmio {}

impl Mmio {
    /// `probe` is the offset of a register of a living device that is never all ones.
    ///
    /// # Safety
    ///
    /// `base` must be an ioremapped region of `len` bytes, owned by the caller for as long as the
    /// returned value exists.
    pub(crate) unsafe fn new(base: NonNull<u8>, len: usize, probe: usize) -> Result<Self> {
        if probe % 4 != 0 || probe.checked_add(4).is_none_or(|end| end > len) {
            return Err(EINVAL);
        }
        // INVARIANT: By the requirement of this function.
        Ok(Self {
            base,
            len,
            probe,
            gone: UnsafeCell::new(0),
        })
    }

    /// # Safety
    ///
    /// `offset` must be a multiple of 4 with `offset + 4 <= self.len`.
    #[inline]
    unsafe fn read_raw(&self, offset: usize) -> u32 {
        // SAFETY: Inside the mapping, by the requirement of this function and the type invariant.
        unsafe { nb::readl(self.base.as_ptr().add(offset).cast()) }
    }

    /// Whether the device was found to be gone. It never comes back under the same mapping.
    #[inline]
    pub fn is_gone(&self) -> bool {
        // SAFETY: Valid for reads; a word that is written as a whole.
        unsafe { nb::read_once_u32(self.gone.get()) != 0 }
    }

    /// Says that the device is gone: every access fails from now on. For bus errors, and for tests.
    pub fn set_gone(&self) {
        // SAFETY: Valid for writes; a word that is written as a whole.
        unsafe { nb::smp_store_release_u32(self.gone.get(), 1) };
    }

    /// Reads at `offset`; `None` if it is outside of the region or not aligned.
    #[inline]
    fn read_at(&self, offset: usize) -> Result<u32, Gone> {
        if self.is_gone() || offset & 3 != 0 || offset > self.len.wrapping_sub(4) {
            return Err(Gone);
        }
        // SAFETY: Aligned and inside, as just checked; `len` is at least 4, as the probe register
        // is inside.
        let val = unsafe { self.read_raw(offset) };
        if val == u32::MAX {
            self.check_alive()?;
        }
        Ok(val)
    }

    #[cold]
    fn check_alive(&self) -> Result<(), Gone> {
        // SAFETY: `new()` has checked this offset.
        if unsafe { self.read_raw(self.probe) } == u32::MAX {
            self.set_gone();
            return Err(Gone);
        }
        Ok(())
    }

    #[inline]
    fn write_at(&self, offset: usize, val: u32) {
        // A region smaller than the driver's registers is refused when it is mapped, so the
        // checks of constants are compiled away or never fail.
        if self.is_gone() || offset & 3 != 0 || offset > self.len.wrapping_sub(4) {
            return;
        }
        // SAFETY: Aligned and inside the mapping, as just checked.
        unsafe { nb::writel(val, self.base.as_ptr().add(offset).cast()) };
    }

    /// Reads a register.
    ///
    /// # Errors
    ///
    /// [`Gone`] when it and the register that is never all ones read as all ones.
    #[inline]
    pub fn read<R: Register>(&self) -> Result<R, Gone> {
        self.read_at(R::OFFSET).map(R::from_bits)
    }

    /// Reads whatever is at `offset`, to show it to people. Errors: [`Gone`], also for an offset
    /// outside of the region.
    pub fn read_offset(&self, offset: usize) -> Result<u32, Gone> {
        self.read_at(offset)
    }

    /// Writes a register. A device that is gone is not written to.
    #[inline]
    pub fn write<R: Register>(&self, val: R) {
        self.write_at(R::OFFSET, val.bits());
    }

    /// Reads, changes and writes back a register. Errors: [`Gone`].
    pub fn update<R: Register>(&self, change: impl FnOnce(R) -> R) -> Result<(), Gone> {
        let val = self.read::<R>()?;
        self.write(change(val));
        Ok(())
    }

    /// Reads element `index` of an array. Errors: [`Gone`], also for an index that is not there.
    #[inline]
    pub fn read_index<R: RegisterArray>(&self, index: usize) -> Result<R, Gone> {
        self.read_at(R::offset(index).ok_or(Gone)?)
            .map(R::from_bits)
    }

    /// Writes element `index` of an array; one that is not there is not written.
    #[inline]
    pub fn write_index<R: RegisterArray>(&self, index: usize, val: R) {
        if let Some(offset) = R::offset(index) {
            self.write_at(offset, val.bits());
        }
    }

    /// Makes sure that what was written has reached the device: reads the register that is never
    /// all ones. Errors: [`Gone`].
    pub fn flush(&self) -> Result<(), Gone> {
        self.read_at(self.probe).map(drop)
    }

    /// Reads a register until `done`, at most `tries` times, `pause` apart. Process context; may
    /// sleep. C macro: `read_poll_timeout()`.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`; `ENODEV` for a device that is gone.
    pub fn wait<R: Register>(
        &self,
        tries: u32,
        pause: kernel::time::Delta,
        done: impl Fn(R) -> bool,
    ) -> Result<R> {
        for _ in 0..tries {
            let val = self.read::<R>()?;
            if done(val) {
                return Ok(val);
            }
            kernel::time::delay::fsleep(pause);
        }
        Err(ETIMEDOUT)
    }

    /// What a ring's tail register is written through. `None` if it is outside of the region.
    pub(crate) fn doorbell(&self, offset: usize) -> Option<Doorbell> {
        if offset & 3 != 0 || offset > self.len.wrapping_sub(4) {
            return None;
        }
        // SAFETY: Inside the mapping, so not null.
        let ptr = unsafe { NonNull::new_unchecked(self.base.as_ptr().add(offset)) };
        Some(Doorbell { ptr })
    }
}

/// The tail register of a ring. Made by [`Mmio::doorbell`], and used by rings, which end before the
/// mapping does.
pub(crate) struct Doorbell {
    ptr: NonNull<u8>,
}

impl Doorbell {
    /// Tells the device how far the ring is filled. Descriptors that were written before are seen
    /// by the device before this is.
    ///
    /// # Safety
    ///
    /// The [`Mmio`] that this was made from must still be there.
    #[inline]
    pub(crate) unsafe fn ring(&self, tail: u32) {
        // SAFETY: An aligned register inside a mapping that is there by the requirement.
        unsafe { nb::writel(tail, self.ptr.as_ptr().cast()) };
    }
}
