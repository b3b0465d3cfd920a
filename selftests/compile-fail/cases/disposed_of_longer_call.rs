// SPDX-License-Identifier: GPL-2.0

// The brand of a call does not shrink or grow: not even a token for all times fits.
// error: - lifetime may not live long enough

use rnet::{
    prelude::*,
    skb::Disposed, //
};

include!("../skeleton.rs");

pub fn verdict<'call>(skb: TxSkb<'call>, stored: Disposed<'static>) -> Xmit<'call, NoQueue> {
    drop(skb);
    Xmit::Taken(stored) //~
}
