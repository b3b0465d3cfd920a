// SPDX-License-Identifier: GPL-2.0

//! Time stamps: `ethtool -T`, and with `-I` how many there were.

use kernel::{
    ffi::c_int,
    prelude::*, //
};
use net_bindings as nb;

use super::{
    Core,
    Driver,
    Table, //
};

/// What sockets can ask for: the core adds its own.
const WAYS: u32 = nb::SOF_TIMESTAMPING_TX_SOFTWARE
    | nb::SOF_TIMESTAMPING_TX_HARDWARE
    | nb::SOF_TIMESTAMPING_RX_HARDWARE
    | nb::SOF_TIMESTAMPING_RAW_HARDWARE;

impl<D: Driver> Table<D> {
    pub(super) unsafe extern "C" fn get_ts_info(
        dev: *mut nb::net_device,
        info: *mut nb::kernel_ethtool_ts_info,
    ) -> c_int {
        // SAFETY: In the callback; `info` is the caller's own.
        let ((core, _rtnl), info) = unsafe { (Self::enter(dev), &mut *info) };
        let Some(table) = Core::<D>::CLOCK else {
            return EOPNOTSUPP.to_errno();
        };
        if let Some(index) = core.shared().clock().index() {
            info.phc_index = index;
        }
        info.so_timestamping = WAYS;
        info.tx_types = 1u32 << nb::hwtstamp_tx_types_HWTSTAMP_TX_OFF
            | 1u32 << nb::hwtstamp_tx_types_HWTSTAMP_TX_ON;
        info.rx_filters = table.filters();
        0
    }

    pub(super) unsafe extern "C" fn get_ts_stats(
        dev: *mut nb::net_device,
        out: *mut nb::ethtool_ts_stats,
    ) {
        // SAFETY: In the callback; `out` is the caller's own.
        let ((core, _rtnl), out) = unsafe { (Self::enter(dev), &mut *out) };
        let counts = core.shared().clock().counts();
        out.__bindgen_anon_1.__bindgen_anon_1.pkts = counts.stamped;
        out.__bindgen_anon_1.__bindgen_anon_1.lost = counts.lost;
        out.__bindgen_anon_1.__bindgen_anon_1.err = counts.skipped;
    }
}
