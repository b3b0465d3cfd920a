// SPDX-License-Identifier: GPL-2.0

//! Short packets are copied, for which that is less work than to map and unmap them.
//!
//! Each slot of a transmit ring has room for one in memory that the device always reaches. A packet
//! that was copied is free at once, whatever the device does.

use core::ptr::NonNull;

use net_bindings as nb;

/// Packets up to this many bytes are copied.
pub(super) const SHORT: u32 = 128;

/// Room for a copy in each slot.
///
/// # Invariants
///
/// `cpu` and `dma` are the two addresses of one coherent allocation of `slots` times
/// [`SHORT`] bytes for `dev`, which stays bound to its driver while `self` is there. Without
/// slots there is none.
pub(super) struct Copies {
    cpu: NonNull<u8>,
    dma: nb::dma_addr_t,
    slots: usize,
    dev: NonNull<nb::device>,
}

impl Copies {
    const SIZE: usize = SHORT as usize;

    /// Room for `slots` copies, or for none where there is no memory. Process context.
    ///
    /// # Safety
    ///
    /// `dev` must be a device with a DMA mask that stays bound while the returned value exists.
    pub(super) unsafe fn new(dev: NonNull<nb::device>, slots: usize) -> Self {
        let mut dma = 0;
        let bytes = slots.wrapping_mul(Self::SIZE);
        // SAFETY: A bound device, by the requirement.
        let cpu = unsafe { nb::dma_alloc_coherent(dev.as_ptr(), bytes, &mut dma) };
        // INVARIANT: Just allocated, or none.
        match NonNull::new(cpu.cast()) {
            Some(cpu) => Self {
                cpu,
                dma,
                slots,
                dev,
            },
            None => Self {
                cpu: NonNull::dangling(),
                dma: 0,
                slots: 0,
                dev,
            },
        }
    }

    /// Copies a packet into slot `at`, where the device finds it at the returned address. `None`
    /// where there is no room.
    ///
    /// # Safety
    ///
    /// `data` must be valid for reads of `len` bytes. The slot must belong to the caller's side.
    #[inline(always)]
    pub(super) unsafe fn fill(&self, at: u32, data: *const u8, len: u32) -> Option<u64> {
        if at as usize >= self.slots || len > SHORT {
            return None;
        }
        let offset = (at as usize).wrapping_mul(Self::SIZE);
        // SAFETY: Inside the allocation by the type invariant, in a part that only the caller writes;
        // the device is not told of it yet.
        unsafe {
            data.copy_to_nonoverlapping(self.cpu.as_ptr().wrapping_add(offset), len as usize)
        };
        Some(self.dma.wrapping_add(offset as u64))
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        if self.slots == 0 {
            return;
        }
        let bytes = self.slots.wrapping_mul(Self::SIZE);
        // SAFETY: By the type invariant this is our allocation, of this size.
        unsafe {
            nb::dma_free_coherent(self.dev.as_ptr(), bytes, self.cpu.as_ptr().cast(), self.dma)
        };
    }
}
