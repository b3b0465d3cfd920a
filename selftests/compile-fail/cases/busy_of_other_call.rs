// SPDX-License-Identifier: GPL-2.0

// The packet that is given back is the one of this call.
// error: - lifetime may not live long enough

use rnet::prelude::*;

include!("../skeleton.rs");

pub fn verdict<'call, 'other>(skb: TxSkb<'call>, other: TxSkb<'other>) -> Xmit<'call, Qdisc> {
    drop(skb);
    Xmit::Busy(other.busy()) //~
}
