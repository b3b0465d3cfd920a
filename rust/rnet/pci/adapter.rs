// SPDX-License-Identifier: GPL-2.0

//! The C side of a PCI driver.

use core::{
    marker::PhantomData,
    ptr::{
        null_mut,
        NonNull, //
    },
};

use kernel::{
    error::{
        from_result,
        to_result, //
    },
    ffi::c_int,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Release, //
        },
        Arc, //
    },
    types::Opaque,
};
use net_bindings as nb;
use pin_init::zeroed;

use super::{
    bind::{
        bind,
        Address, //
    },
    bound::Bound,
    Device, //
};
use crate::{
    module::{
        InitCtx,
        ModuleCtx, //
    },
    nic::Driver,
    registry::{
        Handle,
        Registered, //
    },
    rtnl,
};

/// A registered PCI driver `D`. Dropping it unbinds all devices. One that is leaked is ended at
/// module exit. C functions: `__pci_register_driver()`, `pci_unregister_driver()`.
///
/// # Examples
///
/// ```ignore
/// let driver = pci::Registration::<Port>::new(init)?;
/// ```
pub struct Registration<D: Driver>(Handle<Inner<D>>);

impl<D: Driver> Registration<D> {
    /// Registers the driver. It is bound to no device by itself. Errors: `EBUSY` for a name that is
    /// taken; `ENOMEM`.
    pub fn new(_init: &InitCtx) -> Result<Self> {
        let mut driver = nb::pci_driver {
            name: D::NAME.as_char_ptr(),
            // Without a table the core would not call probe at all.
            id_table: &Adapter::<D>::NO_IDS,
            probe: Some(Adapter::<D>::probe),
            remove: Some(Adapter::<D>::remove),
            shutdown: Some(Adapter::<D>::shutdown),
            err_handler: &Adapter::<D>::ERRORS,
            ..zeroed()
        };
        // SAFETY: A driver of our own, not registered; the table is a constant.
        unsafe { nb::pci_driver_set_pm(&mut driver, &Adapter::<D>::PM) };
        let inner = Arc::new(
            Inner {
                driver: Opaque::new(driver),
                registered: Atomic::new(0),
                _driver: PhantomData,
            },
            GFP_KERNEL,
        )?;
        let handle = Handle::new(inner, |inner| {
            // SAFETY: Filled in above, and it does not move: it lies in an `Arc`. What it points
            // to is this module's, and it is unregistered before that ends.
            to_result(unsafe {
                nb::pci_register_driver(inner.driver.get(), D::NAME.as_char_ptr())
            })?;
            inner.registered.store(1, Release);
            Ok(())
        })?;
        Ok(Self(handle))
    }

    /// Binds the device at `address` now. `driver_override` is as it was afterwards. Process
    /// context, no locks held; may sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` for no device, or one that the driver is not for; `EBUSY` for one that another
    /// driver has, or is meant to have by `driver_override`; what [`Driver::probe`] fails with.
    /// C function: `device_driver_attach()`.
    pub fn bind(&self, address: Address) -> Result {
        // SAFETY: Registered as long as `self` is there, unless the module is ending, which cannot
        // be while its code has this.
        unsafe { bind(self.0.driver.get(), D::NAME, address) }
    }
}

/// # Invariants
///
/// `driver` is registered while `registered` is 1.
struct Inner<D: Driver> {
    driver: Opaque<nb::pci_driver>,
    registered: Atomic<u32>,
    _driver: PhantomData<fn(&D)>,
}

// SAFETY: The PCI core takes its own locks.
unsafe impl<D: Driver> Send for Inner<D> {}
// SAFETY: See above.
unsafe impl<D: Driver> Sync for Inner<D> {}

impl<D: Driver> Registered for Inner<D> {
    fn unregister(&self) {
        if self.registered.xchg(0, Full) == 1 {
            // SAFETY: Registered, and unregistered once. Process context.
            unsafe { nb::pci_unregister_driver(self.driver.get()) };
        }
    }
}

struct Adapter<D: Driver>(PhantomData<D>);

impl<D: Driver> Adapter<D> {
    /// Matches nothing.
    const NO_IDS: nb::pci_device_id = zeroed();

    const ERRORS: nb::pci_error_handlers = nb::pci_error_handlers {
        error_detected: Some(Self::error_detected),
        slot_reset: Some(Self::slot_reset),
        resume: Some(Self::error_resume),
        reset_prepare: Some(Self::reset_prepare),
        reset_done: Some(Self::reset_done),
        ..zeroed()
    };

    const PM: nb::dev_pm_ops = nb::dev_pm_ops {
        suspend: Some(Self::suspend),
        resume: Some(Self::resume),
        freeze: Some(Self::suspend),
        thaw: Some(Self::resume),
        poweroff: Some(Self::suspend),
        restore: Some(Self::resume),
        runtime_resume: Some(Self::runtime_resume),
        ..zeroed()
    };

    /// What the driver data of a bound device points to.
    ///
    /// # Safety
    ///
    /// `pdev` must be a device that is bound to this driver, with the device lock held.
    unsafe fn bound<'a>(pdev: *mut nb::pci_dev) -> Option<&'a Bound<D>> {
        // SAFETY: By the requirement; null before probe has succeeded.
        unsafe { nb::pci_get_drvdata(pdev).cast::<Bound<D>>().as_ref() }
    }

    unsafe extern "C" fn probe(pdev: *mut nb::pci_dev, _id: *const nb::pci_device_id) -> c_int {
        from_result(|| {
            let device = NonNull::new(pdev).ok_or(EINVAL)?;
            // SAFETY: In probe of this device, which lasts until we return.
            let id = unsafe { Device::new(device) }.id();
            // Whoever wrote to sysfs may have named any device.
            if !D::IDS.contains(&id) {
                return Err(ENODEV);
            }
            // SAFETY: In probe; dropped in `remove()`. The module's registrations are swept.
            let bound = unsafe { Bound::<D>::new(device, ModuleCtx::assume())? };
            let bound = KBox::new(bound, GFP_KERNEL)?;
            // SAFETY: The device is ours.
            unsafe { nb::pci_set_drvdata(pdev, KBox::into_raw(bound).cast()) };
            Ok(0)
        })
    }

    unsafe extern "C" fn remove(pdev: *mut nb::pci_dev) {
        // SAFETY: Called once for a device whose probe has succeeded; nothing else is called for it
        // any more.
        let bound = unsafe {
            let data = nb::pci_get_drvdata(pdev);
            nb::pci_set_drvdata(pdev, null_mut());
            if data.is_null() {
                return;
            }
            KBox::from_raw(data.cast::<Bound<D>>())
        };
        drop(bound);
    }

    unsafe extern "C" fn shutdown(pdev: *mut nb::pci_dev) {
        // SAFETY: Called with the device lock held.
        if let Some(bound) = unsafe { Self::bound(pdev) } {
            Self::detach(bound);
            let wake = Self::sleep(bound);
            bound.resources().set_master(false);
            // SAFETY: An enabled device that is not used any more.
            unsafe { nb::pci_power_off(pdev, wake) };
        }
    }

    /// Readies a detached device for sleep. Returns whether it is to wake the machine.
    fn sleep(bound: &Bound<D>) -> bool {
        let rtnl = rtnl::lock();
        bound.core().is_some_and(|core| core.sleep(&rtnl))
    }

    /// Takes the device away from the stack, and down if it is up.
    fn detach(bound: &Bound<D>) {
        let rtnl = rtnl::lock();
        let Some((netdev, core)) = bound.netdev().zip(bound.core()) else {
            return;
        };
        let Some(dev) = netdev.device(&rtnl) else {
            return;
        };
        // SAFETY: Under RTNL, a registered device.
        unsafe { nb::netif_device_detach(dev.as_raw()) };
        core.down(&rtnl);
        core.keep_away(true);
    }

    /// Gives the device back to the stack, up if it was.
    fn attach(bound: &Bound<D>) -> Result {
        let rtnl = rtnl::lock();
        let (netdev, core) = bound.netdev().zip(bound.core()).ok_or(ENODEV)?;
        let dev = netdev.device(&rtnl).ok_or(ENODEV)?;
        core.distrust();
        core.keep_away(false);
        // SAFETY: Under RTNL, a registered device.
        if unsafe { nb::netif_running(dev.as_raw()) } {
            core.up_again(&rtnl)?;
        }
        // SAFETY: As above. It also wakes the queues.
        unsafe { nb::netif_device_attach(dev.as_raw()) };
        Ok(())
    }

    unsafe extern "C" fn reset_prepare(pdev: *mut nb::pci_dev) {
        // SAFETY: Called with the device lock held.
        if let Some(bound) = unsafe { Self::bound(pdev) } {
            Self::detach(bound);
        }
    }

    unsafe extern "C" fn reset_done(pdev: *mut nb::pci_dev) {
        // SAFETY: Called with the device lock held.
        if let Some(bound) = unsafe { Self::bound(pdev) } {
            if let Err(err) = Self::attach(bound) {
                pr_err!("no way back after a reset: {:?}\n", err);
            }
        }
    }

    unsafe extern "C" fn error_detected(
        pdev: *mut nb::pci_dev,
        state: nb::pci_channel_state_t,
    ) -> nb::pci_ers_result_t {
        // SAFETY: Called with the device lock held.
        let Some(bound) = (unsafe { Self::bound(pdev) }) else {
            return nb::pci_ers_result_PCI_ERS_RESULT_DISCONNECT;
        };
        // A transaction was lost, and the bus works: so does the port. If a queue waits for what
        // was lost, the service will find it.
        if state == nb::PCI_CHANNEL_IO_NORMAL && bound.resources().io().flush().is_ok() {
            return nb::pci_ers_result_PCI_ERS_RESULT_CAN_RECOVER;
        }
        Self::detach(bound);
        bound.resources().set_master(false);
        if state == nb::PCI_CHANNEL_IO_PERM_FAILURE {
            bound.resources().io().set_gone();
            return nb::pci_ers_result_PCI_ERS_RESULT_DISCONNECT;
        }
        nb::pci_ers_result_PCI_ERS_RESULT_NEED_RESET
    }

    unsafe extern "C" fn slot_reset(pdev: *mut nb::pci_dev) -> nb::pci_ers_result_t {
        // SAFETY: Called with the device lock held, after the slot was reset; the PCI core has
        // restored the configuration that was saved.
        let alive = unsafe {
            nb::pci_restore_state(pdev);
            nb::pci_save_state(pdev);
            Self::bound(pdev).is_some_and(|bound| bound.resources().io().flush().is_ok())
        };
        if alive {
            nb::pci_ers_result_PCI_ERS_RESULT_RECOVERED
        } else {
            nb::pci_ers_result_PCI_ERS_RESULT_DISCONNECT
        }
    }

    unsafe extern "C" fn error_resume(pdev: *mut nb::pci_dev) {
        // SAFETY: Called with the device lock held.
        let Some(bound) = (unsafe { Self::bound(pdev) }) else {
            return;
        };
        if Self::is_detached(bound) {
            // SAFETY: As for `reset_done()`.
            unsafe { Self::reset_done(pdev) };
        }
    }

    /// Whether the stack has been told that the device is away.
    fn is_detached(bound: &Bound<D>) -> bool {
        let rtnl = rtnl::lock();
        let dev = bound.netdev().and_then(|netdev| netdev.device(&rtnl));
        // SAFETY: Under RTNL, a registered device.
        dev.is_some_and(|dev| unsafe { !nb::netif_device_present(dev.as_raw()) })
    }

    unsafe extern "C" fn suspend(dev: *mut nb::device) -> c_int {
        // SAFETY: Called for the device of a bound PCI device, with its lock held.
        if let Some(bound) = unsafe { Self::bound(nb::to_pci_dev(dev)) } {
            Self::detach(bound);
            // The PCI core looks by itself whether the device is to wake the machine.
            Self::sleep(bound);
        }
        0
    }

    /// Only a device that is down sleeps.
    unsafe extern "C" fn runtime_resume(dev: *mut nb::device) -> c_int {
        // SAFETY: Called for the device of a PCI device that is bound, or being bound or unbound:
        // its data is set after probe and reset before it ends, and the PCI core lets nobody wake
        // the device meanwhile, as it has it awake itself.
        if let Some(core) = unsafe { Self::bound(nb::to_pci_dev(dev)) }.and_then(Bound::core) {
            core.distrust();
        }
        0
    }

    unsafe extern "C" fn resume(dev: *mut nb::device) -> c_int {
        // SAFETY: Called for the device of a bound PCI device, with its lock held; the PCI core has
        // restored its configuration.
        match unsafe { Self::bound(nb::to_pci_dev(dev)) } {
            Some(bound) => from_result(|| Self::attach(bound).map(|()| 0)),
            None => 0,
        }
    }
}
