// SPDX-License-Identifier: GPL-2.0

//! PCI devices and their drivers.
//!
//! [`Registration`] registers a driver of NICs ([`nic::Driver`](crate::nic::Driver)) with the PCI
//! core. It takes no device by itself: it matches nothing, so a device is bound only by
//! `driver_override` (or `new_id`) and `bind` in sysfs, or by name ([`Registration::bind`]). The kernel crate's own
//! `pci::Adapter` knows neither shutdown, power management nor error handlers; this one has them.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

mod adapter;
mod bind;
mod bound;
mod power;
mod resources;

pub use adapter::Registration;
pub use bind::Address;
pub(crate) use power::Awake;
pub(crate) use resources::Resources;

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    prelude::*,
    str::CStr, //
};
use net_bindings as nb;

use crate::mmio::Mmio;

/// A kind of device: vendor and device number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Id {
    /// The vendor.
    pub vendor: u16,
    /// The device.
    pub device: u16,
}

/// A PCI device that is bound to the driver. Lent for a callback. C type: `struct pci_dev`.
#[derive(Clone, Copy)]
pub struct Device<'a> {
    pdev: NonNull<nb::pci_dev>,
    _bound: PhantomData<&'a ()>,
}

impl<'a> Device<'a> {
    /// # Safety
    ///
    /// `pdev` must be a device that stays bound during `'a`.
    pub(crate) unsafe fn new(pdev: NonNull<nb::pci_dev>) -> Self {
        Self {
            pdev,
            _bound: PhantomData,
        }
    }

    /// Where it sits: domain, bus, device and function. C function: `pci_name()`.
    pub fn name(&self) -> &'a CStr {
        // SAFETY: A device that is there; its name stays as long as it does.
        unsafe { CStr::from_char_ptr(nb::pci_name(self.pdev.as_ptr())) }
    }

    /// Vendor and device.
    pub fn id(&self) -> Id {
        // SAFETY: A device that is there.
        Self::split(unsafe { nb::pci_vendor_device(self.pdev.as_ptr()) })
    }

    /// Vendor and device of the subsystem: who made the board.
    pub fn subsystem(&self) -> Id {
        // SAFETY: A device that is there.
        Self::split(unsafe { nb::pci_subsystem(self.pdev.as_ptr()) })
    }

    fn split(both: u32) -> Id {
        Id {
            vendor: (both >> 16) as u16,
            device: both as u16,
        }
    }
}

/// A device that is being bound.
pub struct Probe<'a> {
    device: Device<'a>,
    io: &'a Mmio,
}

impl<'a> Probe<'a> {
    pub(crate) fn new(device: Device<'a>, io: &'a Mmio) -> Self {
        Self { device, io }
    }

    /// The registers.
    pub fn io(&self) -> &'a Mmio {
        self.io
    }

    /// The device.
    pub fn device(&self) -> Device<'a> {
        self.device
    }
}
