// SPDX-License-Identifier: GPL-2.0

//! Being told what happens to network devices.

use kernel::{
    error::to_result,
    ffi::{
        c_int,
        c_ulong,
        c_void, //
    },
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Release, //
        },
        Arc, //
    },
    types::Opaque, //
};
use net_bindings as nb;
use pin_init::zeroed;

use super::Device;
use crate::{
    module::InitCtx,
    registry::{
        Handle,
        Registered, //
    },
    rtnl::Rtnl, //
};

/// What happened to a device. C type: `enum netdev_cmd`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Initialised but not yet visible.
    PostInit,
    /// Registered.
    Register,
    /// Up.
    Up,
    /// About to go down.
    GoingDown,
    /// Down.
    Down,
    /// Carrier or another flag has changed.
    Change,
    /// The MTU has changed.
    ChangeMtu,
    /// The MAC address has changed.
    ChangeAddr,
    /// The name has changed.
    ChangeName,
    /// The offloads have changed.
    FeatChange,
    /// Being unregistered: let go of references to it now. May be repeated.
    Unregister,
    /// Another event, by its number.
    Other(u32),
}

impl Event {
    fn from_raw(raw: c_ulong) -> Self {
        // CAST: The events are a small C enum.
        match raw as nb::netdev_cmd {
            nb::netdev_cmd_NETDEV_POST_INIT => Event::PostInit,
            nb::netdev_cmd_NETDEV_REGISTER => Event::Register,
            nb::netdev_cmd_NETDEV_UP => Event::Up,
            nb::netdev_cmd_NETDEV_GOING_DOWN => Event::GoingDown,
            nb::netdev_cmd_NETDEV_DOWN => Event::Down,
            nb::netdev_cmd_NETDEV_CHANGE => Event::Change,
            nb::netdev_cmd_NETDEV_CHANGEMTU => Event::ChangeMtu,
            nb::netdev_cmd_NETDEV_CHANGEADDR => Event::ChangeAddr,
            nb::netdev_cmd_NETDEV_CHANGENAME => Event::ChangeName,
            nb::netdev_cmd_NETDEV_FEAT_CHANGE => Event::FeatChange,
            nb::netdev_cmd_NETDEV_UNREGISTER => Event::Unregister,
            other => Event::Other(other),
        }
    }
}

/// Somebody who wants to know.
pub trait Notifier: Send + Sync + Sized + 'static {
    /// `event` has happened to `dev`. RTNL; may sleep. When registering, the core plays `Register`
    /// and `Up` for the devices that are there, and when unregistering `GoingDown`, `Down` and
    /// `Unregister`. C callback: `notifier_call`.
    fn event(&self, event: Event, dev: &Device, rtnl: &Rtnl);
}

/// A registered notifier. Dropping it unregisters; process context, without RTNL.
///
/// It is made at module init ([`InitCtx`]), never in a namespace's init: both take
/// `pernet_ops_rwsem`.
pub struct NotifierHandle<N: Notifier>(Handle<Inner<N>>);

impl<N: Notifier> NotifierHandle<N> {
    /// Registers `notifier` for all namespaces. Process context, without RTNL. Errors: `ENOMEM`.
    /// C function: `register_netdevice_notifier()`.
    pub fn new(_init: &InitCtx, notifier: N) -> Result<Self> {
        let block = nb::notifier_block {
            notifier_call: Some(Inner::<N>::call),
            ..zeroed()
        };
        let inner = Arc::new(
            Inner {
                block: Opaque::new(block),
                registered: Atomic::new(0),
                notifier,
            },
            GFP_KERNEL,
        )?;
        Ok(Self(Handle::new(inner, |inner| {
            // SAFETY: The block lies in a reference-counted allocation that `unregister()` or the
            // module's sweep outlives; RTNL is not held, by this function's contract.
            to_result(unsafe { nb::register_netdevice_notifier(inner.block.get()) })?;
            inner.registered.store(1, Release);
            Ok(())
        })?))
    }

    /// The notifier.
    pub fn notifier(&self) -> &N {
        &self.0.notifier
    }
}

#[repr(C)]
struct Inner<N> {
    /// First, so that a pointer to it is one to `Self`.
    block: Opaque<nb::notifier_block>,
    registered: Atomic<u32>,
    notifier: N,
}

// SAFETY: The block is the core's, under its own lock; the notifier is `Send`.
unsafe impl<N: Notifier> Send for Inner<N> {}
// SAFETY: See above; the notifier is `Sync`.
unsafe impl<N: Notifier> Sync for Inner<N> {}

impl<N: Notifier> Inner<N> {
    unsafe extern "C" fn call(
        block: *mut nb::notifier_block,
        event: c_ulong,
        info: *mut c_void,
    ) -> c_int {
        // SAFETY: `block` is the first member of an `Inner<N>` that stays until it is
        // unregistered. Netdevice notifiers run under RTNL (`call_netdevice_notifiers_info()`
        // asserts it), and the device is valid during the call.
        let (inner, dev, rtnl) = unsafe {
            (
                &*block.cast::<Self>(),
                Device::from_raw(nb::netdev_notifier_info_to_dev(info)),
                Rtnl::assume(),
            )
        };
        inner.notifier.event(Event::from_raw(event), dev, &rtnl);
        nb::NOTIFY_DONE as c_int
    }
}

impl<N: Notifier> Registered for Inner<N> {
    fn unregister(&self) {
        if self.registered.xchg(0, Full) == 1 {
            // SAFETY: Registered before, and only once because of the exchange; RTNL not held.
            unsafe { nb::unregister_netdevice_notifier(self.block.get()) };
        }
    }
}
