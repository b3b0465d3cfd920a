// SPDX-License-Identifier: GPL-2.0

//! What rlo keeps for each network namespace.

use kernel::{
    cpu::CpuId,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        new_mutex,
        Arc,
        Mutex, //
    }, //
};
use rnet::{
    log2::Log2,
    netdev::TxOverride,
    netns::{
        Kind,
        NetInit,
        Pernet,
        Slot,
        SlotRef, //
    },
    percpu::{
        CounterSet,
        Counters, //
    },
    prelude::*,
    skb::IpProtocol,
    softq::Switch,
    sysfs::Dir, //
};

use crate::{
    device::Takeover,
    protocol::Protocol, //
};

/// The packets by length. A bucket for every length that a packet can say it has, so that none is
/// compared with the last one; there are none of 512 KiB and more.
pub(crate) type Length = Log2<33>;

/// What is counted. All of it is in one block, which a packet finds with one pointer.
#[derive(Clone, Copy)]
pub(crate) enum Counter {
    /// Bytes of all packets, without the Ethernet header. The packets themselves are those that
    /// are counted by length.
    Bytes,
    /// Packets that the backlog did not take.
    Dropped,
    /// Packets of a length.
    Length(Length),
    /// Packets of a protocol.
    Protocol(Protocol),
}

impl Counter {
    const LENGTHS: usize = 2;
    const PROTOCOLS: usize = Self::LENGTHS + Length::LEN;
}

impl CounterSet for Counter {
    const LEN: usize = Self::PROTOCOLS + Protocol::LEN;

    #[inline(always)]
    fn index(self) -> usize {
        match self {
            Self::Bytes => 0,
            Self::Dropped => 1,
            Self::Length(length) => Self::LENGTHS + length.index(),
            Self::Protocol(protocol) => Self::PROTOCOLS + protocol.index(),
        }
    }
}

/// How rlo carries a namespace's local packets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Not at all, or through the device that is there.
    Takeover,
    /// With a device of its own.
    Replacement,
}

/// What is there for one namespace.
#[pin_data]
pub(crate) struct State {
    pub(crate) counters: Counters<Counter>,
    replaced: Atomic<u32>,
    ctx: ModuleCtx,
    #[pin]
    takeover: Mutex<Option<TxOverride<Takeover>>>,
    /// The receive queues of a device of rlo.
    #[pin]
    switch: Mutex<Option<Arc<Switch>>>,
    #[pin]
    dir: Mutex<Option<Dir>>,
}

static SLOT: Slot<State> = Slot::new();

/// Namespaces whose `lo` is a device of rlo: each keeps the module loaded.
static REPLACED: Atomic<i32> = Atomic::new(0);

/// How many namespaces keep the module loaded.
pub(crate) fn replaced_namespaces() -> i32 {
    REPLACED.load(Relaxed)
}

impl State {
    /// How this namespace is served.
    pub(crate) fn mode(&self) -> Mode {
        if self.replaced.load(Relaxed) != 0 {
            Mode::Replacement
        } else {
            Mode::Takeover
        }
    }

    /// Says that the namespace's `lo` is a device of rlo.
    pub(crate) fn set_replaced(&self, switch: Arc<Switch>) {
        *self.switch.lock() = Some(switch);
        self.replaced.store(1, Relaxed);
        REPLACED.add(1, Relaxed);
    }

    /// Whether packets go through rlo.
    pub(crate) fn is_active(&self) -> bool {
        self.mode() == Mode::Replacement || self.takeover.lock().is_some()
    }

    /// Takes the transmit path over or gives it back.
    ///
    /// # Errors
    ///
    /// `EBUSY` when a replaced device is to be switched off; what [`TxOverride::install`] fails
    /// with.
    pub(crate) fn set_active(&self, dev: &Device, active: bool, rtnl: &Rtnl) -> Result {
        if self.mode() == Mode::Replacement {
            return if active { Ok(()) } else { Err(EBUSY) };
        }
        let mut takeover = self.takeover.lock();
        if active && takeover.is_none() {
            *takeover = Some(TxOverride::install(self.ctx, dev, rtnl)?);
        } else if !active {
            if let Some(takeover) = takeover.take() {
                takeover.restore(rtnl);
            }
        }
        Ok(())
    }

    /// Whether packets are delivered by a NAPI.
    pub(crate) fn is_queued(&self) -> bool {
        let switch = self.switch.lock();
        switch.as_ref().is_some_and(|switch| switch.is_on())
    }

    /// Delivers packets by a NAPI, or into the backlog.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for a device that is not rlo's; what [`Switch::set`] fails with.
    pub(crate) fn set_queued(&self, queued: bool, rtnl: &Rtnl) -> Result {
        let switch = self.switch.lock().clone();
        match switch {
            Some(switch) => switch.set(queued, rtnl),
            None if queued => Err(EOPNOTSUPP),
            None => Ok(()),
        }
    }

    /// Counts a packet, before the backlog has it.
    #[inline(always)]
    pub(crate) fn count(&self, len: u32, ip: IpProtocol) {
        let counters = self.counters.borrow();
        counters.add(Counter::Length(Length::of(u64::from(len))), 1);
        counters.add(Counter::Bytes, u64::from(len));
        counters.add(Counter::Protocol(Protocol::of(ip)), 1);
    }

    /// Counts that the packet was dropped. After [`count`](Self::count), so that a reader who
    /// begins with the drops never sees more of them than packets.
    #[inline]
    pub(crate) fn count_drop(&self) {
        self.counters.add(Counter::Dropped, 1);
    }

    /// All packets, and those of them that were dropped.
    pub(crate) fn packets(&self) -> (u64, u64) {
        let dropped = self.counters.sum(Counter::Dropped);
        let sum = Length::all().fold(0u64, |sum, l| {
            sum.wrapping_add(self.counters.sum(Counter::Length(l)))
        });
        (sum, dropped)
    }

    /// The same of one CPU.
    pub(crate) fn packets_of(&self, cpu: CpuId) -> (u64, u64) {
        let dropped = self.counters.read(Counter::Dropped, cpu);
        let sum = Length::all().fold(0u64, |sum, l| {
            sum.wrapping_add(self.counters.read(Counter::Length(l), cpu))
        });
        (sum, dropped)
    }

    /// Keeps the files until the namespace ends.
    pub(crate) fn keep(&self, dir: Dir) {
        *self.dir.lock() = Some(dir);
    }
}

impl Pernet for State {
    const KIND: Kind = Kind::Subsys;
    const SLOT: SlotRef<Self> = SlotRef::new(&SLOT);

    fn init(_net: &Net, cx: &NetInit<'_>) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(State {
                counters: Counters::new()?,
                replaced: Atomic::new(0),
                ctx: cx.ctx(),
                takeover <- new_mutex!(None),
                switch <- new_mutex!(None),
                dir <- new_mutex!(None),
            }),
            GFP_KERNEL,
        )
    }

    fn pre_exit(&self, _net: &Net) {
        // The files first: they switch the takeover, and their data is this state.
        let dir = self.dir.lock().take();
        drop(dir);
        let takeover = self.takeover.lock().take();
        drop(takeover);
    }

    fn exit(&self, _net: &Net) {
        if self.mode() == Mode::Replacement {
            REPLACED.add(-1, Relaxed);
        }
    }
}
