// SPDX-License-Identifier: GPL-2.0

// A packet that was given away cannot be given back as well.
// error: E0382 use of moved value: `skb`

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

#[vtable]
impl Driver for Case {
    type Queueing = Qdisc;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, Qdisc> {
        let _ = cx;
        let _ = skb.consume();
        Xmit::Busy(skb.busy()) //~
    }
}
