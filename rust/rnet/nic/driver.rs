// SPDX-License-Identifier: GPL-2.0

//! What a driver of a NIC implements.

use kernel::{
    error::VTABLE_DEFAULT_ERROR,
    prelude::*,
    str::CStr, //
};
use net_bindings as nb;

use super::{
    AddressFilter,
    ClockTable,
    CtrlStats,
    LinkSettings,
    LinkWanted,
    Load,
    MacStats,
    Nic,
    Pause,
    PauseStats,
    Rings,
    RmonStats,
    Wake, //
};
use crate::{
    dma::Descriptor,
    napi::Budget,
    netdev::{
        Device,
        Features, //
    },
    pci,
    ring::{
        RxDescriptor,
        RxPort,
        Segment,
        TxPort, //
    },
    rtnl::Rtnl,
    skb::{
        Headers,
        Qdisc,
        TxSkb,
        Xmit, //
    },
    stats::LinkStats,
};

/// What a device can have.
pub struct Limits {
    /// The most queue pairs.
    pub queues: u32,
    /// The shortest and the longest ring, in descriptors.
    pub ring: (u32, u32),
    /// Rings have a multiple of this many descriptors.
    pub ring_step: u32,
    /// The length of rings at first.
    pub ring_default: u32,
    /// The entries of the table that spreads received frames over queues.
    pub rss_table: u32,
    /// The length of the key of the hash that does so, in bytes.
    pub rss_key: u32,
    /// The longest time that interrupts can be held back, in microseconds.
    pub interval: u32,
    /// The smallest and the largest MTU, in bytes.
    pub mtu: (u32, u32),
    /// The memory BAR with the registers.
    pub bar: u32,
    /// How large it has to be at least, in bytes.
    pub bar_len: usize,
    /// The offset of a register that is never all ones while the device is there.
    pub alive: usize,
}

/// What the device is, for the stack.
pub struct Identity {
    /// The MAC address; `None` for a random one, which is said in the log.
    pub address: Option<[u8; 6]>,
    /// The offloads that are on at the start.
    pub features: Features,
    /// The offloads that can be switched.
    pub hw_features: Features,
    /// The offloads that VLAN devices can use.
    pub vlan_features: Features,
    /// The offloads that packets in a tunnel can use.
    pub tunnel_features: Features,
    /// What the device can cut only when the stack has prepared the packet for it.
    pub partial_features: Features,
}

/// Whose interrupt it was, where all come on one vector.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Another device's.
    NotOurs,
    /// Ours, and not of the queues.
    Other,
    /// Ours, and of the queues: they are polled.
    Queues,
}

/// A driver of a PCI NIC: the data of one port, and what the layer calls.
///
/// The layer owns the network device, the rings, the NAPIs, the interrupts and the mapping of the
/// registers, and the order in which they end. The driver keeps what it knows about the hardware.
/// Everything that a callback needs is lent to it as [`Nic`].
#[vtable]
pub trait Driver: Sized + Send + Sync + 'static {
    /// What a transmit descriptor looks like.
    type TxDesc: Descriptor;

    /// What a receive descriptor looks like.
    type RxDesc: RxDescriptor;

    /// What the driver keeps for each transmit queue, new each time the device goes up.
    type TxState: Default + Send + 'static;

    /// The driver's name, as in `/sys/bus/pci/drivers/`.
    const NAME: &'static CStr;

    /// The devices it can drive.
    const IDS: &'static [pci::Id];

    /// What the hardware can have.
    const LIMITS: Limits;

    /// The clock with which the device stamps packets. See [`Clock`](super::Clock).
    const CLOCK: Option<ClockTable<Self>> = None;

    /// Whether transmit tails are at this offset. `None` for a queue that is not there.
    fn tx_tail(queue: u32) -> Option<usize>;

    /// Whether receive tails are at this offset. `None` for a queue that is not there.
    fn rx_tail(queue: u32) -> Option<usize>;

    /// Resets and examines the device. No DMA, no interrupts yet. Process context.
    fn probe(pci: &pci::Probe<'_>) -> Result<Self>;

    /// What the stack is told about it.
    fn identity(&self) -> Identity;

    /// The device goes up: it is reset and told its rings, which are empty (transmit) or filled
    /// (receive) and not rung yet. Interrupts stay off. With `reset`, nothing is known about the
    /// state of the device: somebody has reset it, or it does not do what it should. RTNL; may
    /// sleep.
    fn start(&self, nic: &Nic<'_>, rings: &Rings, reset: bool, rtnl: &Rtnl) -> Result;

    /// Everything is ready: interrupts on. RTNL; may sleep.
    fn enable(&self, nic: &Nic<'_>);

    /// The device goes down: interrupts off. No queue is polled any more when it returns, since
    /// the layer waits. RTNL; may sleep.
    fn disable(&self, nic: &Nic<'_>);

    /// The device goes down: no more DMA. Also called after a [`start`](Self::start) that failed.
    /// The layer switches off bus mastering after that. RTNL; may sleep.
    fn stop(&self, nic: &Nic<'_>);

    /// The driver lets go of the device. Process context.
    fn remove(&self, nic: &Nic<'_>);

    /// Sends a packet. The queue's lock is held, softirqs are off.
    fn start_xmit<'call>(
        &self,
        skb: TxSkb<'call>,
        tx: &mut TxPort<'_, Self::TxDesc, Self::TxState>,
    ) -> Xmit<'call, Qdisc>;

    /// Receives. Softirq, in the poll function of the queue's NAPI.
    fn receive(&self, rx: &mut RxPort<'_, Self::RxDesc>, budget: &mut Budget<'_>);

    /// Switches the interrupt of a vector on again, after its NAPI has completed. Softirq.
    fn rearm(&self, nic: &Nic<'_>, vector: u32);

    /// An interrupt that is not of a queue, on a vector of its own. Hard interrupt.
    fn other_interrupt(&self, nic: &Nic<'_>);

    /// An interrupt where there is one vector for everything. Where it was the queues', the driver
    /// has switched it off until [`rearm`](Self::rearm). Hard interrupt.
    fn interrupt(&self, nic: &Nic<'_>) -> Cause;

    /// The descriptor of a piece of a frame of `len` bytes that a program sends, as it is: no
    /// offloads, no VLAN tag. Softirq, with the queue's lock held. With it, the device takes
    /// programs (XDP), and frames of others. C callbacks: `ndo_bpf`, `ndo_xdp_xmit`.
    fn xdp_descriptor(_len: u32, _segment: Segment) -> Self::TxDesc {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The shortest frame that the device can send, in bytes; shorter ones of programs get zeros
    /// behind them.
    const XDP_SHORTEST: u32 = nb::ETH_HLEN;

    /// The longest piece for [`xdp_descriptor`](Self::xdp_descriptor), in bytes.
    const XDP_PIECE: u32 = nb::PAGE_SIZE as u32;

    /// What is to be done from time to time while the device is up: the time until the next one,
    /// in milliseconds. Process context, may sleep, must not take RTNL.
    fn service(&self, nic: &Nic<'_>) -> u32;

    /// The receive filter has changed. The address lock is held, softirqs are off; not called while
    /// the device is down.
    fn set_filter(&self, nic: &Nic<'_>, filter: &AddressFilter<'_>);

    /// The MAC address has become `addr`. RTNL.
    fn set_address(&self, nic: &Nic<'_>, addr: [u8; 6]) -> Result;

    /// Frames of VLAN `vid` are to come in, or no longer. RTNL; also while the device is down.
    fn set_vlan(&self, nic: &Nic<'_>, vid: u16, on: bool) -> Result;

    /// Switches the hardware to `features`. RTNL; also while the device is down.
    fn set_features(&self, nic: &Nic<'_>, features: Features) -> Result;

    /// Whether the device does not send because its partner has asked for silence (PAUSE). Asked
    /// only about a queue that does not move. Process context. Without it: never.
    fn is_paused(&self, _nic: &Nic<'_>) -> bool {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Removes offloads from `wanted` that cannot be had together. RTNL.
    fn fix_features(&self, _dev: &Device, _wanted: Features) -> Features {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Which of `features` the device can do for a packet with these headers:
    /// [`Headers::within`] for most. Softirqs off; must not sleep.
    fn features_check(&self, _headers: &Headers, _features: Features) -> Features {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// What `ethtool` without options shows. RTNL; may sleep. C callback: `get_link_ksettings`.
    fn link_settings(&self, _nic: &Nic<'_>) -> Result<LinkSettings> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Negotiates the link anew. RTNL; may sleep. C callback: `nway_reset`.
    fn negotiate(&self, _nic: &Nic<'_>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Sets the link. RTNL; may sleep; also while the device is down. C callback:
    /// `set_link_ksettings`. Errors: `EINVAL` for what the device cannot.
    fn set_link(&self, _nic: &Nic<'_>, _wanted: LinkWanted) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// How PAUSE frames are used. RTNL. C callback: `get_pauseparam`.
    fn pause(&self, _nic: &Nic<'_>) -> Pause {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Sets how PAUSE frames are used. RTNL; may sleep; also while the device is down. C callback:
    /// `set_pauseparam`.
    fn set_pause(&self, _nic: &Nic<'_>, _pause: Pause) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Switches a light on or off, by which the port is found; `None`: as it was. RTNL; may sleep.
    /// C callback: `set_phys_id`.
    fn light(&self, _nic: &Nic<'_>, _on: Option<bool>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// [`Nic::rss`] has changed while the device is up. RTNL. C callback: `set_rxfh`.
    fn set_rss(&self, _nic: &Nic<'_>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Whether [`Rss::udp_ports`](super::Rss::udp_ports) can be chosen. The ports of TCP are in the
    /// hash, those of other protocols are not.
    const UDP_PORTS: bool = false;

    /// Interrupts of `vector` are to be `usecs` microseconds apart at least; 0 for no limit. RTNL,
    /// or softirq in the poll function of the vector.
    fn set_interval(&self, _nic: &Nic<'_>, _vector: u32, _usecs: u32) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// What [`set_interval`](Self::set_interval) is best called with under this load. Softirq.
    fn interval(&self, _load: &Load) -> u32 {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// What can wake the machine, and what does so at first. C callback: `get_wol`.
    fn wakes(&self) -> (Wake, Wake) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The machine is about to sleep, or to be switched off: the device, which is down, is told
    /// what wakes it. When it is awake again, [`start`](Self::start) is told to reset it. RTNL.
    fn sleep(&self, _nic: &Nic<'_>, _wake: Wake) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The names of what the device counts itself, at most 31 bytes each: `ethtool -S`.
    const COUNTERS: &'static [&'static CStr] = &[];

    /// The value of each of [`COUNTERS`](Self::COUNTERS), without reading registers. RTNL.
    fn counter(&self, _index: usize) -> u64 {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// What the MAC counts, without reading registers. RTNL. C callback: `get_eth_mac_stats`.
    fn mac_stats(&self, _stats: &mut MacStats<'_>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// What the MAC counts of control frames, without reading registers. RTNL. C callback:
    /// `get_eth_ctrl_stats`.
    fn ctrl_stats(&self, _stats: &mut CtrlStats<'_>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Frames by size, without reading registers. RTNL. C callback: `get_rmon_stats`.
    fn rmon_stats(&self, _stats: &mut RmonStats<'_>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// PAUSE frames, without reading registers. RTNL. C callback: `get_pause_stats`.
    fn pause_stats(&self, _stats: &mut PauseStats<'_>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The names of the self-tests, at most 31 bytes each: `ethtool -t`.
    const TESTS: &'static [&'static CStr] = &[];

    /// Runs one of [`TESTS`](Self::TESTS). With `offline` the device has been taken down, and is
    /// reset after all tests; `up` says whether it was up before. RTNL; may sleep. C callback:
    /// `self_test`.
    fn self_test(&self, _nic: &Nic<'_>, _index: usize, _offline: bool, _up: bool) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// How many registers [`dump`](Self::dump) shows.
    const DUMP: usize = 0;

    /// Fills in the values of registers: `ethtool -d`. Must read none whose reading changes
    /// anything. RTNL; may sleep. C callback: `get_regs`.
    fn dump(&self, _nic: &Nic<'_>, _out: &mut [u32]) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The length of the EEPROM, in words of 16 bits.
    fn eeprom_words(&self) -> u32 {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A word of the EEPROM: `ethtool -e`. RTNL; may sleep. C callback: `get_eeprom`.
    fn eeprom_word(&self, _nic: &Nic<'_>, _word: u32) -> Result<u16> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Adds what the device counts itself to the standard counters, without reading registers. Any
    /// context; must not sleep.
    fn stats64(&self, _stats: &mut LinkStats) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}
