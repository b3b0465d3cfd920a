// SPDX-License-Identifier: GPL-2.0

// The context of a call does not outlive it.
// error: E0521 borrowed data escapes outside of method

use rnet::prelude::*;

fn keep(_cx: &'static XmitCx<'static>) {}

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        keep(cx); //~
        Xmit::Taken(skb.consume())
    }
}
