// SPDX-License-Identifier: GPL-2.0

//! What lies behind `struct net_device`.

use kernel::{
    ffi::c_void,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use net_bindings as nb;

use crate::sysfs::GroupMemory;

/// The private area of a device of this layer: a pointer to the driver's data, null before it is
/// set and after it was dropped, and one to the memory of the device's attribute group, if any.
#[repr(C)]
pub(super) struct Priv {
    pub(super) data: Atomic<*mut c_void>,
    pub(super) group: Atomic<*mut GroupMemory>,
}

impl Priv {
    /// # Safety
    ///
    /// `dev` must be valid during `'a` and have been allocated by [`Builder`](super::Builder).
    #[inline]
    pub(super) unsafe fn of<'a>(dev: *mut nb::net_device) -> &'a Self {
        // SAFETY: By the requirement, the private area is a `Priv`. It was zeroed at allocation,
        // which is a valid value.
        unsafe { &*nb::netdev_priv(dev).cast::<Priv>() }
    }

    /// Ties an attribute group's memory to the device.
    ///
    /// # Safety
    ///
    /// `dev` must be an unregistered device allocated by [`Builder`](super::Builder), without a
    /// group.
    pub(super) unsafe fn set_group(dev: *mut nb::net_device, group: KBox<GroupMemory>) {
        // SAFETY: By the requirement.
        unsafe { Priv::of(dev) }
            .group
            .store(KBox::into_raw(group), Relaxed);
    }
}
