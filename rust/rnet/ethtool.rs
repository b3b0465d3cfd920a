// SPDX-License-Identifier: GPL-2.0

//! What `ethtool` asks a device.
//!
//! A driver implements [`Ethtool`] and names the table in
//! [`Driver::ETHTOOL`]:
//!
//! ```ignore
//! const ETHTOOL: Option<EthtoolTable<Self>> = Some(EthtoolTable::new());
//! ```
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use core::marker::PhantomData;

use kernel::{
    error::VTABLE_DEFAULT_ERROR,
    ffi::c_int,
    prelude::*,
    str::CStr, //
};
use net_bindings as nb;
use pin_init::zeroed;

use crate::{
    netdev::{
        Device,
        Driver, //
    },
    rtnl::Rtnl, //
};

/// Who the driver is: what `ethtool -i` shows. C type: `struct ethtool_drvinfo`.
pub struct DrvInfo<'a>(&'a mut nb::ethtool_drvinfo);

impl DrvInfo<'_> {
    /// The driver's name, cut to 31 bytes.
    pub fn driver(&mut self, name: &CStr) -> &mut Self {
        fill(&mut self.0.driver, name.to_bytes());
        self
    }

    /// The firmware's version, cut to 31 bytes.
    pub fn firmware(&mut self, version: &CStr) -> &mut Self {
        fill(&mut self.0.fw_version, version.to_bytes());
        self
    }

    /// Where the device sits on its bus, cut to 31 bytes.
    pub fn bus(&mut self, address: &CStr) -> &mut Self {
        fill(&mut self.0.bus_info, address.to_bytes());
        self
    }
}

/// Copies as much of `text` as fits with a NUL behind it.
fn fill<C: From<u8> + Copy>(to: &mut [C], text: &[u8]) {
    let room = to.len().saturating_sub(1);
    for (to, &byte) in to.iter_mut().take(room).zip(text) {
        *to = C::from(byte);
    }
}

/// Answers to ethtool. Every method runs under RTNL and may sleep. What is not implemented is
/// answered by the core (`EOPNOTSUPP`, or what it knows itself). C type: `struct ethtool_ops`.
#[vtable]
pub trait Ethtool: Driver {
    /// Whether time stamps are those of the software
    /// (`ethtool_op_get_ts_info()`).
    const SOFTWARE_TIMESTAMPS: bool = true;

    /// Names of the driver's own statistics, `ethtool -S`; at most 31 bytes each.
    const STATS: &'static [&'static CStr] = &[];

    /// Fills in who the driver is. C callback: `get_drvinfo`.
    fn drvinfo(&self, _dev: &Device, _info: &mut DrvInfo<'_>, _rtnl: &Rtnl) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Whether there is a link. Without it: whether the carrier is on
    /// (`ethtool_op_get_link()`). C callback: `get_link`.
    fn link(&self, _dev: &Device, _rtnl: &Rtnl) -> bool {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The value of each of [`STATS`](Self::STATS), in that order. C callback:
    /// `get_ethtool_stats`.
    fn stats(&self, _dev: &Device, _values: &mut [u64], _rtnl: &Rtnl) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The table of a driver's answers.
pub struct EthtoolTable<T: Driver> {
    ops: &'static nb::ethtool_ops,
    _driver: PhantomData<fn(&T)>,
}

impl<T: Ethtool> EthtoolTable<T> {
    /// The table for `T`.
    pub const fn new() -> Self {
        Self {
            ops: Adapter::<T>::OPS,
            _driver: PhantomData,
        }
    }
}

impl<T: Ethtool> Default for EthtoolTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Driver> EthtoolTable<T> {
    /// A table of the layer's own for `T`.
    pub(crate) const fn from_raw(ops: &'static nb::ethtool_ops) -> Self {
        Self {
            ops,
            _driver: PhantomData,
        }
    }

    pub(crate) const fn get(&self) -> &'static nb::ethtool_ops {
        self.ops
    }

    pub(crate) fn as_raw(&self) -> *const nb::ethtool_ops {
        self.ops
    }
}

struct Adapter<T: Ethtool>(PhantomData<T>);

impl<T: Ethtool> Adapter<T> {
    const OPS: &'static nb::ethtool_ops = &nb::ethtool_ops {
        get_drvinfo: if T::HAS_DRVINFO {
            Some(Self::get_drvinfo)
        } else {
            None
        },
        get_link: if T::HAS_LINK {
            Some(Self::get_link)
        } else {
            Some(nb::ethtool_op_get_link)
        },
        get_ts_info: if T::SOFTWARE_TIMESTAMPS {
            Some(nb::ethtool_op_get_ts_info)
        } else {
            None
        },
        get_sset_count: if T::HAS_STATS && !T::STATS.is_empty() {
            Some(Self::get_sset_count)
        } else {
            None
        },
        get_strings: if T::HAS_STATS && !T::STATS.is_empty() {
            Some(Self::get_strings)
        } else {
            None
        },
        get_ethtool_stats: if T::HAS_STATS && !T::STATS.is_empty() {
            Some(Self::get_ethtool_stats)
        } else {
            None
        },
        ..zeroed()
    };

    /// What every function of the table begins with.
    ///
    /// # Safety
    ///
    /// To be called in a callback of a device of `T` under RTNL, and used only there.
    unsafe fn enter<'a>(dev: *mut nb::net_device) -> (&'a Device, &'a T, Rtnl) {
        // SAFETY: ethtool runs under RTNL on registered devices without an instance lock, such as
        // those of the layer; a registered device has its data.
        unsafe {
            (
                Device::from_raw(dev),
                crate::netdev::data::<T>(dev),
                Rtnl::assume(),
            )
        }
    }

    unsafe extern "C" fn get_drvinfo(dev: *mut nb::net_device, info: *mut nb::ethtool_drvinfo) {
        // SAFETY: In the callback; `info` is the caller's own.
        let ((dev, data, rtnl), info) = unsafe { (Self::enter(dev), &mut *info) };
        data.drvinfo(dev, &mut DrvInfo(info), &rtnl);
    }

    unsafe extern "C" fn get_link(dev: *mut nb::net_device) -> u32 {
        // SAFETY: In the callback.
        let (dev, data, rtnl) = unsafe { Self::enter(dev) };
        u32::from(data.link(dev, &rtnl))
    }

    unsafe extern "C" fn get_sset_count(_dev: *mut nb::net_device, set: c_int) -> c_int {
        if set as u32 == nb::ethtool_stringset_ETH_SS_STATS {
            T::STATS.len() as c_int
        } else {
            EOPNOTSUPP.to_errno()
        }
    }

    unsafe extern "C" fn get_strings(_dev: *mut nb::net_device, set: u32, out: *mut u8) {
        if set != nb::ethtool_stringset_ETH_SS_STATS {
            return;
        }
        const LEN: usize = nb::ETH_GSTRING_LEN as usize;
        // SAFETY: The core has made room for as many strings as `get_sset_count()` said, zeroed.
        let out = unsafe { core::slice::from_raw_parts_mut(out, T::STATS.len() * LEN) };
        for (to, name) in out.chunks_exact_mut(LEN).zip(T::STATS) {
            fill(to, name.to_bytes());
        }
    }

    unsafe extern "C" fn get_ethtool_stats(
        dev: *mut nb::net_device,
        _stats: *mut nb::ethtool_stats,
        out: *mut u64,
    ) {
        // SAFETY: In the callback; the core has made room for as many values as
        // `get_sset_count()` said, zeroed.
        let ((dev, data, rtnl), out) = unsafe {
            (
                Self::enter(dev),
                core::slice::from_raw_parts_mut(out, T::STATS.len()),
            )
        };
        data.stats(dev, out, &rtnl);
    }
}
