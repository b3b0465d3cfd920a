// SPDX-License-Identifier: GPL-2.0

// A packet cannot be copied.
// error: E0599 no method named `clone` found for struct

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        let _ = cx;
        let other = skb.clone(); //~
        drop(other);
        Xmit::Taken(skb.consume())
    }
}
