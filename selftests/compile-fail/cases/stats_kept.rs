// SPDX-License-Identifier: GPL-2.0

// The counters to be filled in belong to the caller.
// error: E0521 borrowed data escapes outside of method

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

fn keep(_stats: &'static mut LinkStats) {}

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, _cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        Xmit::Taken(skb.consume())
    }

    fn stats64(&self, _dev: &Device, stats: &mut LinkStats) {
        keep(stats); //~
    }
}
