// SPDX-License-Identifier: GPL-2.0

// The token of a verdict is not made by drivers.
// error: E0423 cannot initialize a tuple struct which contains private fields

use rnet::prelude::*;
use rnet::skb::Disposed;

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        let _ = (cx, skb);
        Xmit::Taken(Disposed(core::marker::PhantomData)) //~
    }
}
