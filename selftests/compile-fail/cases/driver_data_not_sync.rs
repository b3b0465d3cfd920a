// SPDX-License-Identifier: GPL-2.0

// Callbacks run on several CPUs at once: a cell without a lock is no driver data.
// error: E0277 `Cell<u64>` cannot be shared between threads safely

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case(core::cell::Cell<u64>);

#[vtable]
impl Driver for Case {
    //~
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, _cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        self.0.set(self.0.get().wrapping_add(1));
        Xmit::Taken(skb.consume())
    }
}
