// SPDX-License-Identifier: GPL-2.0

//! Registered devices and who ends them.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc, //
    },
};
use net_bindings as nb;

use super::{
    adapter::Adapter,
    Builder,
    Device,
    Driver, //
};
use crate::{
    module::ModuleCtx,
    netns::Net,
    registry::{
        Handle,
        Registered, //
    },
    rtnl::{
        self,
        Rtnl, //
    },
};

/// A registered device of driver `T`. Dropping it unregisters and frees the device.
///
/// Dropping takes RTNL and waits for every user of the device: process context, without RTNL. A
/// handle that is leaked is ended at module exit.
///
/// # Examples
///
/// ```ignore
/// let reg = Builder::<MyDriver>::ethernet(c"my%d")?
///     .random_address()
///     .register(ctx, Net::init_net(), try_pin_init!(MyDriver { .. }))?;
/// reg.data().count_something();
/// ```
pub struct Registration<T: Driver>(Handle<Inner<T>>);

impl<T: Driver> Registration<T> {
    pub(super) fn new<E>(
        builder: Builder<T>,
        _ctx: ModuleCtx,
        net: &Net,
        data: impl PinInit<T, E>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        // A namespace ends its own loopback device; here the handle does.
        if builder.as_device().is_loopback() {
            return Err(EOPNOTSUPP);
        }
        // A namespace that is ending would be freed with the device in it.
        let net = net.get().ok_or(ENODEV)?;
        // Before its loopback device is there, a namespace gives out index 1, which is that one's.
        // SAFETY: Valid namespace; only compared.
        if unsafe { nb::net_loopback_dev(net.as_raw()) }.is_null() {
            return Err(ENODEV);
        }
        // SAFETY: A device of our own; only read.
        if unsafe { !nb::netdev_has_valid_addr(builder.dev.as_ptr()) } {
            return Err(EADDRNOTAVAIL);
        }
        // SAFETY: `builder` is consumed here, so this is the only call.
        unsafe { builder.init_data(data)? };
        // SAFETY: A device of our own, not registered; `net` cannot end until we return, and then
        // takes care of the devices that are in it.
        unsafe { nb::dev_net_set(builder.dev.as_ptr(), net.as_raw()) };

        let inner = Arc::new(
            Inner {
                dev: builder.dev,
                state: Atomic::new(State::UNREGISTERED),
                owned: Atomic::new(0),
                _driver: PhantomData,
            },
            GFP_KERNEL,
        )?;
        // From here on the registration owns the device; on failure it is still the builder's.
        let handle = Handle::new(inner, |inner| {
            // SAFETY: Allocated and set up, not registered; RTNL is not held by this task, by the
            // contract of `Builder::register()`.
            to_result(unsafe { nb::register_netdev(inner.dev.as_ptr()) })?;
            inner.state.store(State::REGISTERED, Release);
            Ok(())
        })?;
        builder.into_raw();
        handle.owned.store(1, Relaxed);
        Ok(Self(handle))
    }

    /// The device, for as long as RTNL is held. `None` once it is unregistered: while the module
    /// exits, if the handle was leaked.
    pub fn device<'a>(&'a self, _rtnl: &'a Rtnl) -> Option<&'a Device> {
        // SAFETY: The device is freed with `self`, not before. It is unregistered under RTNL, so
        // what is registered now stays so during `'a`.
        unsafe {
            if nb::netdev_is_registered(self.0.dev.as_ptr()) {
                Some(Device::from_raw(self.0.dev.as_ptr()))
            } else {
                None
            }
        }
    }

    /// Unregisters the device; its data stays until the registration is dropped. Process context,
    /// without RTNL.
    pub(crate) fn unregister(&self) {
        self.0.unregister();
    }

    /// The driver's data, which lives until the registration is dropped.
    pub fn data(&self) -> &T {
        // SAFETY: The data is dropped with the last owner of `Inner`, of which `self` is one.
        unsafe { Adapter::<T>::data(self.0.dev.as_ptr()) }
    }
}

struct State;

impl State {
    const UNREGISTERED: u32 = 0;
    const REGISTERED: u32 = 1;
}

/// # Invariants
///
/// `dev` is a device of `T`, registered while `state` is `REGISTERED`, and to be freed with `self`
/// if `owned` is 1.
struct Inner<T: Driver> {
    dev: NonNull<nb::net_device>,
    state: Atomic<u32>,
    owned: Atomic<u32>,
    _driver: PhantomData<T>,
}

// SAFETY: The device is reached by any thread; the data is `Send` and `Sync` by `Driver`.
unsafe impl<T: Driver> Send for Inner<T> {}
// SAFETY: See above.
unsafe impl<T: Driver> Sync for Inner<T> {}

impl<T: Driver> Registered for Inner<T> {
    fn unregister(&self) {
        if self.state.xchg(State::UNREGISTERED, Full) == State::REGISTERED {
            let _rtnl = rtnl::lock();
            // SAFETY: By the type invariant the device was registered, and RTNL says whether it
            // still is.
            unsafe {
                if nb::netdev_is_registered(self.dev.as_ptr()) {
                    nb::unregister_netdevice(self.dev.as_ptr());
                }
            }
            // RTNL is released here, which waits for the users of the device.
        }
    }
}

impl<T: Driver> Drop for Inner<T> {
    fn drop(&mut self) {
        if self.owned.load(Relaxed) == 1 {
            // SAFETY: Registered once and unregistered since, by the handle or the sweep, whose
            // references are gone; nobody else frees the device.
            unsafe {
                Adapter::<T>::drop_data(self.dev.as_ptr());
                nb::free_netdev(self.dev.as_ptr());
            }
        }
    }
}
