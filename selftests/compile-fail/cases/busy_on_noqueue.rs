// SPDX-License-Identifier: GPL-2.0

// Nobody sends again what a device without a queue discipline refused: it has no Busy.
// error: E0271 type mismatch resolving `<NoQueue as Queueing>::Busy

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        let _ = cx;
        Xmit::Busy(skb.busy()) //~
    }
}
