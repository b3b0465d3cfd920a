// SPDX-License-Identifier: GPL-2.0

//! The callbacks for programs and their frames (XDP).

use core::ptr::null_mut;

use kernel::{
    error::from_result,
    ffi::c_int,
    prelude::*, //
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
    xdp::{
        Frames,
        Program, //
    },
};

pub(super) unsafe extern "C" fn bpf<T: Driver>(
    dev: *mut nb::net_device,
    bpf: *mut nb::netdev_bpf,
) -> c_int {
    let (mut prog, mut extack) = (null_mut(), null_mut());
    // SAFETY: The caller's own.
    if unsafe { !nb::netdev_bpf_prog(bpf, &mut prog, &mut extack) } {
        return EINVAL.to_errno();
    }
    // SAFETY: Called under RTNL on a registered device of `T`, with a program that the caller holds
    // and an answer for this request.
    let (device, data, rtnl, program, extack) = unsafe {
        (
            Device::from_raw(dev),
            Adapter::<T>::data(dev),
            Rtnl::assume(),
            Program::get(prog),
            ExtAck::from_raw(extack),
        )
    };
    from_result(|| {
        data.set_xdp(device, program, &extack, &rtnl)?;
        if !prog.is_null() {
            // SAFETY: After success the caller's reference is ours; the driver has one of its own.
            unsafe { nb::bpf_prog_put(prog) };
        }
        Ok(0)
    })
}

pub(super) unsafe extern "C" fn xdp_xmit<T: Driver>(
    dev: *mut nb::net_device,
    n: c_int,
    frames: *mut *mut nb::xdp_frame,
    flags: u32,
) -> c_int {
    if flags & !nb::XDP_XMIT_FLAGS_MASK != 0 {
        return EINVAL.to_errno();
    }
    // SAFETY: Called with softirqs off inside an RCU read-side section on a registered device;
    // unregistration waits for such sections before the data is dropped. The first of the frames
    // are given away, as many as we return.
    let (device, data, mut frames) = unsafe {
        (
            Device::from_raw(dev),
            Adapter::<T>::data(dev),
            Frames::new(frames, u32::try_from(n).unwrap_or(0)),
        )
    };
    match data.xdp_xmit(device, &mut frames) {
        Err(err) if frames.taken() == 0 => err.to_errno(),
        _ => c_int::try_from(frames.taken()).unwrap_or(c_int::MAX),
    }
}
