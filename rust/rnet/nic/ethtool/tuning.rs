// SPDX-License-Identifier: GPL-2.0

//! Rings, channels and interrupts: `ethtool -g`, `-l`, `-c`.

use kernel::{
    error::from_result,
    ffi::c_int,
    prelude::*, //
};
use net_bindings as nb;

use super::{
    Config,
    Driver,
    Table, //
};
use crate::netlink::ExtAck;

/// How often what the device counts is read, in microseconds: so old `ethtool -S` may be.
const STATS_BLOCK: u32 = 1_000_000;

impl<D: Driver> Table<D> {
    pub(super) unsafe extern "C" fn get_ringparam(
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

    pub(super) unsafe extern "C" fn set_ringparam(
        dev: *mut nb::net_device,
        ring: *mut nb::ethtool_ringparam,
        _kernel: *mut nb::kernel_ethtool_ringparam,
        extack: *mut nb::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: In the callback; `ring` is the caller's own.
        let ((core, rtnl), ring) = unsafe { (Self::enter(dev), &*ring) };
        // SAFETY: The caller's own, or null.
        let extack = unsafe { ExtAck::from_raw(extack) };
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

    pub(super) unsafe extern "C" fn get_channels(
        dev: *mut nb::net_device,
        ch: *mut nb::ethtool_channels,
    ) {
        // SAFETY: In the callback; `ch` is the caller's own.
        let ((core, rtnl), ch) = unsafe { (Self::enter(dev), &mut *ch) };
        let other = u32::from(core.nic().other_vector().is_some());
        ch.max_combined = D::LIMITS.queues;
        ch.combined_count = core.config(&rtnl).queues;
        ch.max_other = other;
        ch.other_count = other;
    }

    pub(super) unsafe extern "C" fn set_channels(
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

    pub(super) unsafe extern "C" fn get_coalesce(
        dev: *mut nb::net_device,
        coalesce: *mut nb::ethtool_coalesce,
        _kernel: *mut nb::kernel_ethtool_coalesce,
        _extack: *mut nb::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: In the callback; `coalesce` is the caller's own.
        let ((core, _rtnl), coalesce) = unsafe { (Self::enter(dev), &mut *coalesce) };
        let (usecs, adaptive) = core.shared().moderation().get();
        coalesce.rx_coalesce_usecs = usecs;
        coalesce.use_adaptive_rx_coalesce = adaptive.into();
        coalesce.stats_block_coalesce_usecs = STATS_BLOCK;
        0
    }

    pub(super) unsafe extern "C" fn set_coalesce(
        dev: *mut nb::net_device,
        coalesce: *mut nb::ethtool_coalesce,
        _kernel: *mut nb::kernel_ethtool_coalesce,
        extack: *mut nb::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: In the callback; `coalesce` is the caller's own.
        let ((core, rtnl), coalesce) = unsafe { (Self::enter(dev), &*coalesce) };
        // SAFETY: The caller's own, or null.
        let extack = unsafe { ExtAck::from_raw(extack) };
        from_result(|| {
            if coalesce.rx_coalesce_usecs > D::LIMITS.interval {
                return Err(extack.refuse(c"the device cannot hold interrupts back for so long"));
            }
            if coalesce.stats_block_coalesce_usecs != STATS_BLOCK {
                return Err(extack.refuse(c"how often counters are read cannot be set"));
            }
            core.set_moderation(
                coalesce.rx_coalesce_usecs,
                coalesce.use_adaptive_rx_coalesce != 0,
                &rtnl,
            );
            Ok(0)
        })
    }
}
