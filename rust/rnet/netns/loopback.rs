// SPDX-License-Identifier: GPL-2.0

//! Giving a new namespace another loopback device.

use kernel::{
    error::to_result,
    prelude::*, //
};
use net_bindings as nb;

use super::{
    pin::ModulePin,
    NetInit, //
};
use crate::{
    netdev::{
        Builder,
        Device,
        Driver, //
    },
    rtnl, //
};

/// What became of an attempt to replace a loopback device.
pub enum Replaced<'a> {
    /// The driver's device is the namespace's loopback device now.
    Yes(&'a Device),
    /// The namespace keeps the device it has, for this reason; nothing was changed.
    No(Error),
}

/// Makes `builder`'s device the loopback device of the namespace that is being created: named as
/// built, interface index 1, `net->loopback_dev`. The kernel's own is unregistered first, which
/// nobody can have used yet.
///
/// The device ends with the namespace; until then the module cannot be removed. To be called from
/// [`Pernet::init`](super::Pernet::init) of [`Kind::Device`](super::Kind::Device): process context,
/// without RTNL. Where registration fails, the core may drop `data` with RTNL held. It waits for RCU several times (tens of milliseconds on a small machine).
///
/// # Errors
///
/// In [`Replaced::No`], with the namespace as it was: `EOPNOTSUPP` if it is not new or the device
/// is not a loopback; `EBUSY` if it was replaced already, or if a protocol that was loaded before
/// this module (TIPC) holds the kernel's loopback device, or another module has taken it over;
/// `ENODEV` while the module is being loaded or removed; `ENOENT` without a loopback device.
///
/// As an error of the function, to be passed on so that the namespace is not created: `ENOMEM`,
/// and what registration fails with.
pub fn replace_loopback<'a, T: Driver, E>(
    cx: &'a NetInit<'_>,
    builder: Builder<T>,
    data: impl PinInit<T, E>,
) -> Result<Replaced<'a>>
where
    Error: From<E>,
{
    let net = cx.net();
    let dev = builder.as_raw();
    if !cx.is_new() || !builder.as_device().is_loopback() {
        return Ok(Replaced::No(EOPNOTSUPP));
    }
    // The first replacement may still be lent out.
    if cx.replaced.get() {
        return Ok(Replaced::No(EBUSY));
    }
    let Some(pin) = ModulePin::take() else {
        return Ok(Replaced::No(ENODEV));
    };
    // SAFETY: `builder` was just passed in and had no data: this is the only call.
    unsafe { builder.init_data(data)? };

    {
        let rtnl = rtnl::lock();
        let Some(old) = net.loopback(&rtnl) else {
            return Ok(Replaced::No(ENOENT));
        };
        // SAFETY: A registered device, under RTNL.
        if unsafe { nb::netdev_has_ptypes(old.as_raw()) || nb::netdev_ops_on_heap(old.as_raw()) } {
            return Ok(Replaced::No(EBUSY));
        }
        // SAFETY: Registered, under RTNL. When the guard is dropped, the core waits for its users
        // and its destructor clears `net->loopback_dev`.
        unsafe { nb::unregister_netdevice(old.as_raw()) };
    }

    // SAFETY: A device of our own, not registered. Nobody else can be in the namespace.
    unsafe {
        nb::dev_net_set(dev, net.as_raw());
        nb::netdev_set_ifindex(dev, nb::LOOPBACK_IFINDEX as i32);
        nb::netdev_set_destructor(dev, Some(destructor::<T>), true);
    }
    let registered = {
        let _rtnl = rtnl::lock();
        // SAFETY: Set up, not registered, under RTNL.
        let registered = to_result(unsafe { nb::register_netdevice(dev) });
        if registered.is_ok() {
            // SAFETY: Registered, under RTNL; the namespace cannot be looked up by anybody yet, so
            // its list of devices has no readers.
            unsafe {
                nb::net_set_loopback_dev(net.as_raw(), dev);
                nb::netdev_move_first(dev, net.as_raw());
            }
        }
        registered
        // RTNL is released here: if registration has failed half way, the core undoes it now.
    };
    registered?;
    if let Err(pin) = pin.keep(net) {
        // Cannot happen: `Kind::Device` callbacks are registered after the pins. A module that
        // stays is better than a device without its text.
        core::mem::forget(pin);
    }
    let dev = builder.into_raw();
    cx.replaced.set(true);
    // SAFETY: Registered until the end of the namespace, which `'a` does not reach.
    Ok(Replaced::Yes(unsafe { Device::from_raw(dev.as_ptr()) }))
}

/// `priv_destructor` of a loopback device: as for any device, after the namespace has lost it.
unsafe extern "C" fn destructor<T: Driver>(dev: *mut nb::net_device) {
    // SAFETY: Called when the device's last reference is gone, or under RTNL when registration
    // fails; the namespace is still there.
    unsafe {
        let net = nb::dev_net(dev);
        if nb::net_loopback_dev(net) == dev {
            nb::net_set_loopback_dev(net, core::ptr::null_mut());
        }
        crate::netdev::destroy::<T>(dev);
    }
}

impl Replaced<'_> {
    /// Whether the device was replaced.
    pub fn is_replaced(&self) -> bool {
        matches!(self, Replaced::Yes(_))
    }
}
