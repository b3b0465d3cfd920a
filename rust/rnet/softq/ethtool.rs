// SPDX-License-Identifier: GPL-2.0

//! The queues in `ethtool -l`, `-c`, `-g` and `-S`.

use core::{
    fmt::Write,
    marker::PhantomData, //
};

use kernel::{
    error::{
        from_result,
        to_result, //
    },
    ffi::c_int,
    prelude::*, //
};
use net_bindings as nb;
use pin_init::zeroed;

use super::{
    hold::Coalesce,
    of,
    queue::Queue,
    queues::LIMIT,
    Driver, //
};
use crate::{
    netlink::ExtAck,
    text::Text, //
};

/// The name of a counter, and its value.
type Counter = (&'static str, fn(&Queue) -> u64);

/// What each queue counts, in the order of `ethtool -S`.
const COUNTERS: [Counter; 5] = [
    ("packets", |queue| queue.done().into()),
    ("polls", |queue| queue.polls.get()),
    ("batches", |queue| queue.batches.get()),
    ("expired", |queue| queue.expired.get()),
    ("dropped", |queue| queue.dropped.get()),
];

/// ethtool's answers of a device with queues; the driver's own stay what they are.
pub(super) struct Table<T: Driver>(PhantomData<T>);

impl<T: Driver> Table<T> {
    const WITHOUT: nb::ethtool_ops = match T::ETHTOOL {
        Some(table) => *table.get(),
        None => zeroed(),
    };

    /// Those without queues. The core wants a table, if only an empty one.
    pub(super) const OFF: &'static nb::ethtool_ops = &Self::WITHOUT;

    pub(super) const OPS: &'static nb::ethtool_ops = &nb::ethtool_ops {
        supported_coalesce_params: nb::ETHTOOL_COALESCE_RX_USECS
            | nb::ETHTOOL_COALESCE_RX_MAX_FRAMES
            | nb::ETHTOOL_COALESCE_USE_ADAPTIVE_RX,
        get_coalesce: Some(get_coalesce),
        set_coalesce: Some(set_coalesce),
        get_ringparam: Some(get_ringparam),
        set_ringparam: Some(set_ringparam),
        get_channels: Some(get_channels),
        set_channels: Some(set_channels),
        get_sset_count: Some(get_sset_count),
        get_strings: Some(get_strings),
        get_ethtool_stats: Some(get_ethtool_stats),
        ..Self::WITHOUT
    };
}

unsafe extern "C" fn get_coalesce(
    dev: *mut nb::net_device,
    out: *mut nb::ethtool_coalesce,
    _kernel: *mut nb::kernel_ethtool_coalesce,
    _extack: *mut nb::netlink_ext_ack,
) -> c_int {
    from_result(|| {
        // SAFETY: Called under RTNL on a registered device with a switch; `out` is the caller's.
        let ((_, queues), out) = unsafe { (of(dev)?, &mut *out) };
        let now = queues.coalesce();
        out.rx_coalesce_usecs = now.usecs;
        out.rx_max_coalesced_frames = now.frames;
        out.use_adaptive_rx_coalesce = now.adaptive.into();
        Ok(0)
    })
}

unsafe extern "C" fn set_coalesce(
    dev: *mut nb::net_device,
    wanted: *mut nb::ethtool_coalesce,
    _kernel: *mut nb::kernel_ethtool_coalesce,
    extack: *mut nb::netlink_ext_ack,
) -> c_int {
    from_result(|| {
        // SAFETY: Called under RTNL on a registered device with a switch; the rest is the caller's.
        let ((_, queues), wanted, extack) =
            unsafe { (of(dev)?, &*wanted, ExtAck::from_raw(extack)) };
        if wanted.rx_coalesce_usecs > Coalesce::MAX_USECS {
            return Err(extack.refuse(c"packets cannot be held back for more than 10 ms"));
        }
        if !(1..=Coalesce::MAX_FRAMES).contains(&wanted.rx_max_coalesced_frames) {
            return Err(extack.refuse(c"a batch has 1 to 1024 packets"));
        }
        if wanted.rx_max_coalesced_frames > queues.limit.get() {
            return Err(extack.refuse(c"a batch cannot be larger than the ring"));
        }
        queues.set_coalesce(Coalesce {
            usecs: wanted.rx_coalesce_usecs,
            frames: wanted.rx_max_coalesced_frames,
            adaptive: wanted.use_adaptive_rx_coalesce != 0,
        });
        Ok(0)
    })
}

unsafe extern "C" fn get_ringparam(
    dev: *mut nb::net_device,
    ring: *mut nb::ethtool_ringparam,
    _kernel: *mut nb::kernel_ethtool_ringparam,
    _extack: *mut nb::netlink_ext_ack,
) {
    // SAFETY: Called under RTNL on a registered device with a switch; `ring` is the caller's.
    if let (Ok((_, queues)), ring) = unsafe { (of(dev), &mut *ring) } {
        ring.rx_max_pending = LIMIT.2;
        ring.rx_pending = queues.limit.get();
    }
}

unsafe extern "C" fn set_ringparam(
    dev: *mut nb::net_device,
    ring: *mut nb::ethtool_ringparam,
    _kernel: *mut nb::kernel_ethtool_ringparam,
    extack: *mut nb::netlink_ext_ack,
) -> c_int {
    from_result(|| {
        // SAFETY: Called under RTNL on a registered device with a switch; the rest is the caller's.
        let ((_, queues), ring, extack) = unsafe { (of(dev)?, &*ring, ExtAck::from_raw(extack)) };
        if !(LIMIT.1..=LIMIT.2).contains(&ring.rx_pending) {
            return Err(extack.refuse(c"a ring has room for 64 to 16384 packets"));
        }
        if ring.rx_pending < queues.coalesce().frames {
            return Err(extack.refuse(c"the ring cannot be smaller than a batch"));
        }
        queues.limit.set(ring.rx_pending);
        Ok(0)
    })
}

unsafe extern "C" fn get_channels(dev: *mut nb::net_device, out: *mut nb::ethtool_channels) {
    // SAFETY: Called under RTNL on a registered device with a switch; `out` is the caller's.
    if let (Ok((_, queues)), out) = unsafe { (of(dev), &mut *out) } {
        out.max_rx = queues.count();
        out.rx_count = queues.active();
        out.max_tx = 1;
        out.tx_count = 1;
    }
}

unsafe extern "C" fn set_channels(
    dev: *mut nb::net_device,
    wanted: *mut nb::ethtool_channels,
) -> c_int {
    from_result(|| {
        // SAFETY: Called under RTNL on a registered device with a switch; `wanted` is the caller's.
        let ((switch, queues), wanted) = unsafe { (of(dev)?, &*wanted) };
        // The core has compared each with its maximum.
        if wanted.rx_count == 0 || wanted.tx_count != 1 {
            return Err(EINVAL);
        }
        let old = queues.active();
        if wanted.rx_count < old {
            if let Err(err) = switch.shrink(queues, wanted.rx_count) {
                queues.set_active(old);
                return Err(err);
            }
        }
        // SAFETY: Under RTNL; no packet is in a queue beyond these.
        let set = unsafe { nb::netif_set_real_num_rx_queues(dev, wanted.rx_count) };
        let set = to_result(set);
        queues.set_active(if set.is_ok() { wanted.rx_count } else { old });
        set.map(|()| 0)
    })
}

/// How many values there are.
fn values(dev: *mut nb::net_device) -> usize {
    // SAFETY: Called from ethtool's callbacks: under RTNL, on a registered device with a switch.
    match unsafe { of(dev) } {
        Ok((_, queues)) => queues.queues.len().saturating_mul(COUNTERS.len()),
        Err(_) => 0,
    }
}

unsafe extern "C" fn get_sset_count(dev: *mut nb::net_device, set: c_int) -> c_int {
    if set as u32 == nb::ethtool_stringset_ETH_SS_STATS {
        c_int::try_from(values(dev)).unwrap_or(0)
    } else {
        EOPNOTSUPP.to_errno()
    }
}

unsafe extern "C" fn get_strings(dev: *mut nb::net_device, set: u32, out: *mut u8) {
    const LEN: usize = nb::ETH_GSTRING_LEN as usize;
    if set != nb::ethtool_stringset_ETH_SS_STATS {
        return;
    }
    // SAFETY: The core has made room for as many strings as `get_sset_count()` said, zeroed, and
    // has held RTNL since.
    let out = unsafe { core::slice::from_raw_parts_mut(out, values(dev).saturating_mul(LEN)) };
    for (place, to) in out.chunks_exact_mut(LEN).enumerate() {
        let queue = place.checked_div(COUNTERS.len()).unwrap_or(0);
        let counter = place.checked_rem(COUNTERS.len()).unwrap_or(0);
        let name = COUNTERS.get(counter).map_or("", |(name, _)| name);
        let mut text = Text::<LEN>::new();
        // Never fails: what does not fit is cut off.
        let _ = write!(text, "rx{queue}_{name}");
        for (to, &byte) in to.iter_mut().zip(text.bytes()) {
            *to = byte;
        }
    }
}

unsafe extern "C" fn get_ethtool_stats(
    dev: *mut nb::net_device,
    _stats: *mut nb::ethtool_stats,
    out: *mut u64,
) {
    // SAFETY: Under RTNL on a registered device with a switch; the core has made room for as many
    // values as `get_sset_count()` said.
    let (queues, out) = unsafe { (of(dev), core::slice::from_raw_parts_mut(out, values(dev))) };
    let Ok((_, queues)) = queues else { return };
    for (queue, to) in queues
        .queues
        .iter()
        .zip(out.chunks_exact_mut(COUNTERS.len()))
    {
        for (to, (_, value)) in to.iter_mut().zip(&COUNTERS) {
            *to = value(queue);
        }
    }
}
