// SPDX-License-Identifier: GPL-2.0

//! What a driver implements.

use kernel::{
    error::VTABLE_DEFAULT_ERROR,
    prelude::*, //
};
use net_bindings as nb;

use super::{
    Device,
    Features, //
};
use crate::{
    ethtool::EthtoolTable,
    netlink::ExtAck,
    rtnl::Rtnl,
    skb::{
        Headers,
        Queueing,
        TxSkb,
        Xmit,
        XmitCx, //
    },
    stamps::StampConfig,
    stats::LinkStats,
    xdp::{
        Frames,
        Program, //
    },
};

/// Which per-CPU statistics the core keeps for the device. C type: `enum netdev_stat_type`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PcpuStats {
    /// None: the driver counts itself and implements [`Driver::stats64`].
    None,
    /// Packets and bytes in one direction (`lstats`), added with
    /// [`XmitCx::lstats_add`](crate::skb::XmitCx::lstats_add) and reported by
    /// [`Driver::stats64`] ([`Device::lstats`]): the core does not do that by itself.
    Lstats,
}

impl PcpuStats {
    pub(crate) fn as_raw(self) -> nb::netdev_stat_type {
        match self {
            PcpuStats::None => nb::netdev_stat_type_NETDEV_PCPU_STAT_NONE,
            PcpuStats::Lstats => nb::netdev_stat_type_NETDEV_PCPU_STAT_LSTATS,
        }
    }
}

/// A driver of a network device: the data of one device and what the core calls.
///
/// Methods that are not implemented leave their entry in the C table empty, so the core does what
/// it does for any driver without them. C type: `struct net_device_ops`.
///
/// # Examples
///
/// ```ignore
/// use rnet::prelude::*;
///
/// struct Hole;
///
/// #[vtable]
/// impl Driver for Hole {
///     type Queueing = NoQueue;
///     const LLTX: bool = true;
///
///     fn start_xmit<'call>(
///         &self,
///         skb: TxSkb<'call>,
///         _cx: &XmitCx<'_>,
///     ) -> Xmit<'call, NoQueue> {
///         Xmit::Taken(skb.consume())
///     }
/// }
/// ```
#[vtable]
pub trait Driver: Sized + Send + Sync + 'static {
    /// Whether the device has a queue discipline: [`Qdisc`](crate::skb::Qdisc) or
    /// [`NoQueue`](crate::skb::NoQueue).
    type Queueing: Queueing;

    /// Transmit without the core's transmit lock: any number of CPUs at once. C member:
    /// `dev->lltx`.
    const LLTX: bool = false;

    /// What the core counts per CPU.
    const PCPU_STATS: PcpuStats = PcpuStats::None;

    /// Whether the MAC address can be changed, also while the device is up. C function:
    /// `eth_mac_addr()`, with `IFF_LIVE_ADDR_CHANGE`.
    const LIVE_ADDR_CHANGE: bool = true;

    /// What ethtool can ask. See [`ethtool`](crate::ethtool).
    const ETHTOOL: Option<EthtoolTable<Self>> = None;

    /// Sends a packet. Softirqs off, RCU read side; must not sleep. With
    /// [`LLTX`](Self::LLTX) on any number of CPUs at once, and netpoll may call it with interrupts
    /// off. Without a queue discipline it may still be called on other CPUs while
    /// the device is being closed, but never once [`stop`](Self::stop) runs. C callback:
    /// `ndo_start_xmit`.
    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, Self::Queueing>;

    /// The device goes up. RTNL; may sleep. Transmit queues are started after it succeeded. C
    /// callback: `ndo_open`.
    fn open(&self, _dev: &Device, _rtnl: &Rtnl) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The device goes down. RTNL; may sleep. No transmit callback runs any more: the layer has
    /// stopped the queues and waited (`synchronize_net()`). C callback: `ndo_stop`.
    fn stop(&self, _dev: &Device, _rtnl: &Rtnl) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Fills in the standard counters. Any context, must not sleep, from registration until after
    /// unregistration. C callback: `ndo_get_stats64`.
    fn stats64(&self, _dev: &Device, _stats: &mut LinkStats) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The MTU is to become `mtu` bytes, already checked against the device's range. RTNL; may
    /// sleep. The layer sets it after success. C callback: `ndo_change_mtu`.
    fn change_mtu(&self, _dev: &Device, _mtu: u32, _rtnl: &Rtnl) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Removes offloads from `wanted` that cannot be had together. RTNL. C callback:
    /// `ndo_fix_features`.
    fn fix_features(&self, _dev: &Device, _wanted: Features, _rtnl: &Rtnl) -> Features {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Switches the hardware to `features`. RTNL; may sleep. C callback: `ndo_set_features`.
    fn set_features(&self, _dev: &Device, _features: Features, _rtnl: &Rtnl) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Which of `features` the device can do for a packet with these headers. Softirqs off; must
    /// not sleep. Without it: all that the core's own check leaves. C callback:
    /// `ndo_features_check`.
    fn features_check(&self, _headers: &Headers, _features: Features) -> Features {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The receive filter (addresses, promiscuity) has changed. The address lock is held, softirqs
    /// off; must not sleep. C callback: `ndo_set_rx_mode`.
    fn set_rx_mode(&self, _dev: &Device) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The device goes down, and packets may still come to be sent. RTNL; may sleep. Here ends what
    /// could start transmit queues again; then the layer stops them and calls
    /// [`stop`](Self::stop). First half of the C callback `ndo_stop`.
    fn quiesce(&self, _dev: &Device, _rtnl: &Rtnl) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The MAC address is to become `addr`, a valid one. RTNL; may sleep. The layer sets it after
    /// success. C callback: `ndo_set_mac_address`.
    fn set_address(&self, _dev: &Device, _addr: [u8; 6], _rtnl: &Rtnl) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Frames of VLAN `vid` are to come in (`on`), or no longer. RTNL; may sleep. C callbacks:
    /// `ndo_vlan_rx_add_vid`, `ndo_vlan_rx_kill_vid`.
    fn set_vlan(&self, _dev: &Device, _vid: u16, _on: bool, _rtnl: &Rtnl) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The device is to show the frames that come in to `program`, or to none any more. Without
    /// an error the program is the driver's until it is called again; an error leaves all as it
    /// was. RTNL; may sleep. C callback: `ndo_bpf`, `XDP_SETUP_PROG`.
    fn set_xdp(
        &self,
        _dev: &Device,
        _program: Option<Program>,
        _extack: &ExtAck<'_>,
        _rtnl: &Rtnl,
    ) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Frames that came in elsewhere are to leave through this device: the driver takes as many as
    /// it has room for, and sends them. Softirqs off, RCU read side; must not sleep. C callback:
    /// `ndo_xdp_xmit`.
    fn xdp_xmit(&self, _dev: &Device, _frames: &mut Frames<'_>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// What the device stamps with the time. RTNL. C callback: `ndo_hwtstamp_get`. Errors:
    /// `EOPNOTSUPP`.
    fn stamps(&self, _dev: &Device, _rtnl: &Rtnl) -> Result<StampConfig> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Sets what the device stamps: at least what is wanted, which is returned. RTNL; may sleep. C
    /// callback: `ndo_hwtstamp_set`. Errors: `ERANGE` for what the device cannot; `EOPNOTSUPP`.
    fn set_stamps(
        &self,
        _dev: &Device,
        _wanted: StampConfig,
        _extack: &ExtAck<'_>,
        _rtnl: &Rtnl,
    ) -> Result<StampConfig> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Transmit queue `queue` was stopped for too long. Softirq; must not sleep. C callback:
    /// `ndo_tx_timeout`.
    fn tx_timeout(&self, _dev: &Device, _queue: u32) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}
