// SPDX-License-Identifier: GPL-2.0

// Busy carries the packet; it is not made without one.
// error: E0423 cannot initialize a tuple struct which contains private fields

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = Qdisc;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, Qdisc> {
        let _ = (cx, skb);
        Xmit::Busy(Busy(None)) //~
    }
}
