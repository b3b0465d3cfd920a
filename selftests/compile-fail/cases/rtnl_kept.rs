// SPDX-License-Identifier: GPL-2.0

// Proof that RTNL is held ends with the callback that was given it.
// error: E0521 borrowed data escapes outside of method

use rnet::prelude::*;

include!("../skeleton.rs");

struct Case;

fn keep(_rtnl: &'static Rtnl) {}

#[vtable]
impl Driver for Case {
    type Queueing = NoQueue;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, _cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        Xmit::Taken(skb.consume())
    }

    fn open(&self, _dev: &Device, rtnl: &Rtnl) -> Result {
        keep(rtnl); //~
        Ok(())
    }
}
