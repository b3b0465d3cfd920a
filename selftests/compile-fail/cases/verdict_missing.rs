// SPDX-License-Identifier: GPL-2.0

// The verdict is not optional.
// error: E0308 mismatched types

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        let _ = cx;
        let _ = skb.consume();
        Xmit::Taken(()) //~
    }
}
