// SPDX-License-Identifier: GPL-2.0

//! What rlo keeps for each network namespace.

use kernel::sync::{
    atomic::{
        Atomic,
        Relaxed, //
    },
    new_mutex,
    Arc,
    Mutex, //
};
use rnet::{
    netdev::TxOverride,
    netns::{
        Kind,
        NetInit,
        Pernet,
        Slot,
        SlotRef, //
    },
    percpu::Counters,
    prelude::*,
    sysfs::Dir, //
};

use crate::device::Takeover;

rnet::counters! {
    /// What is counted for every packet.
    pub(crate) enum Count {
        /// Packets that the backlog took.
        Accepted,
        /// Their bytes, without the Ethernet header.
        AcceptedBytes,
        /// Packets that it did not take.
        Dropped,
        /// Their bytes.
        DroppedBytes,
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
    pub(crate) counters: Counters<Count>,
    replaced: Atomic<u32>,
    ctx: ModuleCtx,
    #[pin]
    takeover: Mutex<Option<TxOverride<Takeover>>>,
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
    pub(crate) fn set_replaced(&self) {
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

    /// Counts a packet that was looped back.
    #[inline]
    pub(crate) fn count(&self, len: u32, accepted: bool) {
        let (packets, bytes) = if accepted {
            (Count::Accepted, Count::AcceptedBytes)
        } else {
            (Count::Dropped, Count::DroppedBytes)
        };
        self.counters.add(packets, 1);
        self.counters.add(bytes, u64::from(len));
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
