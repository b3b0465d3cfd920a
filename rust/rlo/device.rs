// SPDX-License-Identifier: GPL-2.0

//! The packet path, and how a namespace gets it.

use kernel::sync::Arc;
use rnet::{
    ethtool::{
        Ethtool,
        EthtoolTable, //
    },
    netdev::{
        PcpuStats,
        TxHook, //
    },
    netns::{
        replace_loopback,
        Kind,
        NetInit,
        Pernet,
        Replaced,
        Slot,
        SlotRef, //
    },
    percpu,
    prelude::*,
    rtnl,
    skb::{
        Disposed,
        IpProtocol,
        Looped,
        TooShort, //
    },
    softq::{
        self,
        QueueCx, //
    },
};

use crate::{
    files,
    state::{
        Mode,
        State, //
    }, //
};

/// The kernel's `lo` has the same: 64 KiB of payload and nothing on top, since nothing is sent.
const MTU: u32 = 65536;

/// The largest TCP packet that may be asked for. C macro: `GSO_MAX_SIZE`.
const TSO_MAX_SIZE: u32 = 8 * 65535;

/// What a packet in memory needs no hardware for. `lo` has the same.
const FEATURES: Features = Features::SG
    .with(Features::FRAGLIST)
    .with(Features::GSO_SOFTWARE)
    .with(Features::HW_CSUM)
    .with(Features::RXCSUM)
    .with(Features::SCTP_CRC)
    .with(Features::HIGHDMA)
    .with(Features::VLAN_CHALLENGED)
    .with(Features::LOOPBACK);

/// How packets come back: turned round, and handed over.
trait Path {
    /// Turns a packet round.
    fn turn<'call>(&self, skb: TxSkb<'call>) -> Result<Looped<'call>, TooShort<'call>>;
    /// Hands it over; false if it was dropped.
    fn deliver<'call>(&self, skb: Looped<'call>) -> (Disposed<'call>, bool);
}

/// Into the backlog, as the kernel's `lo`.
struct ToBacklog<'a, 'b>(&'a XmitCx<'b>);

impl Path for ToBacklog<'_, '_> {
    #[inline(always)]
    fn turn<'call>(&self, skb: TxSkb<'call>) -> Result<Looped<'call>, TooShort<'call>> {
        skb.loop_back(self.0)
    }

    #[inline(always)]
    fn deliver<'call>(&self, skb: Looped<'call>) -> (Disposed<'call>, bool) {
        skb.netif_rx(self.0)
    }
}

/// Into a queue of the device.
struct ToQueue<'a, 'b>(&'a QueueCx<'b>);

impl Path for ToQueue<'_, '_> {
    #[inline(always)]
    fn turn<'call>(&self, skb: TxSkb<'call>) -> Result<Looped<'call>, TooShort<'call>> {
        skb.loop_back_owned(self.0)
    }

    #[inline(always)]
    fn deliver<'call>(&self, skb: Looped<'call>) -> (Disposed<'call>, bool) {
        skb.enqueue(self.0)
    }
}

/// Sends a packet back to this host and counts it, in the order of the kernel's own. Without a
/// state only the kernel's statistics count it. The state is looked up where it is needed, so that
/// no register has to keep it while the packet is turned round, or handed over.
#[inline(always)]
fn loop_back<'call, 's>(
    state: impl Fn() -> Option<&'s State>,
    mut skb: TxSkb<'call>,
    cx: &XmitCx<'_>,
    path: impl Path,
) -> Xmit<'call, NoQueue> {
    let count = |len, ip| {
        if let Some(state) = state() {
            state.count(len, ip);
        }
    };
    let count_drop = || {
        if let Some(state) = state() {
            state.count_drop();
        }
    };

    skb.tx_timestamp(cx);
    let skb = match path.turn(skb) {
        Ok(skb) => skb,
        Err(short) => {
            count(short.len, IpProtocol::NONE);
            count_drop();
            return Xmit::Taken(short.disposed);
        }
    };
    let len = skb.len();
    count(len, skb.ip_protocol());
    let (disposed, accepted) = path.deliver(skb);
    if accepted {
        cx.lstats_add(len);
    } else {
        count_drop();
    }
    Xmit::Taken(disposed)
}

/// Room for a receive queue for each CPU.
fn queues() -> u32 {
    percpu::possible_cpus().fold(0, |most, cpu| cpu.as_u32().saturating_add(1).max(most))
}

/// A loopback device of rlo.
pub(crate) struct Loopback {
    state: Arc<State>,
}

#[vtable]
impl Driver for Loopback {
    type Queueing = NoQueue;
    const LLTX: bool = true;
    const PCPU_STATS: PcpuStats = PcpuStats::Lstats;
    const ETHTOOL: Option<EthtoolTable<Self>> = Some(EthtoolTable::new());

    #[inline]
    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        loop_back(|| Some(&self.state), skb, cx, ToBacklog(cx))
    }

    fn stats64(&self, dev: &Device, stats: &mut LinkStats) {
        let (packets, bytes) = dev.lstats();
        stats
            .rx_packets(packets)
            .tx_packets(packets)
            .rx_bytes(bytes)
            .tx_bytes(bytes);
    }
}

impl softq::Driver for Loopback {
    #[inline]
    fn start_xmit_queued<'call>(
        &self,
        skb: TxSkb<'call>,
        cx: &QueueCx<'_>,
    ) -> Xmit<'call, NoQueue> {
        loop_back(|| Some(&self.state), skb, cx, ToQueue(cx))
    }
}

#[vtable]
impl Ethtool for Loopback {
    fn link(&self, _dev: &Device, _rtnl: &Rtnl) -> bool {
        true
    }
}

/// The transmit path of the kernel's `lo` while it is taken over.
pub(crate) struct Takeover;

impl TxHook for Takeover {
    #[inline]
    fn start_xmit<'call>(skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        // None: a namespace that is ending.
        let state = || State::SLOT.get().get(cx.dev().net(cx), cx);
        loop_back(state, skb, cx, ToBacklog(cx))
    }
}

/// Gives each namespace its device or its switch, once the kernel's `lo` is there.
pub(crate) struct Attach;

static SLOT: Slot<Attach> = Slot::new();

impl Pernet for Attach {
    const KIND: Kind = Kind::Device;
    const SLOT: SlotRef<Self> = SlotRef::new(&SLOT);

    fn init(net: &Net, cx: &NetInit<'_>) -> Result<Arc<Self>> {
        let state = State::SLOT.get().get_arc(net).ok_or(ENODEV)?;

        if cx.is_new() && crate::replace.get() {
            let mut device = Builder::<Loopback>::loopback_queues(c"lo", queues())?
                .mtu(MTU)
                .features(FEATURES)
                .hw_features(Features::GSO_SOFTWARE)
                .tso_max_size(TSO_MAX_SIZE);
            if crate::big_tcp.get() {
                device = device.gso_size(TSO_MAX_SIZE);
            }
            let (device, switch) = device.receive_queues()?;
            let data = Loopback {
                state: state.clone(),
            };
            match replace_loopback(cx, device, data)? {
                Replaced::Yes(_) => state.set_replaced(switch),
                Replaced::No(err) => rnet::net_warn_ratelimited!(
                    "namespace {} keeps the kernel's lo: error {}\n",
                    net.inum(),
                    err.to_errno()
                ),
            }
        }

        let rtnl = rtnl::lock();
        if cx.is_new() && crate::napi.get() && state.mode() == Mode::Replacement {
            state.set_queued(true, &rtnl)?;
        }
        if let Some(dev) = net.loopback(&rtnl) {
            if cx.is_new() && crate::takeover.get() {
                state.set_active(dev, true, &rtnl)?;
            }
            // The namespace works without the files.
            match files::device_dir(cx.ctx(), dev, &state, &rtnl) {
                Ok(dir) => state.keep(dir),
                Err(err) => rnet::net_warn_ratelimited!(
                    "namespace {} has no files of rlo: error {}\n",
                    net.inum(),
                    err.to_errno()
                ),
            }
        }
        Ok(Arc::new(Attach, GFP_KERNEL)?)
    }
}
