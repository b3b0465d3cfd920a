// SPDX-License-Identifier: GPL-2.0

//! What lies behind `struct net_device`.

use core::ptr::{
    null_mut,
    NonNull, //
};

use kernel::{
    ffi::c_void,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    },
};
use net_bindings as nb;

use crate::{
    softq::Switch,
    sysfs::GroupMemory, //
};

/// The private area of a device of this layer: a pointer to the driver's data, null before it is
/// set and after it was dropped, one to the memory of the device's attribute group, and one to the
/// switch of its receive queues, if it can have any.
#[repr(C)]
pub(super) struct Priv {
    pub(super) data: Atomic<*mut c_void>,
    pub(super) group: Atomic<*mut GroupMemory>,
    /// A reference of an `Arc`.
    pub(super) switch: Atomic<*mut Switch>,
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

    /// The switch of the device's receive queues, if it can have any.
    ///
    /// # Safety
    ///
    /// As for [`of`](Self::of), and its data must stay during `'a`.
    #[inline(always)]
    pub(super) unsafe fn switch<'a>(dev: *mut nb::net_device) -> Option<&'a Switch> {
        // SAFETY: By the requirement; the reference is dropped with the data. Written before the
        // device is registered.
        unsafe {
            let switch = Priv::of(dev).switch.as_ptr();
            nb::read_once_ptr(switch.cast()).cast::<Switch>().as_ref()
        }
    }

    /// The device's reference to its switch, which it has no more.
    ///
    /// # Safety
    ///
    /// `dev` must be the device that this is the private area of, not registered.
    pub(super) unsafe fn take_switch(&self, dev: *mut nb::net_device) -> Option<Arc<Switch>> {
        let switch = NonNull::new(self.switch.xchg(null_mut(), Full))?;
        // SAFETY: Made by `Arc::into_raw` in `Builder::receive_queues()`, and taken once. So many
        // queues were allocated, and will be freed.
        unsafe {
            let switch = Arc::from_raw(switch.as_ptr());
            nb::netdev_set_num_rx_queues(dev, switch.count());
            Some(switch)
        }
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
