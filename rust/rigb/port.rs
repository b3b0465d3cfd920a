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
        Identity,
        Limits,
        Mode,
        Nic,
        Rings, //
    },
    pci,
    prelude::*,
    ring::{
        RxPort,
        TxPort, //
    },
    skb::Wanted,
};

use crate::{
    desc::{
        self,
        Plan, //
    },
    filter::Tables,
    hw::Hw,
    queues,
    regs::*, //
};

/// QEMU's subsystem: its model of the chip, whose quirks are dealt with only there.
const QEMU: pci::Id = pci::Id {
    vendor: 0x1af4,
    device: 0x1100,
};

/// Offloads that can be switched.
const SWITCHABLE: Features = Features::SG
    .with(Features::HW_CSUM)
    .with(Features::SCTP_CRC)
    .with(Features::RXCSUM)
    .with(Features::TSO)
    .with(Features::TSO6)
    .with(Features::RXHASH)
    .with(Features::VLAN_TX)
    .with(Features::VLAN_RX)
    .with(Features::VLAN_FILTER)
    .with(Features::RXALL);

/// Between two interrupts of a vector on real hardware: 50 us, in the register's unit.
const INTERVAL: u32 = 50 << 2;

/// The data of a port.
pub(crate) struct Port {
    emulated: bool,
    address: Option<[u8; 6]>,
    tables: Tables,
    features: Atomic<u64>,
    /// Vectors of queues, and all of them.
    queue_vectors: Atomic<u32>,
    vectors: Atomic<u32>,
    /// The link as it was last seen: STATUS, or 0 for none.
    pub(crate) link: Atomic<u32>,
}

/// What a transmit queue remembers: the contexts that the chip has.
#[derive(Default)]
pub(crate) struct TxState {
    contexts: [Option<desc::Tx>; 2],
}

impl Port {
    pub(crate) fn hw<'a>(&self, nic: &Nic<'a>) -> Hw<'a> {
        Hw {
            io: nic.io(),
            emulated: self.emulated,
        }
    }

    fn features(&self) -> Features {
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
        mtu: (68, 9216),
        bar: 0,
        bar_len: 0x20000,
        alive: 0x0008,
    };

    fn tx_tail(queue: u32) -> Option<usize> {
        <Tdt as rnet::mmio::RegisterArray>::offset(queue as usize)
    }

    fn rx_tail(queue: u32) -> Option<usize> {
        <Rdt as rnet::mmio::RegisterArray>::offset(queue as usize)
    }

    fn probe(pci: &pci::Probe<'_>) -> Result<Self> {
        let hw = Hw {
            io: pci.io(),
            emulated: pci.device().subsystem() == QEMU,
        };
        hw.reset()?;
        let address = if hw.nvm_valid()? { hw.address()? } else { None };
        hw.negotiate()?;
        Ok(Self {
            emulated: hw.emulated,
            address,
            tables: Tables::new()?,
            features: Atomic::new(SWITCHABLE.with(Features::HIGHDMA).bits()),
            queue_vectors: Atomic::new(0),
            vectors: Atomic::new(0),
            link: Atomic::new(0),
        })
    }

    fn identity(&self) -> Identity {
        Identity {
            address: self.address,
            features: (SWITCHABLE & !Features::RXALL) | Features::HIGHDMA,
            hw_features: SWITCHABLE,
            vlan_features: Features::SG
                | Features::HW_CSUM
                | Features::SCTP_CRC
                | Features::TSO
                | Features::TSO6
                | Features::HIGHDMA,
        }
    }

    fn start(&self, nic: &Nic<'_>, rings: &Rings, reset: bool, _rtnl: &Rtnl) -> Result {
        let io = nic.io();
        if reset {
            let hw = self.hw(nic);
            hw.reset()?;
            self.tables.restore(io);
            hw.negotiate()?;
        }
        let features = nic.dev().features();
        self.features.store(features.bits(), Relaxed);
        Tables::own_address(io, nic.address());
        io.update::<Ctrl>(|ctrl| ctrl.with(Ctrl::VME, features.contains(Features::VLAN_RX)))?;
        queues::start(io, rings)?;
        let mask = queues::route(nic, rings);
        let other = nic
            .other_vector()
            .map_or(0, |vector| 1u32 << (vector & 0x1f));
        self.queue_vectors.store(mask, Relaxed);
        self.vectors.store(mask | other, Relaxed);
        // QEMU sends a second message for each that it holds back.
        let interval = if self.emulated { 0 } else { INTERVAL };
        for index in 0..25 {
            io.write_index(index, Eitr::new(interval));
        }
        nic.with_filter(|filter| self.tables.receive(io, filter, features, true));
        Ok(())
    }

    fn enable(&self, nic: &Nic<'_>) {
        let io = nic.io();
        if nic.interrupt_mode() == Mode::MsiX {
            let all = self.vectors.load(Relaxed);
            io.write(Eiac::new(all));
            io.write(Eiam::new(self.queue_vectors.load(Relaxed)));
            io.write(Eims::new(all));
            io.write(Ims::new((Icr::LSC | Icr::DOUTSYNC).get()));
        } else {
            let causes = Icr::LSC | Icr::DOUTSYNC | Icr::TXDW | Icr::RXDMT0 | Icr::RXT0;
            io.write(Ims::new(causes.get()));
        }
    }

    fn disable(&self, nic: &Nic<'_>) {
        let io = nic.io();
        io.write(Eiam::new(0));
        io.write(Eimc::new(!0));
        io.write(Eiac::new(0));
        io.write(Imc::new(!0));
        let _ = io.flush();
    }

    fn stop(&self, nic: &Nic<'_>) {
        let io = nic.io();
        nic.with_filter(|filter| self.tables.receive(io, filter, self.features(), false));
        queues::stop(io, queues::QUEUES);
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
        // The chip pads short frames itself, but not ones that have no more than a header.
        let skb = match skb.pad_to(17) {
            Ok(skb) => skb,
            Err(gone) => return Xmit::Taken(gone),
        };
        let needed = skb.pieces(desc::MAX_PIECE).saturating_add(1);
        let Some((mut slots, state)) = tx.reserve(needed) else {
            return Xmit::Busy(skb.busy());
        };
        let vlan = skb.vlan_tag();
        // QEMU looks for the headers itself, behind one tag at most.
        let network = if self.emulated {
            14 + 4
        } else {
            desc::MAX_NETWORK
        };
        let (skb, offload) = match skb.offload(network, desc::MAX_TRANSPORT) {
            Wanted::Nothing(skb) => (skb, None),
            Wanted::Offload(skb, offload) => (skb, Some(offload)),
            Wanted::Dropped(gone) => return Xmit::Taken(gone),
        };
        let plan = Plan::new(vlan, offload.as_ref());
        let mut changed = None;
        if let Some((index, context)) = plan.context {
            if let Some(known) = state.contexts.get_mut(index) {
                if *known != Some(context) {
                    slots.context(context);
                    changed = Some((known, context));
                }
            }
        }
        let len = skb.len();
        let posted = slots.post(
            skb,
            desc::MAX_PIECE,
            plan.wire_bytes(len),
            plan.segments,
            |segment| plan.data(len, segment),
        );
        match posted {
            Ok(gone) => {
                if let Some((known, context)) = changed {
                    *known = Some(context);
                }
                Xmit::Taken(gone)
            }
            Err(gone) => Xmit::Taken(gone),
        }
    }

    #[inline]
    fn receive(&self, rx: &mut RxPort<'_, desc::Rx>, budget: &mut Budget<'_>) {
        let features = self.features();
        let checksums = features.contains(Features::RXCSUM);
        let hashes = features.contains(Features::RXHASH);
        while let Some(mut packet) = rx.next(budget) {
            let desc = packet.descriptor();
            match desc.checksum() {
                Some(true) if checksums => packet.checksum_verified(),
                Some(false) => packet.count_checksum_error(),
                _ => {}
            }
            if let Some((hash, ports)) = desc.hash().filter(|_| hashes) {
                packet.hash(hash, ports);
            }
            if let Some(tci) = desc.vlan() {
                packet.vlan_tag(tci);
            }
            packet.deliver();
        }
    }

    fn rearm(&self, nic: &Nic<'_>, vector: u32) {
        if nic.interrupt_mode() != Mode::MsiX {
            self.enable(nic);
        } else if !self.emulated {
            // QEMU has not switched it off: it does not know EIAM.
            nic.io().write(Eims::new(1u32 << (vector & 0x1f)));
        }
    }

    fn other_interrupt(&self, nic: &Nic<'_>) {
        let Ok(icr) = nic.io().read::<Icr>() else {
            return;
        };
        if icr.has(Icr::DOUTSYNC) {
            nic.recover();
        }
        if icr.has(Icr::LSC) {
            nic.service_now();
        }
        if let (false, Some(other)) = (self.emulated, nic.other_vector()) {
            nic.io().write(Eims::new(1u32 << (other & 0x1f)));
        }
    }

    fn interrupt(&self, nic: &Nic<'_>) -> Cause {
        let Ok(icr) = nic.io().read::<Icr>() else {
            return Cause::NotOurs;
        };
        if icr.get() == 0 || (nic.interrupt_mode() == Mode::Intx && !icr.has(Icr::ASSERTED)) {
            return Cause::NotOurs;
        }
        if icr.has(Icr::DOUTSYNC) {
            nic.recover();
        }
        if icr.has(Icr::LSC) {
            nic.service_now();
        }
        let queues = (Icr::TXDW | Icr::RXDMT0 | Icr::RXT0).get();
        if icr.get() & queues == 0 {
            return Cause::Other;
        }
        nic.io().write(Imc::new(!0));
        Cause::Queues
    }

    fn service(&self, nic: &Nic<'_>) -> u32 {
        // A device that is gone has no link; its removal will follow.
        if self.check_link(nic).is_err() && nic.dev().carrier_ok() {
            nic.dev().carrier_off();
        }
        2000
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
        self.hw(nic).negotiate()
    }

    fn fix_features(&self, _dev: &Device, wanted: Features) -> Features {
        // The chip puts tags in only where it takes them out.
        if wanted.contains(Features::VLAN_RX) {
            wanted
        } else {
            wanted & !Features::VLAN_TX
        }
    }
}
