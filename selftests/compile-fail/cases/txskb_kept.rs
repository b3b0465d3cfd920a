// SPDX-License-Identifier: GPL-2.0

// The packet of a call does not outlive it.
// error: E0521 borrowed data escapes outside of method

use rnet::prelude::*;

fn keep(_skb: TxSkb<'static>) {}

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        let _ = cx;
        keep(skb); //~
        loop {}
    }
}
