// SPDX-License-Identifier: GPL-2.0

//! What the layer holds of a PCI device while it is bound.

use core::ptr::NonNull;

use kernel::{
    error::to_result,
    prelude::*,
    str::CStr,
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};
use net_bindings as nb;

use super::Device;
use crate::{
    irq::Vectors,
    mmio::Mmio,
    nic::Limits, //
};

/// An enabled device with its memory regions. Dropping gives both back.
struct Enabled {
    pdev: NonNull<nb::pci_dev>,
}

impl Enabled {
    /// # Safety
    ///
    /// In probe of `pdev`; the value must be dropped before the device is unbound.
    unsafe fn new(pdev: NonNull<nb::pci_dev>, name: &'static CStr) -> Result<Self> {
        let raw = pdev.as_ptr();
        // SAFETY: In probe, by the requirement of this function.
        unsafe {
            to_result(nb::pci_enable_device_mem(raw))?;
            if let Err(err) = to_result(nb::pci_request_mem_regions(raw, name.as_char_ptr())) {
                nb::pci_disable_device(raw);
                return Err(err);
            }
        }
        Ok(Self { pdev })
    }
}

impl Drop for Enabled {
    fn drop(&mut self) {
        // SAFETY: Enabled and requested by `new()`; still bound.
        unsafe {
            nb::pci_clear_master(self.pdev.as_ptr());
            nb::pci_release_mem_regions(self.pdev.as_ptr());
            nb::pci_disable_device(self.pdev.as_ptr());
        }
    }
}

/// The mapping of a BAR.
struct Mapping(NonNull<u8>);

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: Mapped by `pci_ioremap_bar()`, unmapped once.
        unsafe { nb::iounmap(self.0.as_ptr().cast()) };
    }
}

/// What a bound device has; given back in this order.
pub(crate) struct Resources {
    vectors: Vectors,
    io: Mmio,
    _mapping: Mapping,
    enabled: Enabled,
    max_queues: u32,
    /// How many values point here.
    users: Atomic<i32>,
}

// SAFETY: Everything in it may be used by any thread.
unsafe impl Send for Resources {}
// SAFETY: See above.
unsafe impl Sync for Resources {}

impl Resources {
    /// Enables the device, maps its registers, sets the DMA mask to 64 or else 32 bits and
    /// allocates interrupt vectors. Bus mastering stays off.
    ///
    /// # Safety
    ///
    /// In probe of `pdev`; the value must be dropped before the device is unbound.
    pub(super) unsafe fn new(
        pdev: NonNull<nb::pci_dev>,
        name: &'static CStr,
        limits: &Limits,
        queues: u32,
    ) -> Result<Self> {
        let raw = pdev.as_ptr();
        // SAFETY: By the requirement of this function.
        let enabled = unsafe { Enabled::new(pdev, name)? };
        // SAFETY: In probe: nothing is mapped yet.
        unsafe {
            let dev = nb::pci_dev_device(raw);
            if to_result(nb::dma_set_mask_and_coherent(dev, u64::MAX)).is_err() {
                to_result(nb::dma_set_mask_and_coherent(dev, u32::MAX.into()))?;
            }
        }
        let bar = i32::try_from(limits.bar).map_err(|_| EINVAL)?;
        if bar > 5 {
            return Err(EINVAL);
        }
        // SAFETY: A BAR number that there is.
        let len = unsafe {
            if !nb::pci_resource_is_mem(raw, bar) {
                return Err(ENODEV);
            }
            usize::try_from(nb::pci_resource_len(raw, bar)).map_err(|_| EINVAL)?
        };
        if len < limits.bar_len {
            return Err(ENODEV);
        }
        // SAFETY: The device is enabled and the region is ours.
        let base = NonNull::new(unsafe { nb::pci_ioremap_bar(raw, bar) }.cast::<u8>());
        let mapping = Mapping(base.ok_or(ENOMEM)?);
        // SAFETY: Just mapped, with this length; unmapped after it, by the order of the fields.
        let io = unsafe { Mmio::new(mapping.0, len, limits.alive)? };
        // A device that a bus error has cut off: do not begin.
        io.flush()?;
        // SAFETY: Enabled, no vectors yet.
        let vectors = unsafe { Vectors::new(pdev, queues)? };
        // SAFETY: Enabled. For resets of the function, which the PCI core restores from this.
        unsafe { nb::pci_save_state(raw) };
        Ok(Self {
            vectors,
            io,
            _mapping: mapping,
            enabled,
            max_queues: limits.queues,
            users: Atomic::new(0),
        })
    }

    #[inline]
    pub(crate) fn io(&self) -> &Mmio {
        &self.io
    }

    pub(crate) fn device(&self) -> Device<'_> {
        // SAFETY: Bound while `self` is there.
        unsafe { Device::new(self.enabled.pdev) }
    }

    pub(crate) fn dma(&self) -> NonNull<nb::device> {
        // SAFETY: A device that is there; the address of its member is not null.
        unsafe { NonNull::new_unchecked(nb::pci_dev_device(self.enabled.pdev.as_ptr())) }
    }

    pub(crate) fn vectors(&self) -> &Vectors {
        &self.vectors
    }

    pub(crate) fn max_queues(&self) -> u32 {
        self.max_queues
    }

    /// Whether the device may access memory. Without it, nothing that was mapped is in use any
    /// more, whatever the driver forgot. C functions: `pci_set_master()`, `pci_clear_master()`.
    pub(crate) fn set_master(&self, on: bool) {
        let pdev = self.enabled.pdev.as_ptr();
        // SAFETY: An enabled device.
        unsafe {
            if on {
                nb::pci_set_master(pdev);
            } else {
                nb::pci_clear_master(pdev);
            }
        }
    }

    /// Counts a value that points here.
    pub(crate) fn add_user(&self) {
        self.users.add(1, kernel::sync::atomic::Relaxed);
    }

    /// A value that pointed here has ended.
    pub(crate) fn release_user(&self) {
        self.users.fetch_add(-1, Release);
    }

    /// Waits until nothing points here any more. Process context.
    pub(super) fn wait_unused(&self) {
        while self.users.load(Acquire) > 0 {
            fsleep(Delta::from_millis(1));
        }
    }
}
