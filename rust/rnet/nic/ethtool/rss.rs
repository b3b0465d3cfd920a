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
    Table, //
};
use crate::netlink::ExtAck;

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
        // SAFETY: The caller's own, or null.
        let extack = unsafe { ExtAck::from_raw(extack) };
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

    pub(super) unsafe extern "C" fn get_rxfh_fields(
        dev: *mut nb::net_device,
        fields: *mut nb::ethtool_rxfh_fields,
    ) -> c_int {
        // SAFETY: In the callback; `fields` is the caller's own.
        let ((core, _rtnl), fields) = unsafe { (Self::enter(dev), &mut *fields) };
        from_result(|| {
            let ports = match Ports::of(fields.flow_type).ok_or(EINVAL)? {
                Ports::Always => true,
                Ports::Never => false,
                Ports::Udp { v6 } => core.shared().rss().udp_ports(v6),
            };
            fields.data = if ports { ADDRESSES | PORTS } else { ADDRESSES };
            Ok(0)
        })
    }

    pub(super) unsafe extern "C" fn set_rxfh_fields(
        dev: *mut nb::net_device,
        fields: *const nb::ethtool_rxfh_fields,
        extack: *mut nb::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: In the callback; `fields` is the caller's own.
        let ((core, rtnl), fields) = unsafe { (Self::enter(dev), &*fields) };
        // SAFETY: The caller's own, or null.
        let extack = unsafe { ExtAck::from_raw(extack) };
        from_result(|| {
            let kind = Ports::of(fields.flow_type).ok_or(EINVAL)?;
            let ports = match fields.data {
                both if both == ADDRESSES | PORTS => true,
                addresses if addresses == ADDRESSES => false,
                _ => return Err(extack.refuse(c"both addresses, with both ports or without")),
            };
            match kind {
                Ports::Always if ports => return Ok(0),
                Ports::Never if !ports => return Ok(0),
                Ports::Udp { v6 } => core.shared().rss().set_udp_ports(v6, ports),
                _ => return Err(extack.refuse(c"only for UDP the device can be told")),
            }
            if core.is_up(&rtnl) {
                core.driver().set_rss(&core.nic());
            }
            Ok(0)
        })
    }
}

/// What a hash can be made of.
const ADDRESSES: u32 = nb::RXH_IP_SRC | nb::RXH_IP_DST;
const PORTS: u32 = nb::RXH_L4_B_0_1 | nb::RXH_L4_B_2_3;

/// Whether ports are part of the hash of a kind of packets.
enum Ports {
    Always,
    Never,
    Udp { v6: bool },
}

impl Ports {
    /// C constants: `TCP_V4_FLOW` and so on.
    fn of(flow: u32) -> Option<Self> {
        match flow {
            nb::TCP_V4_FLOW | nb::TCP_V6_FLOW => Some(Ports::Always),
            nb::UDP_V4_FLOW => Some(Ports::Udp { v6: false }),
            nb::UDP_V6_FLOW => Some(Ports::Udp { v6: true }),
            nb::SCTP_V4_FLOW
            | nb::SCTP_V6_FLOW
            | nb::AH_ESP_V4_FLOW
            | nb::AH_ESP_V6_FLOW
            | nb::AH_V4_FLOW
            | nb::AH_V6_FLOW
            | nb::ESP_V4_FLOW
            | nb::ESP_V6_FLOW
            | nb::IPV4_FLOW
            | nb::IPV6_FLOW => Some(Ports::Never),
            _ => None,
        }
    }
}
