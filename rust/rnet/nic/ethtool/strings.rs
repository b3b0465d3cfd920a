// SPDX-License-Identifier: GPL-2.0

//! What has names: the statistics of queues and device (`ethtool -S`), and self-tests (`-t`).

use core::fmt::Write;

use kernel::{
    ffi::c_int,
    prelude::*,
    str::CStr, //
};
use net_bindings as nb;

use super::{
    Core,
    Driver,
    Table, //
};
use crate::{
    nic::{
        RxStats,
        TxStats, //
    },
    rtnl::Rtnl,
    text::Text, //
};

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
const RX: [Shown<RxStats>; 11] = [
    ("packets", |q| q.packets.get()),
    ("bytes", |q| q.bytes.get()),
    ("dropped", |q| q.dropped.get()),
    ("errors", |q| q.errors.get()),
    ("length_errors", |q| q.length_errors.get()),
    ("csum_err", |q| q.checksum_errors.get()),
    ("alloc_failed", |q| q.no_memory.get()),
    ("doorbells", |q| q.doorbells.get()),
    ("xdp_dropped", |q| q.xdp_dropped.get()),
    ("xdp_sent", |q| q.xdp_sent.get()),
    ("xdp_redirected", |q| q.xdp_redirected.get()),
];

const LEN: usize = nb::ETH_GSTRING_LEN as usize;

/// Fills the places of strings, one after the other.
struct Names<'a>(core::slice::ChunksExactMut<'a, u8>);

impl<'a> Names<'a> {
    /// # Safety
    ///
    /// `out` must have room for `count` strings during `'a`.
    unsafe fn new(out: *mut u8, count: usize) -> Self {
        // SAFETY: By the requirement of this function.
        let out = unsafe { core::slice::from_raw_parts_mut(out, count.wrapping_mul(LEN)) };
        Self(out.chunks_exact_mut(LEN))
    }

    fn put(&mut self, name: core::fmt::Arguments<'_>) {
        let mut text = Text::<LEN>::new();
        // One that is too long is cut.
        let _ = text.write_fmt(name);
        if let Some(place) = self.0.next() {
            place.copy_from_slice(text.bytes());
        }
    }

    fn put_all(&mut self, names: &[&CStr]) {
        for name in names {
            self.put(fmt!("{}", **name));
        }
    }
}

impl<D: Driver> Table<D> {
    /// How many statistics there are.
    fn count(core: &Core<D>, rtnl: &Rtnl) -> usize {
        let queues = core.config(rtnl).queues as usize;
        queues
            .wrapping_mul(TX.len().wrapping_add(RX.len()))
            .wrapping_add(D::COUNTERS.len())
    }

    pub(super) unsafe extern "C" fn get_sset_count(dev: *mut nb::net_device, set: c_int) -> c_int {
        // SAFETY: In the callback.
        let (core, rtnl) = unsafe { Self::enter(dev) };
        match set as u32 {
            nb::ethtool_stringset_ETH_SS_STATS => Self::count(core, &rtnl) as c_int,
            nb::ethtool_stringset_ETH_SS_TEST if D::HAS_SELF_TEST => D::TESTS.len() as c_int,
            _ => EOPNOTSUPP.to_errno(),
        }
    }

    pub(super) unsafe extern "C" fn get_strings(dev: *mut nb::net_device, set: u32, out: *mut u8) {
        // SAFETY: In the callback.
        let (core, rtnl) = unsafe { Self::enter(dev) };
        if set == nb::ethtool_stringset_ETH_SS_TEST {
            // SAFETY: The core has made room for as many strings as `get_sset_count()` says.
            unsafe { Names::new(out, D::TESTS.len()) }.put_all(D::TESTS);
            return;
        }
        if set != nb::ethtool_stringset_ETH_SS_STATS {
            return;
        }
        // SAFETY: The core has made room for as many strings as `get_sset_count()` says under the
        // same RTNL.
        let mut names = unsafe { Names::new(out, Self::count(core, &rtnl)) };
        for queue in 0..core.config(&rtnl).queues {
            for (name, _) in &TX {
                names.put(fmt!("tx_queue_{}_{}", queue, name));
            }
            for (name, _) in &RX {
                names.put(fmt!("rx_queue_{}_{}", queue, name));
            }
        }
        names.put_all(D::COUNTERS);
    }

    pub(super) unsafe extern "C" fn get_ethtool_stats(
        dev: *mut nb::net_device,
        _stats: *mut nb::ethtool_stats,
        out: *mut u64,
    ) {
        // SAFETY: In the callback; the core has made room for as many values as
        // `get_sset_count()` says under the same RTNL.
        let (core, queues, out) = unsafe {
            let (core, rtnl) = Self::enter(dev);
            let len = Self::count(core, &rtnl);
            let queues = core.config(&rtnl).queues as usize;
            (core, queues, core::slice::from_raw_parts_mut(out, len))
        };
        let mut places = out.iter_mut();
        let mut put = |val: u64| {
            if let Some(place) = places.next() {
                *place = val;
            }
        };
        let stats = core.nic().queue_stats();
        for (tx, rx) in stats.tx().zip(stats.rx()).take(queues) {
            TX.iter().for_each(|(_, get)| put(get(tx)));
            RX.iter().for_each(|(_, get)| put(get(rx)));
        }
        if D::HAS_COUNTER {
            (0..D::COUNTERS.len()).for_each(|index| put(core.driver().counter(index)));
        }
    }

    pub(super) unsafe extern "C" fn self_test(
        dev: *mut nb::net_device,
        test: *mut nb::ethtool_test,
        out: *mut u64,
    ) {
        // SAFETY: In the callback; the core has made room for as many values as `get_sset_count()`
        // says, zeroed.
        let (core, rtnl, test, out) = unsafe {
            let (core, rtnl) = Self::enter(dev);
            let out = core::slice::from_raw_parts_mut(out, D::TESTS.len());
            (core, rtnl, &mut *test, out)
        };
        let offline = test.flags & nb::ethtool_test_flags_ETH_TEST_FL_OFFLINE != 0;
        let up = core.is_up(&rtnl);
        let nic = core.nic();
        if offline && up {
            core.down(&rtnl);
        }
        let mut good = true;
        for (index, place) in out.iter_mut().enumerate() {
            let result = core.driver().self_test(&nic, index, offline, up);
            *place = u64::from(result.is_err());
            good &= result.is_ok();
        }
        if offline {
            core.distrust();
            if up && core.up_again(&rtnl).is_err() {
                good = false;
            }
        }
        if !good {
            test.flags |= nb::ethtool_test_flags_ETH_TEST_FL_FAILED;
        }
    }
}
