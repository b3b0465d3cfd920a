// SPDX-License-Identifier: GPL-2.0

// A device lives longer than any function: its data borrows from none.
// error: E0495 cannot infer an appropriate lifetime
// error: E0478 lifetime bound not satisfied

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case<'a>(&'a u64);

#[vtable]
impl<'a> Driver for Case<'a> {
    //~
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, _cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        let _ = *self.0;
        Xmit::Taken(skb.consume())
    }
}
