// SPDX-License-Identifier: GPL-2.0

//! The callbacks for time stamps.

use kernel::{
    error::from_result,
    ffi::c_int, //
};
use net_bindings as nb;

use super::{
    adapter::Adapter,
    Device,
    Driver, //
};
use crate::{
    netlink::ExtAck,
    rtnl::Rtnl,
    stamps::StampConfig, //
};

pub(super) unsafe extern "C" fn hwtstamp_get<T: Driver>(
    dev: *mut nb::net_device,
    config: *mut nb::kernel_hwtstamp_config,
) -> c_int {
    // SAFETY: Called under RTNL on a registered device of `T`; the answer is the caller's own.
    let (device, data, rtnl, config) = unsafe {
        (
            Device::from_raw(dev),
            Adapter::<T>::data(dev),
            Rtnl::assume(),
            &mut *config,
        )
    };
    from_result(|| {
        data.stamps(device, &rtnl)?.fill(config);
        Ok(0)
    })
}

pub(super) unsafe extern "C" fn hwtstamp_set<T: Driver>(
    dev: *mut nb::net_device,
    config: *mut nb::kernel_hwtstamp_config,
    extack: *mut nb::netlink_ext_ack,
) -> c_int {
    // SAFETY: Called under RTNL on a registered device of `T`; what is wanted, which becomes the
    // answer, is the caller's own, and `extack` null or an answer for this request.
    let (device, data, rtnl, config, extack) = unsafe {
        (
            Device::from_raw(dev),
            Adapter::<T>::data(dev),
            Rtnl::assume(),
            &mut *config,
            ExtAck::from_raw(extack),
        )
    };
    from_result(|| {
        let wanted = StampConfig::from_raw(config)?;
        data.set_stamps(device, wanted, &extack, &rtnl)?
            .fill(config);
        Ok(0)
    })
}
