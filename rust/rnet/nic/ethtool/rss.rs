// SPDX-License-Identifier: GPL-2.0

//! Hash, key and table: `ethtool -x`, `-X`.

use kernel::{
    error::from_result,
    ffi::c_int,
    prelude::*, //
};
use net_bindings as nb;

use super::{
    Driver,
    ExtAck,
    Table, //
};

/// The arrays of a request, where they are asked for. The core has made them as long as
/// `get_rxfh_indir_size()` and `get_rxfh_key_size()` say; it does not always say so in `param`
/// (`ethtool_get_max_rxfh_channel()`).
///
/// # Safety
///
/// Only in a callback, with its own argument, not beyond it.
unsafe fn arrays<'a, D: Driver>(
    param: &nb::ethtool_rxfh_param,
) -> (Option<&'a mut [u32]>, Option<&'a mut [u8]>) {
    let (table, key) = (D::LIMITS.rss_table as usize, D::LIMITS.rss_key as usize);
    // SAFETY: By the requirement, each is null or an array that the core has allocated with this
    // length, which is what the two callbacks below return.
    unsafe {
        (
            (!param.indir.is_null()).then(|| core::slice::from_raw_parts_mut(param.indir, table)),
            (!param.key.is_null()).then(|| core::slice::from_raw_parts_mut(param.key, key)),
        )
    }
}

impl<D: Driver> Table<D> {
    pub(super) unsafe extern "C" fn get_rx_ring_count(dev: *mut nb::net_device) -> u32 {
        // SAFETY: In the callback.
        let (core, rtnl) = unsafe { Self::enter(dev) };
        core.config(&rtnl).queues
    }

    pub(super) unsafe extern "C" fn get_rxfh_indir_size(_dev: *mut nb::net_device) -> u32 {
        D::LIMITS.rss_table
    }

    pub(super) unsafe extern "C" fn get_rxfh_key_size(_dev: *mut nb::net_device) -> u32 {
        D::LIMITS.rss_key
    }

    pub(super) unsafe extern "C" fn get_rxfh(
        dev: *mut nb::net_device,
        param: *mut nb::ethtool_rxfh_param,
    ) -> c_int {
        // SAFETY: In the callback; `param` is the caller's own.
        let ((core, _rtnl), param) = unsafe { (Self::enter(dev), &mut *param) };
        param.hfunc = nb::ETH_RSS_HASH_TOP as u8;
        // SAFETY: In the callback.
        let (table, key) = unsafe { arrays::<D>(param) };
        let rss = core.shared().rss();
        for (to, from) in table.into_iter().flatten().zip(rss.table()) {
            *to = from;
        }
        for (to, from) in key.into_iter().flatten().zip(rss.key()) {
            *to = from;
        }
        0
    }

    pub(super) unsafe extern "C" fn set_rxfh(
        dev: *mut nb::net_device,
        param: *mut nb::ethtool_rxfh_param,
        extack: *mut nb::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: In the callback; `param` is the caller's own.
        let ((core, rtnl), param) = unsafe { (Self::enter(dev), &*param) };
        let extack = ExtAck(extack);
        from_result(|| {
            if param.rss_context != 0 {
                return Err(EOPNOTSUPP);
            }
            if ![nb::ETH_RSS_HASH_NO_CHANGE, nb::ETH_RSS_HASH_TOP].contains(&param.hfunc.into()) {
                return Err(extack.refuse(c"the device only knows the Toeplitz hash"));
            }
            // SAFETY: In the callback.
            let (table, key) = unsafe { arrays::<D>(param) };
            let queues = core.config(&rtnl).queues;
            let rss = core.shared().rss();
            if let Some(table) = table {
                if table.iter().any(|&queue| queue >= queues) {
                    return Err(extack.refuse(c"there is no such queue"));
                }
                rss.set_table(table);
            }
            if let Some(key) = key {
                rss.set_key(key);
            }
            // While the device is down, `start()` will read it.
            if core.is_up(&rtnl) {
                core.driver().set_rss(&core.nic());
            }
            Ok(0)
        })
    }
}
