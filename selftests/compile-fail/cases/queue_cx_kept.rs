// SPDX-License-Identifier: GPL-2.0

// The context of a call with queues does not outlive it.
// error: E0521 borrowed data escapes outside of method

use rnet::{
    prelude::*,
    softq::{
        self,
        QueueCx, //
    }, //
};

fn keep(_cx: &'static QueueCx<'static>) {}

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, _cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        Xmit::Taken(skb.consume())
    }
}

impl softq::Driver for Case {
    fn start_xmit_queued<'call>(
        &self,
        skb: TxSkb<'call>,
        cx: &QueueCx<'_>,
    ) -> Xmit<'call, NoQueue> {
        keep(cx); //~
        Xmit::Taken(skb.consume())
    }
}
