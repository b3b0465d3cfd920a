// SPDX-License-Identifier: GPL-2.0

//! Programs that see what the queues deliver, and frames that others send to the device.
//!
//! What waits in a queue is a packet of the stack already, with all that a socket has given it. A
//! program sees it as it sees packets elsewhere in the kernel (`do_xdp_generic()`, as tun does for
//! such), but in the NAPI: before GRO, and on the queue that netdev-genl and AF_XDP know.

use core::ptr::{
    null_mut,
    NonNull, //
};

use kernel::{
    error::from_result,
    ffi::c_int,
    prelude::*, //
};
use net_bindings as nb;

use super::{
    of,
    Driver,
    QueueCx, //
};
use crate::{
    netdev::{
        self,
        Device,
        Features, //
    },
    skb::{
        TxSkb,
        XmitCx, //
    },
    xdp::{
        Frames,
        Program, //
    },
};

pub(super) unsafe extern "C" fn bpf(dev: *mut nb::net_device, bpf: *mut nb::netdev_bpf) -> c_int {
    let (mut prog, mut extack) = (null_mut(), null_mut());
    // SAFETY: The caller's own.
    if unsafe { !nb::netdev_bpf_prog(bpf, &mut prog, &mut extack) } {
        return EINVAL.to_errno();
    }
    from_result(|| {
        // SAFETY: Called under RTNL on a registered device with a switch, with a program of which
        // the caller's reference is ours after success; the slot has one of its own.
        unsafe {
            let (_, queues) = of(dev)?;
            queues.program.set(Program::get(prog));
            if !prog.is_null() {
                nb::bpf_prog_put(prog);
            }
            // Whether TCP may send packets larger than the MTU.
            nb::netdev_update_features(dev);
        }
        Ok(0)
    })
}

/// Without segmentation offload while there is a program: it would have to be shown packets of half
/// a megabyte in one piece.
pub(super) unsafe extern "C" fn fix_features<T: Driver>(
    dev: *mut nb::net_device,
    features: u64,
) -> u64 {
    let mut features = features;
    if let Some(fix) = crate::netdev::table::<T>().ndo_fix_features {
        // SAFETY: As called by the core.
        features = unsafe { fix(dev, features) };
    }
    // SAFETY: Called under RTNL on a device with a switch.
    match unsafe { of(dev) } {
        Ok((_, queues)) if queues.program.is_set() => features & !Features::GSO_SOFTWARE.as_raw(),
        _ => features,
    }
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
    // SAFETY: Called with softirqs off inside an RCU read-side section on a registered device of
    // `T`. The first of the frames are given away, as many as we return.
    let (device, data, queues, mut frames) = unsafe {
        (
            Device::from_raw(dev),
            netdev::data::<T>(dev),
            of(dev),
            Frames::new(frames, u32::try_from(n).unwrap_or(0)),
        )
    };
    let Ok((_, queues)) = queues else {
        return ENXIO.to_errno();
    };
    // SAFETY: Valid device.
    if unsafe { !nb::netif_running(dev) } {
        return ENETDOWN.to_errno();
    }
    while let Some(frame) = frames.next() {
        // SAFETY: The frame is ours, and with the packet afterwards, unless there is none.
        let skb = unsafe { nb::xdp_build_skb_from_frame(frame.as_raw(), dev) };
        let Some(skb) = NonNull::new(skb) else {
            frames.put_back(frame);
            break;
        };
        let _ = frame.into_raw();
        // SAFETY: As in a transmit callback: softirqs are off inside an RCU read-side section. The
        // packet is ours alone, and has the header in front of it that was just taken off. The
        // lifetime is free in the driver's callback, which counts and delivers it as any other.
        let (xmit, skb) = unsafe {
            nb::skb_push_ethernet(skb.as_ptr());
            (XmitCx::new(device), TxSkb::from_raw(skb))
        };
        let _ = data
            .start_xmit_queued(skb, &QueueCx { xmit, queues })
            .into_raw();
    }
    c_int::try_from(frames.taken()).unwrap_or(c_int::MAX)
}
