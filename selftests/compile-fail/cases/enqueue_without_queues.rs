// SPDX-License-Identifier: GPL-2.0

// Only a transmit callback with queues can put a packet into one, and nothing else is done with it.
// error: E0308 mismatched types
// error: E0382 borrow of moved value: `looped`

use rnet::{
    prelude::*,
    softq::{
        self,
        QueueCx, //
    }, //
};

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        match skb.loop_back(cx) {
            Ok(looped) => Xmit::Taken(looped.enqueue(cx).0), //~
            Err(short) => Xmit::Taken(short.disposed),
        }
    }
}

impl softq::Driver for Case {
    fn start_xmit_queued<'call>(
        &self,
        skb: TxSkb<'call>,
        cx: &QueueCx<'_>,
    ) -> Xmit<'call, NoQueue> {
        match skb.loop_back_owned(cx) {
            Ok(looped) => {
                let (disposed, _) = looped.enqueue(cx);
                let _ = looped.len(); //~
                Xmit::Taken(disposed)
            }
            Err(short) => Xmit::Taken(short.disposed),
        }
    }
}
