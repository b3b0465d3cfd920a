// SPDX-License-Identifier: GPL-2.0

//! A device that is being put together.

use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::NonNull, //
};

use kernel::{
    prelude::*,
    str::CStr,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};
use net_bindings as nb;

use super::{
    adapter::Adapter,
    private::Priv,
    Device,
    Driver,
    Features,
    Registration, //
};
use crate::{
    module::ModuleCtx,
    netns::Net,
    skb::Queueing,
    softq,
    sysfs, //
};

/// An allocated, unregistered device for a driver `T`. Dropping it frees it. C functions:
/// `alloc_netdev_mqs()`, `free_netdev()`.
///
/// # Invariants
///
/// `dev` is a device whose private area is a `Priv`, allocated for `T`, unregistered, owned by
/// this value.
pub struct Builder<T: Driver> {
    pub(super) dev: NonNull<nb::net_device>,
    _driver: PhantomData<T>,
}

impl<T: Driver> Builder<T> {
    /// Allocates an Ethernet device with one transmit and one receive queue.
    ///
    /// `name` is the interface name, up to 15 characters; `%d` in it becomes the first free
    /// number. MTU 1500, broadcast and multicast, no offloads, no MAC address yet. Process context.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` for a name of more than 15 bytes.
    pub fn ethernet(name: &CStr) -> Result<Self> {
        Self::ethernet_queues(name, 1)
    }

    /// Allocates an Ethernet device with room for `queues` transmit and as many receive queues.
    /// Else as [`ethernet`](Self::ethernet). Errors: also `EINVAL` for no queue or more than 1024.
    pub(crate) fn ethernet_queues(name: &CStr, queues: u32) -> Result<Self> {
        Self::allocate(name, queues, queues)
    }

    fn allocate(name: &CStr, transmit: u32, receive: u32) -> Result<Self> {
        for queues in [transmit, receive] {
            if queues == 0 || queues > 1024 {
                return Err(EINVAL);
            }
        }
        if name.to_bytes().len() >= nb::IFNAMSIZ as usize {
            return Err(EINVAL);
        }
        let assigned = if name.to_bytes().contains(&b'%') {
            nb::NET_NAME_ENUM
        } else {
            nb::NET_NAME_PREDICTABLE
        };
        // SAFETY: The private area has the size of `Priv`, whose zeroed state is valid; the name
        // fits; the setup function is the kernel's own.
        let dev = unsafe {
            nb::alloc_netdev(
                size_of::<Priv>() as i32,
                name.as_char_ptr(),
                assigned as u8,
                Some(nb::ether_setup),
                transmit,
                receive,
            )
        };
        let dev = NonNull::new(dev).ok_or(ENOMEM)?;

        // SAFETY: A device of our own, not registered: nobody else sees it. The tables are
        // constants of this module's text, which outlives the device because every registration
        // is in the module's registry or pins the module.
        unsafe {
            let raw = dev.as_ptr();
            // A shared packet could not be given to anybody: no pktgen clones.
            nb::netdev_set_priv_flags(raw, 0, nb::netdev_priv_flags_IFF_TX_SKB_SHARING);
            if T::Queueing::NO_QUEUE {
                nb::netdev_set_priv_flags(raw, nb::netdev_priv_flags_IFF_NO_QUEUE, 0);
            }
            if T::LIVE_ADDR_CHANGE {
                nb::netdev_set_priv_flags(raw, nb::netdev_priv_flags_IFF_LIVE_ADDR_CHANGE, 0);
            }
            if T::HAS_OPEN || T::HAS_STOP {
                // Started when `open()` has succeeded.
                nb::netif_tx_stop_all_queues(raw);
            }
            nb::netdev_set_lltx(raw, T::LLTX);
            nb::netdev_set_pcpu_stat_type(raw, T::PCPU_STATS.as_raw());
            nb::netdev_set_ops(raw, Adapter::<T>::OPS);
            if let Some(table) = T::ETHTOOL {
                nb::netdev_set_ethtool_ops(raw, table.as_raw());
            }
        }
        // INVARIANT: Just allocated, for `T`.
        Ok(Self {
            dev,
            _driver: PhantomData,
        })
    }

    /// Allocates a loopback device: Ethernet framing with zero addresses, type
    /// `ARPHRD_LOOPBACK`, flag `IFF_LOOPBACK`, any MTU from 0, fixed to its namespace, packets keep
    /// their route. Errors: as [`ethernet`](Self::ethernet).
    pub fn loopback(name: &CStr) -> Result<Self> {
        Self::loopback_queues(name, 1)
    }

    /// The same with room for `receive` receive queues, of which one is there at first. Errors:
    /// also `EINVAL` for no queue or more than 1024.
    pub fn loopback_queues(name: &CStr, receive: u32) -> Result<Self> {
        let this = Self::allocate(name, 1, receive)?;
        let dev = this.dev.as_ptr();
        // SAFETY: A device of our own, not registered.
        kernel::error::to_result(unsafe { nb::netif_set_real_num_rx_queues(dev, 1) })?;
        // SAFETY: A device of our own, not registered.
        unsafe {
            nb::netdev_set_link_loopback(dev);
            nb::netdev_set_flags(
                dev,
                nb::net_device_flags_IFF_LOOPBACK,
                nb::net_device_flags_IFF_BROADCAST | nb::net_device_flags_IFF_MULTICAST,
            );
            nb::netdev_set_mtu_range(dev, 0, 0);
            nb::netdev_set_netns_immutable(dev, true);
            nb::netdev_keep_dst(dev);
        }
        Ok(this)
    }

    /// Makes it a device that can have receive queues of its own: as many as it was allocated with
    /// room for. They are off at first. Errors: `ENOMEM`; `EEXIST` for the second time.
    pub fn receive_queues(self) -> Result<(Self, Arc<softq::Switch>)>
    where
        T: softq::Driver,
    {
        let dev = self.dev.as_ptr();
        // SAFETY: A device of our own, not registered.
        let slot = unsafe { &Priv::of(dev).switch };
        if !slot.load(Relaxed).is_null() {
            return Err(EEXIST);
        }
        // SAFETY: A device of our own; the number does not change.
        let count = unsafe { nb::netdev_num_rx_queues(dev) };
        let switch = softq::Switch::new::<T>(count);
        let switch = Arc::new(switch, GFP_KERNEL)?;
        slot.store(Arc::into_raw(switch.clone()).cast_mut(), Relaxed);
        // SAFETY: A device of our own, not registered. The switch says the truth when it is on, and
        // `Priv::take_switch()` before the device is freed.
        unsafe {
            nb::netdev_set_num_rx_queues(dev, 1);
            switch.prepare(dev);
        }
        Ok((self, switch))
    }

    /// The MTU at the start, in bytes.
    pub fn mtu(self, mtu: u32) -> Self {
        // SAFETY: A device of our own, not registered.
        unsafe { nb::netdev_write_mtu(self.dev.as_ptr(), mtu) };
        self
    }

    /// The MTUs that can be set, in bytes; a `max` of 0 means no upper bound.
    pub fn mtu_range(self, min: u32, max: u32) -> Self {
        // SAFETY: A device of our own, not registered.
        unsafe { nb::netdev_set_mtu_range(self.dev.as_ptr(), min, max) };
        self
    }

    /// The offloads that are on at the start. C member: `dev->features`.
    pub fn features(self, features: Features) -> Self {
        // SAFETY: A device of our own, not registered.
        unsafe { nb::netdev_set_features(self.dev.as_ptr(), features.as_raw()) };
        self
    }

    /// The offloads that `ethtool -K` can switch. C member: `dev->hw_features`.
    pub fn hw_features(self, features: Features) -> Self {
        // SAFETY: A device of our own, not registered.
        unsafe { nb::netdev_set_hw_features(self.dev.as_ptr(), features.as_raw()) };
        self
    }

    /// The offloads that VLAN devices on this one can use. C member: `dev->vlan_features`.
    pub fn vlan_features(self, features: Features) -> Self {
        // SAFETY: A device of our own, not registered.
        unsafe { nb::netdev_set_vlan_features(self.dev.as_ptr(), features.as_raw()) };
        self
    }

    /// The offloads that packets in a tunnel can use, and the kinds of segmentation for which the
    /// stack has to prepare packets first ([`Features::GSO_PARTIAL`]). C members:
    /// `dev->hw_enc_features`, `dev->gso_partial_features`.
    pub fn tunnel_features(self, inner: Features, partial: Features) -> Self {
        // SAFETY: A device of our own, not registered.
        unsafe {
            nb::netdev_set_tunnel_features(self.dev.as_ptr(), inner.as_raw(), partial.as_raw())
        };
        self
    }

    /// The largest packet that segmentation offload may be given, in bytes. What is used at first
    /// stays at 64 KiB until `ip link set` raises it. C function: `netif_set_tso_max_size()`.
    pub fn tso_max_size(self, size: u32) -> Self {
        // SAFETY: A device of our own, not registered.
        unsafe { nb::netif_set_tso_max_size(self.dev.as_ptr(), size) };
        self
    }

    /// The largest packet that segmentation offload is given at the start, and the largest that GRO
    /// makes, in bytes, for IPv4 and IPv6: more than 64 KiB is "BIG TCP". No more than
    /// [`tso_max_size`](Self::tso_max_size). C function: `netif_set_gso_max_size()` and its like.
    pub fn gso_size(self, size: u32) -> Self {
        // SAFETY: A device of our own, not registered.
        unsafe { nb::netdev_set_gso_sizes(self.dev.as_ptr(), size) };
        self
    }

    /// A random, locally administered MAC address. C function: `eth_hw_addr_random()`.
    pub fn random_address(self) -> Self {
        // SAFETY: A device of our own, not registered.
        unsafe { nb::netdev_hw_addr_random(self.dev.as_ptr()) };
        self
    }

    /// The MAC address. C function: `eth_hw_addr_set()`.
    pub fn address(self, addr: [u8; 6]) -> Self {
        // SAFETY: A device of our own, not registered; six bytes, as Ethernet's length says.
        unsafe { nb::netdev_hw_addr_set(self.dev.as_ptr(), addr.as_ptr()) };
        self
    }

    /// A directory of attributes in `/sys/class/net/<name>/`, there from the moment the device
    /// appears until it is gone; open files survive it. Errors: `EEXIST` for a second one.
    pub fn sysfs_group<D: Send + Sync + 'static>(self, group: sysfs::Group<D>) -> Result<Self> {
        let memory = KBox::new(group.into_memory(self.as_device())?, GFP_KERNEL)?;
        // SAFETY: A device of our own, not registered. The memory behind the group does not move
        // and goes with the device's private area.
        kernel::error::to_result(unsafe {
            nb::netdev_set_sysfs_group(self.dev.as_ptr(), memory.as_raw())
        })?;
        // SAFETY: Unregistered, and the slot was free, so there was no group.
        unsafe { Priv::set_group(self.dev.as_ptr(), memory) };
        Ok(self)
    }

    pub(crate) fn as_device(&self) -> &Device {
        // SAFETY: Valid while `self` is.
        unsafe { Device::from_raw(self.dev.as_ptr()) }
    }

    /// Registers the device in namespace `net` with the driver's data, under RTNL, which must not
    /// be held by the caller. The core may open the device and call the driver before this
    /// returns. The device lives until the returned handle is dropped, at the latest until the
    /// module exits. Process context; may sleep.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for a [`loopback`](Self::loopback), which only a namespace can have
    /// ([`replace_loopback`](crate::netns::replace_loopback)); `ENODEV` if `net` is ending or has no loopback
    /// device yet; `EADDRNOTAVAIL` without a MAC address; what
    /// the initialiser of `data` fails with; `EEXIST` for a name in use; `ENOMEM`; or what a
    /// notifier answers. The device and its data are freed then.
    pub fn register<E>(
        self,
        ctx: ModuleCtx,
        net: &Net,
        data: impl PinInit<T, E>,
    ) -> Result<Registration<T>>
    where
        Error: From<E>,
    {
        Registration::new(self, ctx, net, data)
    }

    /// Gives the device its data. The device must have none yet.
    ///
    /// # Safety
    ///
    /// Must be called at most once.
    pub(crate) unsafe fn init_data<E>(&self, data: impl PinInit<T, E>) -> Result
    where
        Error: From<E>,
    {
        let data = KBox::pin_init(data, GFP_KERNEL)?;
        // SAFETY: Unregistered, allocated for `T`, and without data by this function's contract.
        unsafe { Adapter::<T>::set_data(self.dev.as_ptr(), data) };
        Ok(())
    }

    pub(crate) fn as_raw(&self) -> *mut nb::net_device {
        self.dev.as_ptr()
    }

    /// The device, now somebody else's to free.
    pub(crate) fn into_raw(self) -> NonNull<nb::net_device> {
        ManuallyDrop::new(self).dev
    }
}

impl<T: Driver> Drop for Builder<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the device is unregistered and ours. Its destructor may
        // have run already when registration failed; then it has no data any more.
        unsafe {
            Adapter::<T>::drop_data(self.dev.as_ptr());
            nb::free_netdev(self.dev.as_ptr());
        }
    }
}
