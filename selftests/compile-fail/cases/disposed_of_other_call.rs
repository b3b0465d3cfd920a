// SPDX-License-Identifier: GPL-2.0

// The token of another call is no verdict in this one.
// error: - lifetime may not live long enough

use rnet::{
    prelude::*,
    skb::Disposed, //
};

include!("../skeleton.rs");

pub struct Other<'other>(Option<Disposed<'other>>);

pub fn verdict<'call, 'other>(
    skb: TxSkb<'call>,
    other: &mut Other<'other>,
) -> Option<Xmit<'call, NoQueue>> {
    drop(skb);
    let disposed = other.0.take()?;
    Some(Xmit::Taken(disposed)) //~
}
