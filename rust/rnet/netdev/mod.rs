// SPDX-License-Identifier: GPL-2.0

//! Network devices: `struct net_device`.
//!
//! A driver implements [`Driver`], makes a device with [`Builder`], and registers it. The core then
//! calls the driver with what [`Driver`]'s methods take.
//!
//! # Ownership
//!
//! The driver's data lives in an allocation of its own; the private area of the `net_device` holds
//! one pointer to it. It is dropped after `unregister_netdevice()` has waited for every user of the
//! device, so no callback can see it go: with the [`Registration`], or, for a device that belongs
//! to its namespace, by the device's destructor. Where that drop runs: process context, RTNL not
//! held (except when registration itself fails half way).
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

mod adapter;
mod builder;
mod driver;
mod features;
mod notifier;
mod override_xmit;
mod owner;
mod private;
mod registration;
mod stamps;
mod xdp;

pub use builder::Builder;
pub use driver::{
    Driver,
    PcpuStats, //
};
pub use features::Features;
pub use notifier::{
    Event,
    Notifier,
    NotifierHandle, //
};
pub(crate) use override_xmit::{
    free_tables as free_override_tables,
    init as init_overrides, //
};
pub use override_xmit::{
    TxHook,
    TxOverride, //
};
pub use owner::XmitOwner;
pub use registration::Registration;

use core::{
    pin::Pin,
    ptr::NonNull, //
};

use kernel::{
    fmt,
    prelude::*,
    str::CStr,
    types::Opaque, //
};
use net_bindings as nb;

use crate::{
    identity::Id,
    netns::{
        Net,
        NetRead, //
    },
    rtnl::Rtnl, //
};

/// Ends the driver's half of a device: what its destructor does.
///
/// # Safety
///
/// `dev` must be a device allocated for `T` on which no callback runs or will run.
pub(crate) unsafe fn destroy<T: Driver>(dev: *mut nb::net_device) {
    // SAFETY: By the requirement of this function.
    unsafe { adapter::Adapter::<T>::drop_data(dev) };
}

/// The driver's data of a device.
///
/// # Safety
///
/// `dev` must be a device of `T` that has its data and keeps it during `'a`.
pub(crate) unsafe fn data<'a, T: Driver>(dev: *mut nb::net_device) -> &'a T {
    // SAFETY: By the requirement of this function.
    unsafe { adapter::Adapter::<T>::data(dev) }
}

/// The callbacks of a driver's devices.
pub(crate) const fn table<T: Driver>() -> &'static nb::net_device_ops {
    adapter::Adapter::<T>::OPS
}

/// The switch of a device's receive queues, if it can have any.
///
/// # Safety
///
/// `dev` must be a device of this layer that keeps its data during `'a`.
#[inline(always)]
pub(crate) unsafe fn switch<'a>(dev: *mut nb::net_device) -> Option<&'a crate::softq::Switch> {
    // SAFETY: By the requirement of this function.
    unsafe { private::Priv::switch(dev) }
}

/// A network device that is registered, or being registered or unregistered. C type:
/// `struct net_device`.
///
/// A `&Device` is lent by a callback and ends with it; [`Hold`] keeps a device longer.
#[repr(transparent)]
pub struct Device(Opaque<nb::net_device>);

// SAFETY: A device is reached from any thread; what the methods here read is either constant while
// registered or read once, as the core itself does.
unsafe impl Send for Device {}
// SAFETY: See above.
unsafe impl Sync for Device {}

impl Device {
    /// # Safety
    ///
    /// `ptr` must be a valid device that is not freed during `'a`.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut nb::net_device) -> &'a Self {
        // SAFETY: By the requirement of this function; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut nb::net_device {
        self.0.get()
    }

    /// The namespace that the device is in. A device may be moved to another and its old one end;
    /// `cx` proves that this waits. C functions: `dev_net()`, `dev_net_rcu()`.
    #[inline]
    pub fn net<'a, C: NetRead>(&'a self, _cx: &'a C) -> &'a Net {
        // SAFETY: The device is valid. A namespace outlives the devices in it. Moving a device
        // takes RTNL, and the namespace's state is let go a grace period after its last device.
        unsafe { Net::from_raw(nb::dev_net(self.as_raw())) }
    }

    /// The device of this name in a namespace. C function: `__dev_get_by_name()`.
    pub fn by_name<'a>(net: &'a Net, name: &CStr, _rtnl: &'a Rtnl) -> Option<&'a Self> {
        // SAFETY: Valid namespace; RTNL is held, which keeps what is found registered.
        let dev = NonNull::new(unsafe { nb::__dev_get_by_name(net.as_raw(), name.as_char_ptr()) })?;
        // SAFETY: As above, for as long as RTNL is held.
        Some(unsafe { Self::from_raw(dev.as_ptr()) })
    }

    /// Which device this is.
    #[inline(always)]
    pub fn id(&self) -> Id<Self> {
        Id::of(self.as_raw())
    }

    /// The namespace, where a packet of the device is on its way, which keeps both.
    #[inline(always)]
    pub(crate) fn net_id_in_softirq(&self) -> Id<Net> {
        // SAFETY: Valid device.
        Id::of(unsafe { nb::dev_net(self.as_raw()) })
    }

    /// The interface index, unique in its namespace. C member: `dev->ifindex`.
    pub fn ifindex(&self) -> i32 {
        // SAFETY: Valid device; read once.
        unsafe { nb::netdev_ifindex(self.as_raw()) }
    }

    /// The largest packet without the link-layer header, in bytes. C member: `dev->mtu`.
    pub fn mtu(&self) -> u32 {
        // SAFETY: Valid device; read once.
        unsafe { nb::netdev_mtu(self.as_raw()) }
    }

    /// Whether the device is administratively up. C flag: `IFF_UP`.
    pub fn is_up(&self) -> bool {
        self.flags() & nb::net_device_flags_IFF_UP != 0
    }

    /// Whether this is a loopback device. C flag: `IFF_LOOPBACK`.
    pub fn is_loopback(&self) -> bool {
        self.flags() & nb::net_device_flags_IFF_LOOPBACK != 0
    }

    pub(crate) fn flags(&self) -> u32 {
        // SAFETY: Valid device; read once.
        unsafe { nb::netdev_flags(self.as_raw()) }
    }

    /// The offloads that are on. C member: `dev->features`.
    pub fn features(&self) -> Features {
        // SAFETY: Valid device.
        Features::from_raw(unsafe { nb::netdev_features(self.as_raw()) })
    }

    /// Packets and bytes in the device's per-CPU `lstats`, summed over all CPUs; zeros on a device
    /// that keeps other statistics. C function: `dev_lstats_read()`.
    pub fn lstats(&self) -> (u64, u64) {
        let (mut packets, mut bytes) = (0, 0);
        // SAFETY: Valid device; the block exists if the kind says so, because statistics are read
        // between registration and the end of unregistration only.
        unsafe {
            if nb::netdev_pcpu_stat_type(self.as_raw())
                == nb::netdev_stat_type_NETDEV_PCPU_STAT_LSTATS
            {
                nb::dev_lstats_read(self.as_raw(), &mut packets, &mut bytes);
            }
        }
        (packets, bytes)
    }

    /// Counts a packet that the driver dropped on transmit, where `ip -s link` shows it. Any
    /// context. C function: `dev_core_stats_tx_dropped_inc()`.
    pub fn count_tx_dropped(&self) {
        // SAFETY: Valid device.
        unsafe { nb::dev_core_stats_tx_dropped_inc(self.as_raw()) };
    }

    /// Says that the link is up. C function: `netif_carrier_on()`.
    pub fn carrier_on(&self) {
        // SAFETY: Valid device; any context.
        unsafe { nb::netif_carrier_on(self.as_raw()) };
    }

    /// Says that the link is down. C function: `netif_carrier_off()`.
    pub fn carrier_off(&self) {
        // SAFETY: Valid device; any context.
        unsafe { nb::netif_carrier_off(self.as_raw()) };
    }

    /// Whether the link is up. C function: `netif_carrier_ok()`.
    pub fn carrier_ok(&self) -> bool {
        // SAFETY: Valid device; any context.
        unsafe { nb::netif_carrier_ok(self.as_raw()) }
    }

    /// Keeps the device from being freed while the returned value lives. The device's
    /// unregistration waits for it, and says so in the log after ten seconds: hold it briefly, or
    /// let it go in a notifier. Process context. Errors: `ENODEV` for a device that is not registered
    /// yet or any more, which nobody would wait for; `ENOMEM`. C function: `netdev_hold()`.
    pub fn hold(&self) -> Result<Hold> {
        // SAFETY: Valid device.
        if unsafe { !nb::netdev_can_hold(self.as_raw()) } {
            return Err(ENODEV);
        }
        let tracker = KBox::pin(Opaque::zeroed(), GFP_KERNEL)?;
        // SAFETY: The device is valid; the tracker is pinned until `netdev_put()`.
        unsafe { nb::netdev_hold(self.as_raw(), tracker.get()) };
        Ok(Hold {
            // SAFETY: A reference is never null.
            dev: unsafe { NonNull::new_unchecked(self.as_raw()) },
            tracker,
        })
    }
}

/// The name as it is now. It may change at any time, as for `netdev_info()`.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: The name lies in the device and has `IFNAMSIZ` bytes. It is copied, since a
        // rename may write it meanwhile.
        let name: [u8; nb::IFNAMSIZ as usize] =
            unsafe { core::ptr::read_volatile(nb::netdev_raw_name(self.as_raw()).cast()) };
        for &byte in name.iter().take_while(|&&byte| byte != 0) {
            core::fmt::Write::write_char(f, char::from(byte))?;
        }
        Ok(())
    }
}

/// A device that is kept from being freed. Made by [`Device::hold`].
///
/// # Invariants
///
/// `dev` is valid, with a reference counted under `tracker`.
pub struct Hold {
    dev: NonNull<nb::net_device>,
    tracker: Pin<KBox<Opaque<nb::netdevice_tracker>>>,
}

// SAFETY: References may be dropped by another thread than took them.
unsafe impl Send for Hold {}
// SAFETY: `&Hold` gives `&Device`, which is `Sync`.
unsafe impl Sync for Hold {}

impl core::ops::Deref for Hold {
    type Target = Device;

    fn deref(&self) -> &Device {
        // SAFETY: By the type invariant the device is valid while `self` is.
        unsafe { Device::from_raw(self.dev.as_ptr()) }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // SAFETY: Gives back the reference of the type invariant.
        unsafe { nb::netdev_put(self.dev.as_ptr(), self.tracker.get()) };
    }
}
