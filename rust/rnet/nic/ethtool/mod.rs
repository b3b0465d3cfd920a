// SPDX-License-Identifier: GPL-2.0

//! ethtool on NICs.
//!
//! Rings, channels and the statistics of queues belong to the layer, and so do the answers about
//! them: what cannot be is refused with a message, never rounded, and the counters go on. The
//! driver is asked about the link and what the device itself counts. Everything runs under RTNL, since the devices of the layer
//! have no instance lock.

mod dumps;
mod groups;
mod link;
mod rss;
mod stamps;
mod strings;
mod tuning;

pub use groups::{
    CtrlStats,
    MacStats,
    PauseStats,
    RmonStats, //
};

use core::marker::PhantomData;

use net_bindings as nb;
use pin_init::zeroed;

use super::{
    core::{
        Config,
        Core, //
    },
    Driver, //
};
use crate::{
    netdev,
    rtnl::Rtnl, //
};

/// An entry of the table that is there only if the driver has what it needs.
macro_rules! some {
    ($has:expr, $func:expr) => {
        if $has {
            Some($func)
        } else {
            None
        }
    };
}

pub(super) struct Table<D: Driver>(PhantomData<D>);

impl<D: Driver> Table<D> {
    pub(super) const OPS: &'static nb::ethtool_ops = &nb::ethtool_ops {
        supported_coalesce_params: if D::HAS_SET_INTERVAL {
            nb::ETHTOOL_COALESCE_RX_USECS
                | nb::ETHTOOL_COALESCE_USE_ADAPTIVE_RX
                | nb::ETHTOOL_COALESCE_STATS_BLOCK_USECS
        } else {
            0
        },
        get_link: Some(nb::ethtool_op_get_link),
        get_ts_info: if Core::<D>::CLOCK.is_some() {
            Some(Self::get_ts_info)
        } else {
            Some(nb::ethtool_op_get_ts_info)
        },
        get_ts_stats: some!(Core::<D>::CLOCK.is_some(), Self::get_ts_stats),
        get_ringparam: Some(Self::get_ringparam),
        set_ringparam: Some(Self::set_ringparam),
        get_channels: Some(Self::get_channels),
        set_channels: Some(Self::set_channels),
        get_sset_count: Some(Self::get_sset_count),
        get_strings: Some(Self::get_strings),
        get_ethtool_stats: Some(Self::get_ethtool_stats),
        get_rx_ring_count: Some(Self::get_rx_ring_count),
        get_link_ksettings: some!(D::HAS_LINK_SETTINGS, Self::get_link_ksettings),
        set_link_ksettings: some!(D::HAS_SET_LINK, Self::set_link_ksettings),
        nway_reset: some!(D::HAS_NEGOTIATE, Self::nway_reset),
        get_pauseparam: some!(D::HAS_PAUSE, Self::get_pauseparam),
        set_pauseparam: some!(D::HAS_SET_PAUSE, Self::set_pauseparam),
        get_wol: some!(D::HAS_WAKES, Self::get_wol),
        set_wol: some!(D::HAS_WAKES && D::HAS_SLEEP, Self::set_wol),
        set_phys_id: some!(D::HAS_LIGHT, Self::set_phys_id),
        get_coalesce: some!(D::HAS_SET_INTERVAL, Self::get_coalesce),
        set_coalesce: some!(D::HAS_SET_INTERVAL, Self::set_coalesce),
        get_rxfh_indir_size: some!(D::HAS_SET_RSS, Self::get_rxfh_indir_size),
        get_rxfh_key_size: some!(D::HAS_SET_RSS, Self::get_rxfh_key_size),
        get_rxfh: some!(D::HAS_SET_RSS, Self::get_rxfh),
        set_rxfh: some!(D::HAS_SET_RSS, Self::set_rxfh),
        get_rxfh_fields: some!(D::HAS_SET_RSS, Self::get_rxfh_fields),
        set_rxfh_fields: some!(D::HAS_SET_RSS && D::UDP_PORTS, Self::set_rxfh_fields),
        get_eth_mac_stats: some!(D::HAS_MAC_STATS, Self::get_eth_mac_stats),
        get_eth_ctrl_stats: some!(D::HAS_CTRL_STATS, Self::get_eth_ctrl_stats),
        get_rmon_stats: some!(D::HAS_RMON_STATS, Self::get_rmon_stats),
        get_pause_stats: some!(D::HAS_PAUSE_STATS, Self::get_pause_stats),
        self_test: some!(D::HAS_SELF_TEST, Self::self_test),
        get_regs_len: some!(D::HAS_DUMP, Self::get_regs_len),
        get_regs: some!(D::HAS_DUMP, Self::get_regs),
        get_eeprom_len: some!(
            D::HAS_EEPROM_WORD && D::HAS_EEPROM_WORDS,
            Self::get_eeprom_len
        ),
        get_eeprom: some!(D::HAS_EEPROM_WORD, Self::get_eeprom),
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
}
