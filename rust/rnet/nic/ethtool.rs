// SPDX-License-Identifier: GPL-2.0

//! ethtool on NICs.
//!
//! Rings, channels and the statistics of queues belong to the layer, and so do the answers about
//! them: what cannot be is refused with a message, never rounded, and the counters go on. The
//! driver is asked about the link only. Everything runs under RTNL, since the devices of the layer
//! have no instance lock.

use core::{
    fmt::Write,
    marker::PhantomData, //
};

use kernel::{
    error::from_result,
    ffi::c_int,
    prelude::*,
    str::CStr, //
};
use net_bindings as nb;
use pin_init::zeroed;

use super::{
    core::{
        Config,
        Core, //
    },
    Driver,
    RxStats,
    TxStats, //
};
use crate::{
    netdev,
    rtnl::Rtnl,
    text::Text, //
};

/// What a refusal says to the user. C type: `struct netlink_ext_ack`.
struct ExtAck(*mut nb::netlink_ext_ack);

impl ExtAck {
    /// Refuses: says why, and is the error.
    fn refuse(&self, why: &'static CStr) -> Error {
        // SAFETY: The caller's own, or null; the text stays as long as the module, which is in a
        // call now.
        unsafe { nb::extack_set(self.0, why.as_char_ptr()) };
        EINVAL
    }
}

/// A name, and what is shown under it.
type Shown<S> = (&'static str, fn(&S) -> u64);

/// What each transmit queue shows under `ethtool -S`.
const TX: [Shown<TxStats>; 5] = [
    ("packets", |q| q.packets.get()),
    ("bytes", |q| q.bytes.get()),
    ("stopped", |q| q.stopped.get()),
    ("woken", |q| q.woken.get()),
    ("doorbells", |q| q.doorbells.get()),
];

/// What each receive queue shows under `ethtool -S`.
const RX: [Shown<RxStats>; 8] = [
    ("packets", |q| q.packets.get()),
    ("bytes", |q| q.bytes.get()),
    ("dropped", |q| q.dropped.get()),
    ("errors", |q| q.errors.get()),
    ("length_errors", |q| q.length_errors.get()),
    ("csum_err", |q| q.checksum_errors.get()),
    ("alloc_failed", |q| q.no_memory.get()),
    ("doorbells", |q| q.doorbells.get()),
];

pub(super) struct Table<D: Driver>(PhantomData<D>);

impl<D: Driver> Table<D> {
    pub(super) const OPS: &'static nb::ethtool_ops = &nb::ethtool_ops {
        get_link: Some(nb::ethtool_op_get_link),
        get_ts_info: Some(nb::ethtool_op_get_ts_info),
        get_ringparam: Some(Self::get_ringparam),
        set_ringparam: Some(Self::set_ringparam),
        get_channels: Some(Self::get_channels),
        set_channels: Some(Self::set_channels),
        get_sset_count: Some(Self::get_sset_count),
        get_strings: Some(Self::get_strings),
        get_ethtool_stats: Some(Self::get_ethtool_stats),
        get_link_ksettings: if D::HAS_LINK_SETTINGS {
            Some(Self::get_link_ksettings)
        } else {
            None
        },
        nway_reset: if D::HAS_NEGOTIATE {
            Some(Self::nway_reset)
        } else {
            None
        },
        ..zeroed()
    };

    /// What every function of the table begins with.
    ///
    /// # Safety
    ///
    /// To be called in a callback of a device of `D` under RTNL, and used only there.
    unsafe fn enter<'a>(dev: *mut nb::net_device) -> (&'a Core<D>, Rtnl) {
        // SAFETY: ethtool runs under RTNL on registered devices without an instance lock, such as
        // those of the layer; a registered device has its data.
        unsafe { (netdev::data::<Core<D>>(dev), Rtnl::assume()) }
    }

    unsafe extern "C" fn get_ringparam(
        dev: *mut nb::net_device,
        ring: *mut nb::ethtool_ringparam,
        _kernel: *mut nb::kernel_ethtool_ringparam,
        _extack: *mut nb::netlink_ext_ack,
    ) {
        // SAFETY: In the callback; `ring` is the caller's own.
        let ((core, rtnl), ring) = unsafe { (Self::enter(dev), &mut *ring) };
        let config = core.config(&rtnl);
        ring.rx_max_pending = D::LIMITS.ring.1;
        ring.tx_max_pending = D::LIMITS.ring.1;
        ring.rx_pending = config.rx_len;
        ring.tx_pending = config.tx_len;
    }

    unsafe extern "C" fn set_ringparam(
        dev: *mut nb::net_device,
        ring: *mut nb::ethtool_ringparam,
        _kernel: *mut nb::kernel_ethtool_ringparam,
        extack: *mut nb::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: In the callback; `ring` is the caller's own.
        let ((core, rtnl), ring) = unsafe { (Self::enter(dev), &*ring) };
        let extack = ExtAck(extack);
        from_result(|| {
            let limits = D::LIMITS;
            for len in [ring.rx_pending, ring.tx_pending] {
                if len < limits.ring.0 || len > limits.ring.1 {
                    return Err(extack.refuse(c"a ring cannot have so many or so few descriptors"));
                }
                if len.checked_rem(limits.ring_step) != Some(0) {
                    return Err(extack.refuse(c"the device cannot have a ring of this length"));
                }
            }
            let old = core.config(&rtnl);
            let new = Config {
                rx_len: ring.rx_pending,
                tx_len: ring.tx_pending,
                ..old
            };
            if new != old {
                core.reconfigure(&new, &rtnl)?;
            }
            Ok(0)
        })
    }

    unsafe extern "C" fn get_channels(dev: *mut nb::net_device, ch: *mut nb::ethtool_channels) {
        // SAFETY: In the callback; `ch` is the caller's own.
        let ((core, rtnl), ch) = unsafe { (Self::enter(dev), &mut *ch) };
        let other = u32::from(core.nic().other_vector().is_some());
        ch.max_combined = D::LIMITS.queues;
        ch.combined_count = core.config(&rtnl).queues;
        ch.max_other = other;
        ch.other_count = other;
    }

    unsafe extern "C" fn set_channels(
        dev: *mut nb::net_device,
        ch: *mut nb::ethtool_channels,
    ) -> c_int {
        // SAFETY: In the callback; `ch` is the caller's own.
        let ((core, rtnl), ch) = unsafe { (Self::enter(dev), &*ch) };
        from_result(|| {
            let other = u32::from(core.nic().other_vector().is_some());
            // The core has compared each with its maximum.
            if ch.other_count != other || ch.combined_count == 0 {
                return Err(EINVAL);
            }
            let old = core.config(&rtnl);
            let new = Config {
                queues: ch.combined_count.min(D::LIMITS.queues),
                ..old
            };
            if new != old {
                core.reconfigure(&new, &rtnl)?;
            }
            Ok(0)
        })
    }

    fn count(core: &Core<D>, rtnl: &Rtnl) -> usize {
        let queues = core.config(rtnl).queues as usize;
        queues.wrapping_mul(TX.len().wrapping_add(RX.len()))
    }

    unsafe extern "C" fn get_sset_count(dev: *mut nb::net_device, set: c_int) -> c_int {
        // SAFETY: In the callback.
        let (core, rtnl) = unsafe { Self::enter(dev) };
        if set as u32 == nb::ethtool_stringset_ETH_SS_STATS {
            Self::count(core, &rtnl) as c_int
        } else {
            EOPNOTSUPP.to_errno()
        }
    }

    unsafe extern "C" fn get_strings(dev: *mut nb::net_device, set: u32, out: *mut u8) {
        const LEN: usize = nb::ETH_GSTRING_LEN as usize;
        if set != nb::ethtool_stringset_ETH_SS_STATS {
            return;
        }
        // SAFETY: In the callback; the core has made room for as many strings as
        // `get_sset_count()` says under the same RTNL.
        let (core, rtnl, out) = unsafe {
            let (core, rtnl) = Self::enter(dev);
            let len = Self::count(core, &rtnl).wrapping_mul(LEN);
            (core, rtnl, core::slice::from_raw_parts_mut(out, len))
        };
        let mut places = out.chunks_exact_mut(LEN);
        let mut put = |way: &str, queue: u32, name: &str| {
            let mut text = Text::<LEN>::new();
            let _ = text.write_fmt(fmt!("{}_queue_{}_{}", way, queue, name));
            if let Some(place) = places.next() {
                place.copy_from_slice(text.bytes());
            }
        };
        for queue in 0..core.config(&rtnl).queues {
            TX.iter().for_each(|(name, _)| put("tx", queue, name));
            RX.iter().for_each(|(name, _)| put("rx", queue, name));
        }
    }

    unsafe extern "C" fn get_ethtool_stats(
        dev: *mut nb::net_device,
        _stats: *mut nb::ethtool_stats,
        out: *mut u64,
    ) {
        // SAFETY: In the callback; the core has made room for as many values as
        // `get_sset_count()` says under the same RTNL.
        let (core, out) = unsafe {
            let (core, rtnl) = Self::enter(dev);
            let len = Self::count(core, &rtnl);
            (core, core::slice::from_raw_parts_mut(out, len))
        };
        let mut places = out.iter_mut();
        let mut put = |val: u64| {
            if let Some(place) = places.next() {
                *place = val;
            }
        };
        let stats = core.nic().queue_stats();
        for (tx, rx) in stats.tx().zip(stats.rx()) {
            TX.iter().for_each(|(_, get)| put(get(tx)));
            RX.iter().for_each(|(_, get)| put(get(rx)));
        }
    }

    unsafe extern "C" fn get_link_ksettings(
        dev: *mut nb::net_device,
        out: *mut nb::ethtool_link_ksettings,
    ) -> c_int {
        // SAFETY: In the callback; `out` is the caller's own, zeroed.
        let ((core, _rtnl), out) = unsafe { (Self::enter(dev), &mut *out) };
        from_result(|| {
            let link = core.driver().link_settings(&core.nic())?;
            out.base.speed = link.speed.unwrap_or(nb::SPEED_UNKNOWN as u32);
            out.base.duplex = match (link.speed, link.full_duplex) {
                (None, _) => nb::DUPLEX_UNKNOWN as u8,
                (_, true) => nb::DUPLEX_FULL as u8,
                (_, false) => nb::DUPLEX_HALF as u8,
            };
            out.base.autoneg = u8::from(link.autoneg);
            out.base.port = nb::PORT_TP as u8;
            out.base.phy_address = link.phy;
            let modes = &mut out.link_modes;
            for (to, from) in [
                (&mut modes.supported, link.supported),
                (&mut modes.advertising, link.advertising),
                (&mut modes.lp_advertising, link.partner),
            ] {
                if let Some(word) = to.first_mut() {
                    *word = from.bits() as usize;
                }
            }
            Ok(0)
        })
    }

    unsafe extern "C" fn nway_reset(dev: *mut nb::net_device) -> c_int {
        // SAFETY: In the callback.
        let (core, _rtnl) = unsafe { Self::enter(dev) };
        from_result(|| core.driver().negotiate(&core.nic()).map(|()| 0))
    }
}
