// SPDX-License-Identifier: GPL-2.0

// A packet is given away once.
// error: E0382 use of moved value: `skb`

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        let _ = cx;
        let first = skb.consume();
        let _second = skb.consume(); //~
        Xmit::Taken(first)
    }
}
