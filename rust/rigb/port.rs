// SPDX-License-Identifier: GPL-2.0

//! One port: what the layer calls.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use rnet::{
    napi::Budget,
    nic::{
        self,
        AddressFilter,
        Cause,
        CtrlStats,
        Identity,
        Limits,
        LinkWanted,
        Load,
        MacStats,
        Nic,
        Pause,
        PauseStats,
        Rings,
        RmonStats,
        Wake, //
    },
    pci,
    prelude::*,
    ring::{
        RxPort,
        Segment,
        TxPort, //
    },
    skb::Headers,
    stats::LinkStats, //
};

use crate::{
    clock::{
        self,
        Received, //
    },
    counters::{
        self,
        Counters, //
    },
    desc,
    filter::Tables,
    hw::Hw,
    link::Link,
    offloads,
    packets::{
        self,
        TxState, //
    },
    queues,
    regs::*,
    tests, //
};

/// The data of a port.
pub(crate) struct Port {
    pub(crate) emulated: bool,
    /// How far the network header may be from the start of the frame, in bytes.
    pub(crate) max_network: u32,
    address: Option<[u8; 6]>,
    /// The length of the EEPROM.
    nvm_words: u32,
    wakes: Wake,
    /// What the lights show by themselves.
    lights: u32,
    pub(crate) tables: Tables,
    pub(crate) counters: Counters,
    features: Atomic<u64>,
    /// Vectors of queues, and all of them.
    pub(crate) queue_vectors: Atomic<u32>,
    pub(crate) vectors: Atomic<u32>,
    /// How often the vector of everything else has interrupted.
    pub(crate) others: Atomic<u32>,
    pub(crate) link: Link,
    pub(crate) received: Received,
}

impl Port {
    pub(crate) fn hw<'a>(&self, nic: &Nic<'a>) -> Hw<'a> {
        Hw {
            io: nic.io(),
            emulated: self.emulated,
        }
    }

    pub(crate) fn features(&self) -> Features {
        Features::from_bits(self.features.load(Relaxed))
    }
}

#[vtable]
impl nic::Driver for Port {
    type TxDesc = desc::Tx;
    type RxDesc = desc::Rx;
    type TxState = TxState;

    const NAME: &'static CStr = c"rigb";
    const IDS: &'static [pci::Id] = &[pci::Id {
        vendor: 0x8086,
        device: 0x10c9,
    }];
    const LIMITS: Limits = Limits {
        queues: queues::QUEUES as u32,
        ring: (64, 4096),
        ring_step: 8,
        ring_default: 256,
        rss_table: 128,
        rss_key: 40,
        interval: 0x1fff,
        mtu: (68, 9216),
        bar: 0,
        bar_len: 0x20000,
        alive: 0x0008,
    };

    const CLOCK: Option<nic::ClockTable<Self>> = Some(clock::CLOCK);

    fn tx_tail(queue: u32) -> Option<usize> {
        <Tdt as rnet::mmio::RegisterArray>::offset(queue as usize)
    }

    fn rx_tail(queue: u32) -> Option<usize> {
        <Rdt as rnet::mmio::RegisterArray>::offset(queue as usize)
    }

    fn probe(pci: &pci::Probe<'_>) -> Result<Self> {
        let hw = Hw::of(pci);
        hw.reset()?;
        let address = if hw.nvm_valid()? { hw.address()? } else { None };
        let link = Link::new();
        link.apply(&hw)?;
        Ok(Self {
            emulated: hw.emulated,
            max_network: offloads::max_network(hw.emulated),
            address,
            nvm_words: hw.nvm_words()?,
            wakes: hw.wakes()?,
            lights: hw.lights()?,
            tables: Tables::new()?,
            features: Atomic::new(0),
            queue_vectors: Atomic::new(0),
            vectors: Atomic::new(0),
            others: Atomic::new(0),
            counters: Counters::new(),
            link,
            received: Received::new(hw.emulated),
        })
    }

    fn identity(&self) -> Identity {
        offloads::identity(self.address, self.emulated)
    }

    fn start(&self, nic: &Nic<'_>, rings: &Rings, reset: bool, _rtnl: &Rtnl) -> Result {
        let io = nic.io();
        if reset {
            let hw = self.hw(nic);
            hw.reset()?;
            self.tables.restore(io);
            self.link.apply(&hw)?;
        }
        let features = nic.dev().features();
        self.features.store(features.bits(), Relaxed);
        Tables::own_address(io, nic.address());
        io.update::<Ctrl>(|ctrl| ctrl.with(Ctrl::VME, features.contains(Features::VLAN_RX)))?;
        queues::start(io, rings, nic.rss())?;
        // QEMU has sent what it is told to send when the write to the doorbell returns: there is
        // nothing left to interrupt for.
        let mask = queues::route(nic, rings, !self.emulated);
        let other = nic
            .other_vector()
            .map_or(0, |vector| 1u32 << (vector & 0x1f));
        self.queue_vectors.store(mask, Relaxed);
        self.vectors.store(mask | other, Relaxed);
        nic.with_filter(|filter| self.tables.receive(io, filter, features, true));
        Ok(())
    }

    fn enable(&self, nic: &Nic<'_>) {
        self.switch_on(nic);
    }

    fn disable(&self, nic: &Nic<'_>) {
        self.switch_off(nic);
    }

    fn stop(&self, nic: &Nic<'_>) {
        let io = nic.io();
        nic.with_filter(|filter| self.tables.receive(io, filter, self.features(), false));
        queues::stop(io, queues::QUEUES);
        // A reset may follow.
        let _ = self.counters.collect(io);
    }

    fn remove(&self, nic: &Nic<'_>) {
        self.hw(nic).release();
    }

    #[inline]
    fn start_xmit<'call>(
        &self,
        skb: TxSkb<'call>,
        tx: &mut TxPort<'_, desc::Tx, TxState>,
    ) -> Xmit<'call, Qdisc> {
        self.send(skb, tx)
    }

    fn xdp_descriptor(len: u32, segment: Segment) -> desc::Tx {
        desc::Plan::PLAIN.data(len, segment)
    }

    const XDP_SHORTEST: u32 = packets::SHORTEST;
    const XDP_PIECE: u32 = desc::MAX_PIECE;

    #[inline]
    fn receive(&self, rx: &mut RxPort<'_, desc::Rx>, budget: &mut Budget<'_>) {
        self.take_in(rx, budget);
    }

    fn rearm(&self, nic: &Nic<'_>, vector: u32) {
        self.switch_on_again(nic, vector);
    }

    fn other_interrupt(&self, nic: &Nic<'_>) {
        self.other(nic);
    }

    fn interrupt(&self, nic: &Nic<'_>) -> Cause {
        self.any(nic)
    }

    fn service(&self, nic: &Nic<'_>) -> u32 {
        // A device that is gone has no link; its removal will follow.
        if self.check_link(nic).is_err() && nic.dev().carrier_ok() {
            nic.dev().carrier_off();
        }
        let stats = nic.queue_stats();
        let sent = stats.tx().map(|queue| queue.packets.get());
        let received = stats.rx().map(|queue| queue.packets.get());
        let traffic = Iterator::chain(sent, received).fold(0, u64::wrapping_add);
        let _ = self.counters.service(nic.io(), traffic);
        self.received.service(nic.io());
        1000
    }

    fn is_paused(&self, nic: &Nic<'_>) -> bool {
        matches!(nic.io().read::<Status>(), Ok(status) if status.has(Status::TXOFF))
    }

    fn set_filter(&self, nic: &Nic<'_>, filter: &AddressFilter<'_>) {
        self.tables.apply(nic.io(), filter, self.features());
    }

    fn set_address(&self, nic: &Nic<'_>, addr: [u8; 6]) -> Result {
        Tables::own_address(nic.io(), addr);
        Ok(())
    }

    fn set_vlan(&self, nic: &Nic<'_>, vid: u16, on: bool) -> Result {
        self.tables.set_vlan(nic.io(), vid, on);
        Ok(())
    }

    fn set_features(&self, nic: &Nic<'_>, features: Features) -> Result {
        let io = nic.io();
        self.features.store(features.bits(), Relaxed);
        io.update::<Ctrl>(|ctrl| ctrl.with(Ctrl::VME, features.contains(Features::VLAN_RX)))?;
        nic.with_filter(|filter| self.tables.apply(io, filter, features));
        Ok(())
    }

    fn link_settings(&self, nic: &Nic<'_>) -> Result<nic::LinkSettings> {
        self.settings(nic)
    }

    fn negotiate(&self, nic: &Nic<'_>) -> Result {
        self.link.negotiate(&self.hw(nic))?;
        nic.service_now();
        Ok(())
    }

    fn set_link(&self, nic: &Nic<'_>, wanted: LinkWanted) -> Result {
        self.link.set(&self.hw(nic), wanted)?;
        nic.service_now();
        Ok(())
    }

    fn pause(&self, _nic: &Nic<'_>) -> Pause {
        self.link.pause()
    }

    fn set_pause(&self, nic: &Nic<'_>, pause: Pause) -> Result {
        self.link.set_pause(&self.hw(nic), pause)?;
        nic.service_now();
        Ok(())
    }

    fn wakes(&self) -> (Wake, Wake) {
        // As the firmware has it.
        (self.wakes, self.wakes.common(Wake::MAGIC))
    }

    fn sleep(&self, nic: &Nic<'_>, wake: Wake) {
        self.fall_asleep(nic, wake);
    }

    fn light(&self, nic: &Nic<'_>, on: Option<bool>) -> Result {
        self.hw(nic).light(self.lights, on)
    }

    const UDP_PORTS: bool = true;

    fn set_rss(&self, nic: &Nic<'_>) {
        queues::spread(nic.io(), nic.rss());
    }

    fn set_interval(&self, nic: &Nic<'_>, vector: u32, usecs: u32) {
        // QEMU takes four times as long.
        let usecs = if self.emulated {
            usecs.div_ceil(4)
        } else {
            usecs
        };
        nic.io()
            .write_index(vector as usize, Eitr::new((usecs << 2) & 0x7ffc));
    }

    #[inline]
    fn interval(&self, load: &Load) -> u32 {
        queues::interval(self.emulated, load)
    }

    const COUNTERS: &'static [&'static CStr] = counters::NAMES;

    fn counter(&self, index: usize) -> u64 {
        self.counters.get(index)
    }

    fn mac_stats(&self, stats: &mut MacStats<'_>) {
        self.counters.mac(stats);
    }

    fn ctrl_stats(&self, stats: &mut CtrlStats<'_>) {
        self.counters.ctrl(stats);
    }

    fn rmon_stats(&self, stats: &mut RmonStats<'_>) {
        self.counters.rmon(stats);
    }

    fn pause_stats(&self, stats: &mut PauseStats<'_>) {
        self.counters.pause(stats);
    }

    fn stats64(&self, stats: &mut LinkStats) {
        self.counters.link(stats);
    }

    const TESTS: &'static [&'static CStr] = tests::NAMES;

    fn self_test(&self, nic: &Nic<'_>, index: usize, offline: bool, up: bool) -> Result {
        self.test(nic, index, offline, up)
    }

    const DUMP: usize = tests::DUMPED;

    fn dump(&self, nic: &Nic<'_>, out: &mut [u32]) {
        tests::dump(nic.io(), out);
    }

    fn eeprom_words(&self) -> u32 {
        self.nvm_words
    }

    fn eeprom_word(&self, nic: &Nic<'_>, word: u32) -> Result<u16> {
        self.hw(nic).nvm(word)
    }

    #[inline]
    fn features_check(&self, headers: &Headers, features: Features) -> Features {
        headers.within(features, self.max_network, desc::MAX_TRANSPORT)
    }

    fn fix_features(&self, _dev: &Device, wanted: Features) -> Features {
        offloads::fix(wanted)
    }
}
