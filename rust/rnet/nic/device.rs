// SPDX-License-Identifier: GPL-2.0

//! The network device of a NIC.

use kernel::prelude::*;

use super::{
    core::{
        Config,
        Core, //
    },
    AddressFilter,
    Driver, //
};
use crate::{
    ethtool::EthtoolTable,
    netdev::{
        self,
        Device,
        Features,
        PcpuStats, //
    },
    netlink::ExtAck,
    rtnl::Rtnl,
    skb::{
        DropReason,
        Headers,
        Qdisc,
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

// Without `#[vtable]`, which would claim every method, whatever the driver has.
impl<D: Driver> netdev::Driver for Core<D> {
    const USE_VTABLE_ATTR: () = ();

    type OwnerModule = D::OwnerModule;
    type Queueing = Qdisc;

    const LLTX: bool = false;
    const PCPU_STATS: PcpuStats = PcpuStats::None;
    const LIVE_ADDR_CHANGE: bool = true;
    const ETHTOOL: Option<EthtoolTable<Self>> =
        Some(EthtoolTable::from_raw(super::ethtool::Table::<D>::OPS));

    const HAS_START_XMIT: bool = true;
    const HAS_OPEN: bool = true;
    const HAS_STOP: bool = true;
    const HAS_STATS64: bool = true;
    const HAS_CHANGE_MTU: bool = true;
    const HAS_FIX_FEATURES: bool = D::HAS_FIX_FEATURES;
    const HAS_FEATURES_CHECK: bool = D::HAS_FEATURES_CHECK;
    const HAS_SET_FEATURES: bool = true;
    const HAS_SET_RX_MODE: bool = true;
    const HAS_QUIESCE: bool = true;
    const HAS_SET_ADDRESS: bool = true;
    const HAS_SET_VLAN: bool = true;
    const HAS_TX_TIMEOUT: bool = true;
    const HAS_SET_XDP: bool = D::HAS_XDP_DESCRIPTOR;
    const HAS_XDP_XMIT: bool = D::HAS_XDP_DESCRIPTOR;
    const HAS_STAMPS: bool = Self::CLOCK.is_some();
    const HAS_SET_STAMPS: bool = Self::CLOCK.is_some();

    #[inline]
    fn start_xmit<'call>(&self, skb: TxSkb<'call>, _cx: &XmitCx<'_>) -> Xmit<'call, Qdisc> {
        let queue = skb.queue() as usize;
        // SAFETY: In a transmit callback.
        let running = unsafe { self.running() };
        let Some(queues) = running.and_then(|running| running.queues.get(queue)) else {
            return Xmit::Taken(skb.drop_with(DropReason::DEV_READY));
        };
        // SAFETY: In the transmit callback of this queue, whose lock is held since the device is
        // not LLTX; the core locks the queue that the packet is mapped to.
        let mut port = unsafe { queues.tx_port(self.nic()) };
        self.driver().start_xmit(skb, &mut port)
    }

    fn open(&self, _dev: &Device, rtnl: &Rtnl) -> Result {
        self.up(rtnl)
    }

    fn quiesce(&self, _dev: &Device, rtnl: &Rtnl) {
        self.quiesce_with(rtnl);
    }

    fn stop(&self, _dev: &Device, rtnl: &Rtnl) {
        self.finish_with(rtnl);
    }

    fn stats64(&self, _dev: &Device, stats: &mut LinkStats) {
        self.shared().queue_stats().fold(stats);
        if D::HAS_STATS64 {
            self.driver().stats64(stats);
        }
    }

    fn change_mtu(&self, _dev: &Device, mtu: u32, rtnl: &Rtnl) -> Result {
        let config = Config {
            mtu,
            ..self.config(rtnl)
        };
        self.check_program(&config, rtnl)?;
        self.reconfigure(&config, rtnl)
    }

    fn fix_features(&self, dev: &Device, wanted: Features, _rtnl: &Rtnl) -> Features {
        self.driver().fix_features(dev, wanted)
    }

    fn set_features(&self, _dev: &Device, features: Features, _rtnl: &Rtnl) -> Result {
        let _awake = self.shared().awake()?;
        self.driver().set_features(&self.nic(), features)
    }

    fn features_check(&self, headers: &Headers, features: Features) -> Features {
        self.driver().features_check(headers, features)
    }

    fn set_rx_mode(&self, dev: &Device) {
        let Some(raw) = core::ptr::NonNull::new(dev.as_raw()) else {
            return;
        };
        // SAFETY: In `ndo_set_rx_mode`: the address lock is held.
        let filter = unsafe { AddressFilter::new(raw) };
        self.driver().set_filter(&self.nic(), &filter);
    }

    fn set_address(&self, _dev: &Device, addr: [u8; 6], _rtnl: &Rtnl) -> Result {
        let _awake = self.shared().awake()?;
        self.driver().set_address(&self.nic(), addr)
    }

    fn set_vlan(&self, _dev: &Device, vid: u16, on: bool, _rtnl: &Rtnl) -> Result {
        let _awake = self.shared().awake()?;
        self.driver().set_vlan(&self.nic(), vid, on)
    }

    fn set_xdp(
        &self,
        _dev: &Device,
        program: Option<Program>,
        extack: &ExtAck<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        self.exchange_program(program, extack, rtnl)
    }

    fn xdp_xmit(&self, _dev: &Device, frames: &mut Frames<'_>) -> Result {
        self.send_frames(frames)
    }

    fn stamps(&self, _dev: &Device, rtnl: &Rtnl) -> Result<StampConfig> {
        Ok(self.stamp_config(rtnl))
    }

    fn set_stamps(
        &self,
        _dev: &Device,
        wanted: StampConfig,
        _extack: &ExtAck<'_>,
        rtnl: &Rtnl,
    ) -> Result<StampConfig> {
        self.change_stamps(wanted, rtnl)
    }

    fn tx_timeout(&self, dev: &Device, queue: u32) {
        pr_warn!(
            "{}: transmit queue {} timed out: starting again\n",
            dev,
            queue
        );
        self.shared().recover();
    }
}
