// SPDX-License-Identifier: GPL-2.0

//! The statistics of each queue, for netdev-genl (`ynl --family netdev --dump qstats-get`).
//!
//! C header: [`include/net/netdev_queues.h`](srctree/include/net/netdev_queues.h)

use core::marker::PhantomData;

use kernel::ffi::c_int;
use net_bindings as nb;

use super::{
    Core,
    Driver,
    RxStats,
    TxStats, //
};
use crate::netdev;

pub(crate) struct Table<D: Driver>(PhantomData<D>);

fn add_rx(to: &mut nb::netdev_queue_stats_rx, from: &RxStats) {
    let fields = [
        (&mut to.packets, from.packets.get()),
        (&mut to.bytes, from.bytes.get()),
        (&mut to.alloc_fail, from.no_memory.get()),
        (&mut to.csum_bad, from.checksum_errors.get()),
    ];
    for (to, val) in fields {
        *to = to.wrapping_add(val);
    }
}

/// The caller has filled all of them with what stands for "unknown".
fn clear_rx(stats: &mut nb::netdev_queue_stats_rx) {
    (stats.packets, stats.bytes) = (0, 0);
    (stats.alloc_fail, stats.csum_bad) = (0, 0);
}

fn clear_tx(stats: &mut nb::netdev_queue_stats_tx) {
    (stats.packets, stats.bytes) = (0, 0);
    (stats.hw_gso_packets, stats.hw_gso_wire_packets) = (0, 0);
    stats.hw_gso_wire_bytes = 0;
    (stats.stop, stats.wake) = (0, 0);
}

fn add_tx(to: &mut nb::netdev_queue_stats_tx, from: &TxStats) {
    let fields = [
        (&mut to.packets, from.packets.get()),
        (&mut to.bytes, from.bytes.get()),
        (&mut to.hw_gso_packets, from.segmented.get()),
        (&mut to.hw_gso_wire_packets, from.segments.get()),
        (&mut to.hw_gso_wire_bytes, from.segment_bytes.get()),
        (&mut to.stop, from.stopped.get()),
        (&mut to.wake, from.woken.get()),
    ];
    for (to, val) in fields {
        *to = to.wrapping_add(val);
    }
}

impl<D: Driver> Table<D> {
    pub(crate) const OPS: &'static nb::netdev_stat_ops = &nb::netdev_stat_ops {
        get_queue_stats_rx: Some(Self::rx),
        get_queue_stats_tx: Some(Self::tx),
        get_base_stats: Some(Self::base),
    };

    unsafe extern "C" fn rx(
        dev: *mut nb::net_device,
        queue: c_int,
        stats: *mut nb::netdev_queue_stats_rx,
    ) {
        // SAFETY: Called under RTNL on a registered device of `D`; `stats` is the caller's own.
        let (core, stats) = unsafe { (netdev::data::<Core<D>>(dev), &mut *stats) };
        let queue = usize::try_from(queue).unwrap_or(usize::MAX);
        if let Some(from) = core.nic().queue_stats().rx().nth(queue) {
            clear_rx(stats);
            add_rx(stats, from);
        }
    }

    unsafe extern "C" fn tx(
        dev: *mut nb::net_device,
        queue: c_int,
        stats: *mut nb::netdev_queue_stats_tx,
    ) {
        // SAFETY: Called under RTNL on a registered device of `D`; `stats` is the caller's own.
        let (core, stats) = unsafe { (netdev::data::<Core<D>>(dev), &mut *stats) };
        let queue = usize::try_from(queue).unwrap_or(usize::MAX);
        if let Some(from) = core.nic().queue_stats().tx().nth(queue) {
            clear_tx(stats);
            add_tx(stats, from);
        }
    }

    /// What queues counted that are not in use now.
    unsafe extern "C" fn base(
        dev: *mut nb::net_device,
        rx: *mut nb::netdev_queue_stats_rx,
        tx: *mut nb::netdev_queue_stats_tx,
    ) {
        // SAFETY: Called under RTNL on a registered device of `D`; the structures are the caller's
        // own.
        let (core, rx, tx, used) = unsafe {
            (
                netdev::data::<Core<D>>(dev),
                &mut *rx,
                &mut *tx,
                nb::netdev_real_num_tx_queues(dev) as usize,
            )
        };
        clear_rx(rx);
        clear_tx(tx);
        let nic = core.nic();
        nic.queue_stats()
            .rx()
            .skip(used)
            .for_each(|q| add_rx(rx, q));
        nic.queue_stats()
            .tx()
            .skip(used)
            .for_each(|q| add_tx(tx, q));
    }
}
