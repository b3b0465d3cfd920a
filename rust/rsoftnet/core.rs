// SPDX-License-Identifier: GPL-2.0

//! What the probes count and measure.

use rnet::{
    identity::Filter,
    percpu::{
        possible_cpus,
        Cells,
        Histogram,
        Resettable, //
    },
    prelude::*,
    softnet::PacketTimes,
    switches::Switches,
    trace::ReasonNo, //
};

use crate::stage::{
    Count,
    Latency,
    Stage,
    Target, //
};

/// The last bucket begins at 2^38 ns, 4.6 minutes.
pub(crate) type Waits = Histogram<40>;

/// Packets that can be on their way with their times: `1 << TIMES_BITS`.
const TIMES_BITS: u32 = 13;

rnet::counters! {
    /// What a CPU remembers from one probe to the next.
    pub(crate) enum Cell {
        /// The packet that a driver was given last, and when.
        Sent,
        SentAt,
        /// When the receive softirq was raised; 0 when it is not pending.
        RaisedAt,
        /// When the softirq began or the last poll ended.
        PollAt,
        /// When a packet was handed to the protocols in this poll; 0 when it has woken a reader.
        DeliveredAt,
        /// Who runs softirqs now, for the stage `softirq_context`: a number of `From`.
        RunFrom,
        /// The same for the log.
        LogFrom,
        /// When another CPU has woken this one's backlog; 0 when it has answered.
        WokenAt,
    }
}

rnet::counters! {
    /// The most packets that were in a CPU's queues at once.
    pub(crate) enum Mark {
        Input,
        Process,
    }
}

rnet::counters! {
    /// Times of packets that were not used.
    pub(crate) enum Unused {
        Packets,
    }
}

/// One of each, shared by all probes. All of it may be used in any context.
pub(crate) struct Core {
    pub(crate) on: Switches,
    pub(crate) counts: Resettable<Count>,
    pub(crate) reasons: Resettable<ReasonNo>,
    /// Whose backlog a CPU has woken, and into whose it has put packets.
    pub(crate) targets: Resettable<Target>,
    pub(crate) enqueued: Resettable<Target>,
    pub(crate) unmatched: Resettable<Unused>,
    pub(crate) transmit: Waits,
    pub(crate) backlog: Waits,
    pub(crate) softirq: Waits,
    pub(crate) poll: Waits,
    pub(crate) wakeup: Waits,
    pub(crate) ipi: Waits,
    pub(crate) cells: Cells<Cell>,
    pub(crate) marks: Cells<Mark>,
    pub(crate) times: PacketTimes,
    pub(crate) device: Filter<Device>,
}

impl Core {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            on: Switches::new(),
            counts: Resettable::new()?,
            reasons: Resettable::new()?,
            targets: Resettable::new()?,
            enqueued: Resettable::new()?,
            unmatched: Resettable::new()?,
            transmit: Waits::new()?,
            backlog: Waits::new()?,
            softirq: Waits::new()?,
            poll: Waits::new()?,
            wakeup: Waits::new()?,
            ipi: Waits::new()?,
            cells: Cells::new()?,
            marks: Cells::new()?,
            times: PacketTimes::new(TIMES_BITS)?,
            device: Filter::new(),
        })
    }

    /// The histogram of a latency.
    pub(crate) fn waits(&self, latency: Latency) -> &Waits {
        match latency {
            Latency::Transmit => &self.transmit,
            Latency::Backlog => &self.backlog,
            Latency::Softirq => &self.softirq,
            Latency::Poll => &self.poll,
            Latency::Wakeup => &self.wakeup,
            Latency::Ipi => &self.ipi,
        }
    }

    /// Whom a CPU has woken, or given packets.
    pub(crate) fn targets(&self, stage: Stage) -> &Resettable<Target> {
        match stage {
            Stage::Enqueue => &self.enqueued,
            _ => &self.targets,
        }
    }

    /// Makes everything of a stage 0.
    pub(crate) fn reset_stage(&self, stage: Stage) {
        let counts = stage.counts();
        self.counts.reset(counts.count);
        for (_, count) in counts.others {
            self.counts.reset(*count);
        }
        match stage {
            Stage::Drop => ReasonNo::all().for_each(|reason| self.reasons.reset(reason)),
            Stage::RpsIpi => possible_cpus().for_each(|cpu| self.targets.reset(Target::of(cpu))),
            Stage::Enqueue => possible_cpus().for_each(|cpu| self.enqueued.reset(Target::of(cpu))),
            _ => {}
        }
    }

    /// Makes the high-water marks 0.
    pub(crate) fn reset_marks(&self) {
        self.marks.clear(Mark::Input);
        self.marks.clear(Mark::Process);
    }

    /// Empties a latency.
    pub(crate) fn reset_latency(&self, latency: Latency) {
        self.waits(latency).reset();
        if matches!(latency, Latency::Transmit | Latency::Backlog) {
            self.unmatched.reset(Unused::Packets);
        }
    }

    /// Forgets who runs softirqs.
    pub(crate) fn forget_context(&self) {
        self.cells.clear(Cell::RunFrom);
    }

    /// Forgets what is half measured: a latency that is being enabled begins with nothing.
    pub(crate) fn forget(&self, latency: Latency) {
        match latency {
            Latency::Transmit => {
                self.cells.clear(Cell::Sent);
                self.times.clear();
            }
            Latency::Backlog => self.times.clear(),
            Latency::Softirq => self.cells.clear(Cell::RaisedAt),
            Latency::Poll => self.cells.clear(Cell::PollAt),
            Latency::Wakeup => self.cells.clear(Cell::DeliveredAt),
            Latency::Ipi => self.cells.clear(Cell::WokenAt),
        }
    }
}
