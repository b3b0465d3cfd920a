// SPDX-License-Identifier: GPL-2.0

//! What happens at functions that have no tracepoint.

use rnet::trace::{
    events::OnDevice,
    functions,
    Enqueued,
    FnProbe,
    ProbeCx,
    Verdict, //
};

use crate::{
    core::Core,
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
