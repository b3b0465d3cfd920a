// SPDX-License-Identifier: GPL-2.0

// The token of one call does not outlive it: it would be the verdict on another packet.
// error: E0521 borrowed data escapes outside of method

use rnet::{
    prelude::*,
    skb::Disposed, //
};

include!("../skeleton.rs");

struct Case;

fn keep(_disposed: Disposed<'static>) {}

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, _cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        keep(skb.consume()); //~
        loop {}
    }
}
