// SPDX-License-Identifier: GPL-2.0

// No callback has its data for itself.
// error: E0053 method `start_xmit` has an incompatible type for trait

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case(u64);

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(
        &mut self, //~
        skb: TxSkb<'call>,
        _cx: &XmitCx<'_>,
    ) -> Xmit<'call, NoQueue> {
        self.0 = self.0.wrapping_add(1);
        Xmit::Taken(skb.consume())
    }
}
