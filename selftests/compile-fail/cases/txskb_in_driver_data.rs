// SPDX-License-Identifier: GPL-2.0

// Driver data is shared by all CPUs, and the packet of a call belongs to this one.
// error: E0277 cannot be sent between threads safely
// error: E0277 cannot be shared between threads safely

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case(Option<TxSkb<'static>>);

#[vtable]
impl Driver for Case {
    //~
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, _cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        let _ = self.0.is_some();
        Xmit::Taken(skb.consume())
    }
}
