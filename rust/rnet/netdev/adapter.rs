// SPDX-License-Identifier: GPL-2.0

//! The C side of a driver: the table of callbacks and the functions in it.
//!
//! Every function here runs in the context that the core's documentation of `net_device_ops` gives
//! for it; the SAFETY comments name the lock.

use core::{
    marker::PhantomData,
    ptr::{
        null_mut,
        NonNull, //
    },
};

use kernel::{
    error::from_result,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::atomic::{
        Acquire,
        Relaxed,
        Release, //
    },
};
use net_bindings as nb;
use pin_init::zeroed;

use super::{
    private::Priv,
    Device,
    Driver,
    Features, //
};
use crate::{
    rtnl::Rtnl,
    skb::{
        Headers,
        TxSkb,
        XmitCx, //
    },
    stats::LinkStats, //
};

/// The callbacks for a driver `T`.
pub(super) struct Adapter<T: Driver>(PhantomData<T>);

impl<T: Driver> Adapter<T> {
    /// The table that a device of `T` points to.
    pub(super) const OPS: &'static nb::net_device_ops = &nb::net_device_ops {
        ndo_init: Some(Self::init),
        ndo_uninit: Some(Self::uninit),
        ndo_start_xmit: Some(Self::start_xmit),
        // The queues are opened and closed by the layer only where the driver would notice.
        ndo_open: if T::HAS_OPEN || T::HAS_STOP {
            Some(Self::open)
        } else {
            None
        },
        ndo_stop: if T::HAS_OPEN || T::HAS_STOP {
            Some(Self::stop)
        } else {
            None
        },
        ndo_get_stats64: if T::HAS_STATS64 {
            Some(Self::get_stats64)
        } else {
            None
        },
        ndo_change_mtu: if T::HAS_CHANGE_MTU {
            Some(Self::change_mtu)
        } else {
            None
        },
        ndo_fix_features: if T::HAS_FIX_FEATURES {
            Some(Self::fix_features)
        } else {
            None
        },
        ndo_set_features: if T::HAS_SET_FEATURES {
            Some(Self::set_features)
        } else {
            None
        },
        ndo_features_check: if T::HAS_FEATURES_CHECK {
            Some(Self::features_check)
        } else {
            None
        },
        ndo_set_rx_mode: if T::HAS_SET_RX_MODE {
            Some(Self::set_rx_mode)
        } else {
            None
        },
        ndo_set_mac_address: if T::HAS_SET_ADDRESS {
            Some(Self::set_mac_address)
        } else if T::LIVE_ADDR_CHANGE {
            Some(nb::eth_mac_addr)
        } else {
            None
        },
        ndo_validate_addr: if T::HAS_SET_ADDRESS {
            Some(nb::eth_validate_addr)
        } else {
            None
        },
        ndo_vlan_rx_add_vid: if T::HAS_SET_VLAN {
            Some(Self::vlan_add)
        } else {
            None
        },
        ndo_vlan_rx_kill_vid: if T::HAS_SET_VLAN {
            Some(Self::vlan_kill)
        } else {
            None
        },
        ndo_bpf: if T::HAS_SET_XDP {
            Some(super::xdp::bpf::<T>)
        } else {
            None
        },
        ndo_xdp_xmit: if T::HAS_XDP_XMIT {
            Some(super::xdp::xdp_xmit::<T>)
        } else {
            None
        },
        ndo_hwtstamp_get: if T::HAS_STAMPS {
            Some(super::stamps::hwtstamp_get::<T>)
        } else {
            None
        },
        ndo_hwtstamp_set: if T::HAS_SET_STAMPS {
            Some(super::stamps::hwtstamp_set::<T>)
        } else {
            None
        },
        ndo_tx_timeout: if T::HAS_TX_TIMEOUT {
            Some(Self::tx_timeout)
        } else {
            None
        },
        ..zeroed()
    };

    /// The driver's data.
    ///
    /// # Safety
    ///
    /// `dev` must be a device of `T` that was given its data and whose destructor has not run, and
    /// stay so during `'a`.
    #[inline]
    pub(super) unsafe fn data<'a>(dev: *mut nb::net_device) -> &'a T {
        // SAFETY: By the requirement; the pointer came from `set_data()` of the same type. Read
        // through an inlined shim, because the kernel crate's `load()` is a call.
        unsafe { &*nb::read_once_ptr(Priv::of(dev).data.as_ptr()).cast::<T>() }
    }

    /// Hands the device its data.
    ///
    /// # Safety
    ///
    /// `dev` must be an unregistered device allocated for `T` that has no data.
    pub(super) unsafe fn set_data(dev: *mut nb::net_device, data: Pin<KBox<T>>) {
        // SAFETY: The pinned value is not moved; `drop_data()` makes the same box of it again.
        let ptr = KBox::into_raw(unsafe { Pin::into_inner_unchecked(data) });
        // SAFETY: By the requirement.
        unsafe { Priv::of(dev) }.data.store(ptr.cast(), Release);
    }

    /// Drops the device's data and the memory of its attribute group, if it has any.
    ///
    /// # Safety
    ///
    /// `dev` must be a device allocated for `T` on which no callback runs or will run.
    pub(super) unsafe fn drop_data(dev: *mut nb::net_device) {
        // SAFETY: By the requirement nobody else touches the private area now.
        let priv_ = unsafe { Priv::of(dev) };
        let ptr = priv_.data.load(Acquire);
        priv_.data.store(null_mut(), Relaxed);
        if !ptr.is_null() {
            // SAFETY: Made by `KBox::into_raw` in `set_data()`, dropped once, since the pointer is
            // null from now on.
            drop(unsafe { Pin::new_unchecked(KBox::<T>::from_raw(ptr.cast())) });
        }
        let group = priv_.group.load(Relaxed);
        priv_.group.store(null_mut(), Relaxed);
        if !group.is_null() {
            // SAFETY: Made by `KBox::into_raw` in `set_group()`, dropped once. The device has
            // removed its files, or never had them, since no callback can run any more.
            drop(unsafe { KBox::from_raw(group) });
        }
        // SAFETY: By the requirement; the device is not registered any more.
        drop(unsafe { priv_.take_switch(dev) });
    }

    unsafe extern "C" fn init(dev: *mut nb::net_device) -> c_int {
        // SAFETY: Called under RTNL by `register_netdevice()`, with a device of `T`.
        unsafe {
            nb::netdev_lockdep_set_classes(dev);
            if let Some(switch) = Priv::switch(dev) {
                switch.registered(NonNull::new_unchecked(dev));
            }
        }
        0
    }

    unsafe extern "C" fn uninit(dev: *mut nb::net_device) {
        // SAFETY: Called under RTNL when the device was registered, or could not be; nothing is
        // transmitted any more.
        if let Some(switch) = unsafe { Priv::switch(dev) } {
            switch.gone();
        }
    }

    unsafe extern "C" fn start_xmit(
        skb: *mut nb::sk_buff,
        dev: *mut nb::net_device,
    ) -> nb::netdev_tx_t {
        // SAFETY: Called with softirqs off inside an RCU-bh read-side section on a registered
        // device; unregistration waits for such sections (`synchronize_net()`) before the data is
        // dropped.
        let (device, data) = unsafe { (Device::from_raw(dev), Self::data(dev)) };
        // SAFETY: This is the callback, and the context does not outlive it.
        let cx = unsafe { XmitCx::new(device) };
        // SAFETY: The core hands over the packet, which is never null. It is not shared, because
        // the builder clears IFF_TX_SKB_SHARING. The lifetime is free in `T::start_xmit`.
        let skb = unsafe { TxSkb::from_raw(NonNull::new_unchecked(skb)) };
        data.start_xmit(skb, &cx).into_raw()
    }

    unsafe extern "C" fn open(dev: *mut nb::net_device) -> c_int {
        // SAFETY: Called under RTNL on a registered device of `T`.
        let (device, data, rtnl) =
            unsafe { (Device::from_raw(dev), Self::data(dev), Rtnl::assume()) };
        from_result(|| {
            if T::HAS_OPEN {
                data.open(device, &rtnl)?;
            }
            // SAFETY: Under RTNL, before the core lets packets in.
            unsafe { nb::netif_tx_start_all_queues(dev) };
            Ok(0)
        })
    }

    unsafe extern "C" fn stop(dev: *mut nb::net_device) -> c_int {
        // SAFETY: Called under RTNL on a registered device of `T`.
        let (device, data, rtnl) =
            unsafe { (Device::from_raw(dev), Self::data(dev), Rtnl::assume()) };
        if T::HAS_QUIESCE {
            data.quiesce(device, &rtnl);
        }
        // Without a queue discipline the core does not wait for transmit callbacks, and pktgen
        // goes around queue disciplines. Everybody looks for stopped queues inside a section that
        // `synchronize_net()` waits for; who has the lock of one may start it again before that.
        // SAFETY: Under RTNL; may sleep.
        unsafe {
            nb::netif_tx_disable(dev);
            nb::synchronize_net();
        }
        if T::HAS_STOP {
            data.stop(device, &rtnl);
        }
        0
    }

    unsafe extern "C" fn get_stats64(dev: *mut nb::net_device, stats: *mut nb::rtnl_link_stats64) {
        // SAFETY: Called under RCU or RTNL between registration and the end of unregistration, so
        // device and data are there; `stats` is the caller's own.
        let (device, data, stats) = unsafe {
            (
                Device::from_raw(dev),
                Self::data(dev),
                LinkStats::from_raw(stats),
            )
        };
        data.stats64(device, stats);
    }

    unsafe extern "C" fn change_mtu(dev: *mut nb::net_device, mtu: c_int) -> c_int {
        // SAFETY: Called under RTNL on a registered device of `T`.
        let (device, data, rtnl) =
            unsafe { (Device::from_raw(dev), Self::data(dev), Rtnl::assume()) };
        from_result(|| {
            let mtu = u32::try_from(mtu).map_err(|_| EINVAL)?;
            data.change_mtu(device, mtu, &rtnl)?;
            // SAFETY: Under RTNL, which writers of the MTU hold; readers read it once.
            unsafe { nb::netdev_write_mtu(dev, mtu) };
            Ok(0)
        })
    }

    unsafe extern "C" fn fix_features(dev: *mut nb::net_device, features: u64) -> u64 {
        // SAFETY: Called under RTNL on a device of `T` that has its data.
        let (device, data, rtnl) =
            unsafe { (Device::from_raw(dev), Self::data(dev), Rtnl::assume()) };
        // What the driver was not asked for must not come up: the core does not check again.
        data.fix_features(device, Features::from_raw(features), &rtnl)
            .as_raw()
            & features
    }

    unsafe extern "C" fn set_features(dev: *mut nb::net_device, features: u64) -> c_int {
        // SAFETY: Called under RTNL on a device of `T` that has its data.
        let (device, data, rtnl) =
            unsafe { (Device::from_raw(dev), Self::data(dev), Rtnl::assume()) };
        from_result(|| {
            data.set_features(device, Features::from_raw(features), &rtnl)?;
            Ok(0)
        })
    }

    unsafe extern "C" fn features_check(
        skb: *mut nb::sk_buff,
        dev: *mut nb::net_device,
        features: u64,
    ) -> u64 {
        // SAFETY: The packet is the core's and valid; this is in its transmit path, with RCU held,
        // on a registered device of `T`.
        unsafe {
            let features = Headers::tags_checked(skb, features);
            if !nb::skb_csum_partial(skb) {
                return features;
            }
            let headers = Headers::of(skb);
            Self::data(dev)
                .features_check(&headers, Features::from_raw(features))
                .as_raw()
                & features
        }
    }

    unsafe extern "C" fn set_rx_mode(dev: *mut nb::net_device) {
        // SAFETY: Called with the device's address lock held on a registered device of `T`.
        let (device, data) = unsafe { (Device::from_raw(dev), Self::data(dev)) };
        data.set_rx_mode(device);
    }

    unsafe extern "C" fn set_mac_address(dev: *mut nb::net_device, addr: *mut c_void) -> c_int {
        // SAFETY: Called under RTNL on a registered device of `T`; `addr` is a `sockaddr`, whose
        // address is copied.
        let (device, data, rtnl, addr) = unsafe {
            let mut octets = [0u8; 6];
            nb::sockaddr_hw_addr(addr, octets.as_mut_ptr());
            (
                Device::from_raw(dev),
                Self::data(dev),
                Rtnl::assume(),
                octets,
            )
        };
        from_result(|| {
            // SAFETY: Reads the six bytes of an address.
            if unsafe { !nb::is_valid_ether_addr(addr.as_ptr()) } {
                return Err(EADDRNOTAVAIL);
            }
            data.set_address(device, addr, &rtnl)?;
            // SAFETY: Under RTNL; six bytes, as Ethernet's length says.
            unsafe { nb::netdev_hw_addr_set(dev, addr.as_ptr()) };
            Ok(0)
        })
    }

    /// Either of the two callbacks for a VLAN.
    ///
    /// # Safety
    ///
    /// To be called by the core under RTNL, on a device of `T` that has its data.
    unsafe fn vlan(dev: *mut nb::net_device, vid: u16, on: bool) -> c_int {
        // SAFETY: By the requirement.
        let (device, data, rtnl) =
            unsafe { (Device::from_raw(dev), Self::data(dev), Rtnl::assume()) };
        from_result(|| {
            data.set_vlan(device, vid, on, &rtnl)?;
            Ok(0)
        })
    }

    unsafe extern "C" fn vlan_add(dev: *mut nb::net_device, _protocol: u16, vid: u16) -> c_int {
        // SAFETY: Called under RTNL on a device of `T` that has its data.
        unsafe { Self::vlan(dev, vid, true) }
    }

    unsafe extern "C" fn vlan_kill(dev: *mut nb::net_device, _protocol: u16, vid: u16) -> c_int {
        // SAFETY: Called under RTNL on a device of `T` that has its data.
        unsafe { Self::vlan(dev, vid, false) }
    }

    unsafe extern "C" fn tx_timeout(dev: *mut nb::net_device, queue: u32) {
        // SAFETY: Called by the watchdog timer of a device of `T` that is up.
        let (device, data) = unsafe { (Device::from_raw(dev), Self::data(dev)) };
        data.tx_timeout(device, queue);
    }
}
