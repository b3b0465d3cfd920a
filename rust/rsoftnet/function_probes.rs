// SPDX-License-Identifier: GPL-2.0

//! What happens at functions that have no tracepoint.

use rnet::trace::{
    events::OnDevice,
    functions,
    Enqueued,
    FnProbe,
    ProbeCx,
    SocketRef,
    SoftirqFrom,
    Verdict, //
};

use crate::{
    core::{
        Cell,
        Core, //
    },
    filter::NETNS,
    stage::{
        Count,
        Stage,
        Target, //
    },
};

impl FnProbe<functions::EnqueueToBacklog> for Core {
    #[inline(always)]
    fn hit(&self, args: Enqueued<'_>, _cx: &ProbeCx<'_>) {
        if self.passes(&args.on) && self.is_on(self.on.get(), Stage::Enqueue) {
            self.counts.add(Count::Enqueue, 1);
            self.enqueued.add(Target::of(args.target), 1);
        }
    }
}

macro_rules! received {
    ($($function:ident: $stage:ident $(+ $v6:ident)?;)+) => {$(
        impl FnProbe<functions::$function> for Core {
            #[inline(always)]
            fn hit(&self, args: OnDevice<'_>, _cx: &ProbeCx<'_>) {
                if self.passes(&args) && self.is_on(self.on.get(), Stage::$stage) {
                    self.counts.add(Count::$stage, 1);
                    $(self.counts.add(Count::$v6, 1);)?
                }
            }
        }
    )+};
}

received! {
    IpRcv: Ip;
    Ip6Rcv: Ip + IpV6;
    TcpV4Rcv: Tcp;
    TcpV6Rcv: Tcp + TcpV6;
    UdpRcv: Udp;
    UdpV6Rcv: Udp + UdpV6;
}

impl Core {
    #[inline(always)]
    fn socket_queue(&self, socket: SocketRef<'_>, which: Option<Count>) {
        if NETNS.passes_with(|| socket.net_id()) && self.is_on(self.on.get(), Stage::SockQueue) {
            self.counts.add(Count::SockQueue, 1);
            if let Some(which) = which {
                self.counts.add(which, 1);
            }
        }
    }
}

impl FnProbe<functions::UdpEnqueue> for Core {
    #[inline(always)]
    fn hit(&self, socket: SocketRef<'_>, _cx: &ProbeCx<'_>) {
        self.socket_queue(socket, Some(Count::QueueUdp));
    }
}

impl FnProbe<functions::TcpQueueRcv> for Core {
    #[inline(always)]
    fn hit(&self, socket: SocketRef<'_>, _cx: &ProbeCx<'_>) {
        self.socket_queue(socket, Some(Count::QueueTcp));
    }
}

impl FnProbe<functions::SockQueueRcv> for Core {
    #[inline(always)]
    fn hit(&self, socket: SocketRef<'_>, _cx: &ProbeCx<'_>) {
        self.socket_queue(socket, None);
    }
}

/// Who runs softirqs, as a cell holds it.
pub(crate) mod from {
    pub(crate) const NOBODY_KNOWS: u64 = 0;
    pub(crate) const IRQ_EXIT: u64 = 1;
    pub(crate) const DO_SOFTIRQ: u64 = 2;
    pub(crate) const KSOFTIRQD: u64 = 3;
}

/// As a cell holds it.
pub(crate) fn number_of(from: SoftirqFrom) -> u64 {
    match from {
        SoftirqFrom::InterruptExit => from::IRQ_EXIT,
        SoftirqFrom::DoSoftirq => from::DO_SOFTIRQ,
        SoftirqFrom::Other => from::NOBODY_KNOWS,
    }
}

impl FnProbe<functions::HandleSoftirqs> for Core {
    #[inline(always)]
    fn hit(&self, from: SoftirqFrom, cx: &ProbeCx<'_>) {
        self.cells.set(Cell::RunFrom, number_of(from), cx);
    }
}

impl FnProbe<functions::NfHookSlow> for Core {
    #[inline(always)]
    fn hit(&self, verdict: Verdict, _cx: &ProbeCx<'_>) {
        if !self.is_on(self.on.get(), Stage::Netfilter) {
            return;
        }
        self.counts.add(Count::Netfilter, 1);
        match verdict {
            Verdict::Accept => {}
            Verdict::Drop => self.counts.add(Count::HooksDrop, 1),
            Verdict::Stolen => self.counts.add(Count::HooksStolen, 1),
        }
    }
}
