// SPDX-License-Identifier: GPL-2.0

// A packet that was looped back belongs to the receiver.
// error: E0382 borrow of moved value: `skb`

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        let looped = skb.loop_back(cx);
        let _ = skb.len(); //~
        match looped {
            Ok(looped) => Xmit::Taken(looped.netif_rx(cx).0),
            Err(short) => Xmit::Taken(short.disposed),
        }
    }
}
