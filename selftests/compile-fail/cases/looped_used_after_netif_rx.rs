// SPDX-License-Identifier: GPL-2.0

// A packet that the backlog was given belongs to the receiver.
// error: E0382 borrow of moved value: `looped`

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        match skb.loop_back(cx) {
            Ok(looped) => {
                let (disposed, _) = looped.netif_rx(cx);
                let _ = looped.ip_protocol(); //~
                Xmit::Taken(disposed)
            }
            Err(short) => Xmit::Taken(short.disposed),
        }
    }
}
