// SPDX-License-Identifier: GPL-2.0

//! Memory that a device reads and writes.
//!
//! Drivers do not map memory themselves: rings own their descriptors (coherent memory,
//! [`Descriptor`]) and keep the list of what is mapped for the device ([`ring`](crate::ring)). So
//! nothing that safe code forgets leaves a mapping behind.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::prelude::*;
use net_bindings as nb;

mod sealed {
    pub trait Sealed {}
    impl<const N: usize> Sealed for [u64; N] {}
}

/// The raw form of a descriptor: an array of 64-bit words. Implemented for one to four.
pub trait Words: sealed::Sealed + Copy + 'static {
    /// How many words.
    const LEN: usize;

    /// Makes it of one word after the other.
    #[doc(hidden)]
    fn gather(word: impl FnMut(usize) -> u64) -> Self;

    /// Takes it apart.
    #[doc(hidden)]
    fn scatter(self, word: impl FnMut(usize, u64));
}

macro_rules! words {
    ($($n:literal)+) => { $(
        impl Words for [u64; $n] {
            const LEN: usize = $n;

            #[inline(always)]
            fn gather(word: impl FnMut(usize) -> u64) -> Self {
                core::array::from_fn(word)
            }

            #[inline(always)]
            fn scatter(self, mut word: impl FnMut(usize, u64)) {
                let mut at = 0usize;
                for val in self {
                    word(at, val);
                    at = at.wrapping_add(1);
                }
            }
        }
    )+ };
}

words!(1 2 3 4);

/// What one element of a ring looks like to the driver. The device's byte order (little endian) is
/// taken care of.
pub trait Descriptor: Copy + Send + 'static {
    /// The raw form.
    type Raw: Words;

    /// The word that the device writes last, with the bit that says that it is done.
    const STATUS: usize;

    /// Whether the device is done, by that word.
    fn is_done(status: u64) -> bool;

    /// From what lies in the ring.
    fn from_raw(raw: Self::Raw) -> Self;

    /// To what lies in the ring.
    fn into_raw(self) -> Self::Raw;
}

/// The descriptors of a ring: coherent memory, all zeros at first.
///
/// # Invariants
///
/// `cpu` and `dma` are the two addresses of one coherent allocation of `len` descriptors for `dev`,
/// which stays bound to its driver while `self` is there.
pub(crate) struct Descriptors<D: Descriptor> {
    cpu: NonNull<u64>,
    dma: nb::dma_addr_t,
    len: usize,
    dev: NonNull<nb::device>,
    _descriptor: PhantomData<D>,
}

// SAFETY: The memory is reached by whole words from any thread; what may be done when is up to the
// ring.
unsafe impl<D: Descriptor> Send for Descriptors<D> {}
// SAFETY: See above.
unsafe impl<D: Descriptor> Sync for Descriptors<D> {}

impl<D: Descriptor> Descriptors<D> {
    const SIZE: usize = <D::Raw as Words>::LEN * size_of::<u64>();

    /// Allocates `len` descriptors. Process context. Errors: `EINVAL` for none, `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `dev` must be a device with a DMA mask that stays bound while the returned value exists.
    pub(crate) unsafe fn new(dev: NonNull<nb::device>, len: usize) -> Result<Self> {
        const {
            assert!(
                D::STATUS < <D::Raw as Words>::LEN,
                "the status is in the descriptor"
            )
        };
        let size = len.checked_mul(Self::SIZE).ok_or(EINVAL)?;
        if size == 0 {
            return Err(EINVAL);
        }
        let mut dma = 0;
        // SAFETY: A bound device, by the requirement of this function. The memory is zeroed, as
        // that of `dma_alloc_coherent()` always is.
        let cpu = unsafe { nb::dma_alloc_coherent(dev.as_ptr(), size, &mut dma) };
        let cpu = NonNull::new(cpu.cast()).ok_or(ENOMEM)?;
        // INVARIANT: Just allocated.
        Ok(Self {
            cpu,
            dma,
            len,
            dev,
            _descriptor: PhantomData,
        })
    }

    /// What the device is told.
    pub(crate) fn dma(&self) -> u64 {
        self.dma
    }

    pub(crate) fn bytes(&self) -> usize {
        self.len.wrapping_mul(Self::SIZE)
    }

    /// Where word `word` of descriptor `index` lies.
    #[inline]
    fn at(&self, index: usize, word: usize) -> Option<*mut u64> {
        if index >= self.len || word >= <D::Raw as Words>::LEN {
            return None;
        }
        let at = index
            .wrapping_mul(<D::Raw as Words>::LEN)
            .wrapping_add(word);
        Some(self.cpu.as_ptr().wrapping_add(at))
    }

    /// Writes a descriptor; one that is not there is not written.
    #[inline]
    pub(crate) fn write(&self, index: usize, desc: D) {
        desc.into_raw().scatter(|word, val| {
            if let Some(ptr) = self.at(index, word) {
                // SAFETY: Inside the allocation. Volatile, because the device reads it.
                unsafe { ptr.write_volatile(val.to_le()) };
            }
        });
    }

    #[inline]
    fn word(&self, index: usize, word: usize) -> u64 {
        match self.at(index, word) {
            // SAFETY: Inside the allocation. Volatile, because the device writes it.
            Some(ptr) => u64::from_le(unsafe { ptr.read_volatile() }),
            None => 0,
        }
    }

    /// Whether the device has written back descriptor `index`.
    #[inline]
    pub(crate) fn is_done(&self, index: usize) -> bool {
        D::is_done(self.word(index, D::STATUS))
    }

    /// Reads a descriptor that the device is done with, once: what the device writes into it later
    /// is not seen. `None` while the device is not done.
    #[inline]
    pub(crate) fn take(&self, index: usize) -> Option<D> {
        let status = self.word(index, D::STATUS);
        if !D::is_done(status) {
            return None;
        }
        // SAFETY: No requirement. What the device wrote before the status is read after it.
        unsafe { nb::dma_rmb() };
        // The status is not read again: the copy is the one that was looked at.
        Some(D::from_raw(D::Raw::gather(|word| {
            if word == D::STATUS {
                status
            } else {
                self.word(index, word)
            }
        })))
    }
}

impl<D: Descriptor> Drop for Descriptors<D> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is our allocation, of this size.
        unsafe {
            nb::dma_free_coherent(
                self.dev.as_ptr(),
                self.bytes(),
                self.cpu.as_ptr().cast(),
                self.dma,
            )
        };
    }
}
