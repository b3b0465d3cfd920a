// SPDX-License-Identifier: GPL-2.0

//! What happens at each tracepoint.

use rnet::{
    softnet::Softnet,
    trace::{
        events::{
            self,
            Dropped,
            OnDevice,
            PollKind,
            Polled,
            RemoteCall, //
        },
        Probe,
        ProbeCx,
        SocketRef, //
    },
};

use crate::{
    core::{
        Cell,
        Core,
        Mark,
        Unused,
        Waits, //
    },
    filter::NETNS,
    function_probes::from,
    stage::{
        Count,
        Latency,
        Stage,
        Target,
        MARKS, //
    },
};

impl Core {
    #[inline(always)]
    pub(crate) fn is_on(&self, on: u32, stage: Stage) -> bool {
        on & stage.bit() != 0
    }

    /// Whether the filters let a packet through.
    #[inline(always)]
    pub(crate) fn passes(&self, args: &OnDevice<'_>) -> bool {
        self.device.passes(args.dev.id()) && NETNS.passes_with(|| args.net_id())
    }

    /// A packet of the backlog has been taken from the process queue, or one of a device comes by.
    /// Before that the queue was longer by one, or it was already longer than that.
    #[inline(always)]
    fn mark(&self, cx: &ProbeCx<'_>) {
        let (input, process) = Softnet::lengths_here(cx);
        self.marks.raise(Mark::Input, input.into(), cx);
        if process != 0 {
            self.mark_process(u64::from(process).wrapping_add(1), cx);
        }
    }

    /// So many have been in the process queue. They were in the input queue before, all of them.
    #[inline(always)]
    fn mark_process(&self, packets: u64, cx: &ProbeCx<'_>) {
        self.marks.raise(Mark::Process, packets, cx);
        self.marks.raise(Mark::Input, packets, cx);
    }

    /// Records the time from `cell` to now, once, if it was set.
    #[inline(always)]
    fn since(&self, cell: Cell, now: u64, waits: &Waits, cx: &ProbeCx<'_>) {
        let then = self.cells.get(cell, cx);
        if then != 0 {
            self.cells.set(cell, 0, cx);
            waits.record(now.saturating_sub(then), cx);
        }
    }
}

impl Probe<events::NetDevStartXmit> for Core {
    #[inline(always)]
    fn hit(&self, args: OnDevice<'_>, cx: &ProbeCx<'_>) {
        if !self.passes(&args) {
            return;
        }
        let on = self.on.get();
        if self.is_on(on, Stage::Xmit) {
            self.counts.add(Count::Xmit, 1);
        }
        if on & Latency::Transmit.bit() != 0 {
            // If an interrupt sends another packet in between, this one is not measured.
            self.cells.set(Cell::SentAt, cx.now(), cx);
            self.cells.set(Cell::Sent, args.packet.id().to_cell(), cx);
        }
    }
}

impl Probe<events::NetifRx> for Core {
    #[inline(always)]
    fn hit(&self, args: OnDevice<'_>, cx: &ProbeCx<'_>) {
        if !self.passes(&args) {
            return;
        }
        let on = self.on.get();
        if self.is_on(on, Stage::NetifRx) {
            self.counts.add(Count::NetifRx, 1);
        }
        if on & (Latency::Transmit.bit() | Latency::Backlog.bit()) != 0 {
            let packet = args.packet.id();
            let sent_at = if packet.is(self.cells.get(Cell::Sent, cx)) {
                self.cells.set(Cell::Sent, 0, cx);
                self.cells.get(Cell::SentAt, cx)
            } else {
                0
            };
            if !self.times.put(packet, [cx.now(), sent_at], cx) {
                self.unmatched.add(Unused::Packets, 1);
            }
        }
    }
}

impl Probe<events::NetifReceiveSkb> for Core {
    #[inline(always)]
    fn hit(&self, args: OnDevice<'_>, cx: &ProbeCx<'_>) {
        let on = self.on.get();
        if on & MARKS != 0 {
            self.mark(cx);
        }
        if !self.passes(&args) {
            return;
        }
        if self.is_on(on, Stage::Deliver) {
            self.counts.add(Count::Deliver, 1);
        }
        if on & Latency::MASK == 0 {
            return;
        }
        let now = cx.now();
        if on & (Latency::Transmit.bit() | Latency::Backlog.bit()) != 0 {
            if let Some([queued_at, sent_at]) = self.times.take(args.packet.id(), cx) {
                if on & Latency::Backlog.bit() != 0 {
                    self.backlog.record(now.saturating_sub(queued_at), cx);
                }
                if on & Latency::Transmit.bit() != 0 && sent_at != 0 {
                    self.transmit.record(now.saturating_sub(sent_at), cx);
                }
            }
        }
        if on & Latency::Wakeup.bit() != 0 {
            self.cells.set(Cell::DeliveredAt, now, cx);
        }
    }
}

impl Probe<events::SoftirqRaise> for Core {
    #[inline(always)]
    fn hit(&self, vec: u32, cx: &ProbeCx<'_>) {
        if vec != events::NET_RX {
            return;
        }
        let on = self.on.get();
        if self.is_on(on, Stage::SoftirqRaise) {
            self.counts.add(Count::SoftirqRaise, 1);
        }
        if on & Latency::Softirq.bit() != 0 && self.cells.get(Cell::RaisedAt, cx) == 0 {
            self.cells.set(Cell::RaisedAt, cx.now(), cx);
        }
    }
}

impl Probe<events::SoftirqEntry> for Core {
    #[inline(always)]
    fn hit(&self, vec: u32, cx: &ProbeCx<'_>) {
        if vec != events::NET_RX {
            return;
        }
        let on = self.on.get();
        if self.is_on(on, Stage::SoftirqEntry) {
            self.counts.add(Count::SoftirqEntry, 1);
            if cx.in_ksoftirqd() {
                self.counts.add(Count::Ksoftirqd, 1);
            }
        }
        if self.is_on(on, Stage::SoftirqContext) {
            self.counts.add(Count::SoftirqContext, 1);
            if cx.in_ksoftirqd() {
                self.counts.add(Count::FromKsoftirqd, 1);
            } else {
                match self.cells.get(Cell::RunFrom, cx) {
                    from::IRQ_EXIT => self.counts.add(Count::FromIrqExit, 1),
                    from::DO_SOFTIRQ => self.counts.add(Count::FromDoSoftirq, 1),
                    _ => {}
                }
            }
        }
        if on & (Latency::Softirq.bit() | Latency::Poll.bit()) == 0 {
            return;
        }
        let now = cx.now();
        if on & Latency::Softirq.bit() != 0 {
            self.since(Cell::RaisedAt, now, &self.softirq, cx);
        }
        if on & Latency::Poll.bit() != 0 {
            self.cells.set(Cell::PollAt, now, cx);
        }
    }
}

impl Probe<events::SoftirqExit> for Core {
    #[inline(always)]
    fn hit(&self, vec: u32, _cx: &ProbeCx<'_>) {
        if vec == events::NET_RX && self.is_on(self.on.get(), Stage::SoftirqExit) {
            self.counts.add(Count::SoftirqExit, 1);
        }
    }
}

impl Probe<events::NapiPoll> for Core {
    #[inline(always)]
    fn hit(&self, args: Polled<'_>, cx: &ProbeCx<'_>) {
        let on = self.on.get();
        if on & Latency::Wakeup.bit() != 0 {
            // What wakes a reader later was not delivered in this poll.
            self.cells.set(Cell::DeliveredAt, 0, cx);
        }
        if on & MARKS != 0 && args.kind == PollKind::Backlog && args.work != 0 {
            self.mark_process(1, cx);
        }
        if on & Latency::Poll.bit() != 0 {
            let began = self.cells.get(Cell::PollAt, cx);
            if began != 0 && args.kind != PollKind::Threaded {
                let now = cx.now();
                self.cells.set(Cell::PollAt, now, cx);
                self.poll.record(now.saturating_sub(began), cx);
            }
        }
        if let (Some(dev), Some(net)) = (args.dev, args.net_id()) {
            if !(self.device.passes(dev.id()) && NETNS.passes(net)) {
                return;
            }
        }
        let (stage, polls, work, full) = match args.kind {
            PollKind::Backlog => (
                Stage::PollBacklog,
                Count::PollBacklog,
                Count::WorkBacklog,
                Count::FullBacklog,
            ),
            PollKind::Device => (
                Stage::PollDevice,
                Count::PollDevice,
                Count::WorkDevice,
                Count::FullDevice,
            ),
            PollKind::Threaded => (
                Stage::PollThreaded,
                Count::PollThreaded,
                Count::WorkThreaded,
                Count::FullThreaded,
            ),
        };
        if self.is_on(on, stage) {
            self.counts.add(polls, 1);
            self.counts.add(work, u64::from(args.work));
            if args.work >= args.budget {
                self.counts.add(full, 1);
            }
        }
    }
}

impl Probe<events::KfreeSkb> for Core {
    #[inline(always)]
    fn hit(&self, args: Dropped<'_>, _cx: &ProbeCx<'_>) {
        if !self.device.passes_with(|| args.packet.device_id()) {
            return;
        }
        // A packet that has come to no socket yet does not say for certain where it is.
        let known = args.net_id.is_some_and(|net| NETNS.passes(net));
        if (known || NETNS.is_open()) && self.is_on(self.on.get(), Stage::Drop) {
            self.counts.add(Count::Drop, 1);
            self.reasons.add(args.reason, 1);
        }
    }
}

impl Probe<events::SkDataReady> for Core {
    #[inline(always)]
    fn hit(&self, socket: SocketRef<'_>, cx: &ProbeCx<'_>) {
        if !NETNS.passes_with(|| socket.net_id()) {
            return;
        }
        let on = self.on.get();
        if self.is_on(on, Stage::Wakeup) {
            self.counts.add(Count::Wakeup, 1);
        }
        if on & Latency::Wakeup.bit() != 0 {
            self.since(Cell::DeliveredAt, cx.now(), &self.wakeup, cx);
        }
    }
}

impl Probe<events::CsdQueueCpu> for Core {
    #[inline(always)]
    fn hit(&self, args: RemoteCall, cx: &ProbeCx<'_>) {
        if !args.is_backlog {
            return;
        }
        let on = self.on.get();
        if self.is_on(on, Stage::RpsIpi) {
            self.counts.add(Count::RpsIpi, 1);
            self.targets.add(Target::of(args.target), 1);
        }
        if on & Latency::Ipi.bit() != 0 {
            // One call to a CPU is not sent again before it has been answered.
            self.cells.write(Cell::WokenAt, args.target, cx.now());
        }
    }
}

impl Probe<events::CsdFunctionEntry> for Core {
    #[inline(always)]
    fn hit(&self, args: RemoteCall, cx: &ProbeCx<'_>) {
        if args.is_backlog && self.on.get() & Latency::Ipi.bit() != 0 {
            self.since(Cell::WokenAt, cx.now(), &self.ipi, cx);
        }
    }
}
