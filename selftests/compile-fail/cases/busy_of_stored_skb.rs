// SPDX-License-Identifier: GPL-2.0

// There is no way from a kept packet back to one of a call.
// error: E0599 no method named `busy` found for struct

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = Qdisc;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, Qdisc> {
        let _ = cx;
        let (stored, _disposed) = skb.take();
        Xmit::Busy(stored.busy()) //~
    }
}
