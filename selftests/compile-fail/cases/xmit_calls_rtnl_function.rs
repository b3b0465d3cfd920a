// SPDX-License-Identifier: GPL-2.0

// A transmit callback has no RTNL: its context is none.
// error: E0308 mismatched types

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        let _ = cx.dev().net(cx).loopback(cx); //~
        Xmit::Taken(skb.consume())
    }
}
