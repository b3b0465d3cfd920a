// SPDX-License-Identifier: GPL-2.0

// Turning a packet round does not dispose of it: there is no verdict without giving it away.
// error: E0308 mismatched types

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        match skb.loop_back(cx) {
            Ok(looped) => Xmit::Taken(looped), //~
            Err(short) => Xmit::Taken(short.disposed),
        }
    }
}
