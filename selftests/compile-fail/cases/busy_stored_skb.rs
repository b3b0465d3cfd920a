// SPDX-License-Identifier: GPL-2.0

// A packet that was kept is not the one of this call.
// error: E0271 type mismatch resolving `<Qdisc as Queueing>::Busy

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = Qdisc;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, Qdisc> {
        let _ = cx;
        let (stored, _disposed) = skb.take();
        Xmit::Busy(stored) //~
    }
}
