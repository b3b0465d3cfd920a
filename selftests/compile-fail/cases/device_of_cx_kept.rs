// SPDX-License-Identifier: GPL-2.0

// The device that a callback is lent is not kept without a reference.
// error: E0521 borrowed data escapes outside of method

use rnet::prelude::*;

fn keep(_dev: &'static Device) {}

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        keep(cx.dev()); //~
        Xmit::Taken(skb.consume())
    }
}
