// SPDX-License-Identifier: GPL-2.0

// The transmit path of a device is exchanged under RTNL only.
// error: E0061 this function takes 3 arguments but 2 arguments were supplied

use rnet::{
    netdev::{
        TxHook,
        TxOverride, //
    },
    prelude::*,
};

include!("../skeleton.rs");

struct Hook;

impl TxHook for Hook {
    fn start_xmit<'call>(skb: TxSkb<'call>, _cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        Xmit::Taken(skb.consume())
    }
}

pub fn take_over(ctx: ModuleCtx, dev: &Device) -> Result {
    TxOverride::<Hook>::install(ctx, dev)?; //~
    Ok(())
}
