// SPDX-License-Identifier: GPL-2.0

// A packet that is in the ring cannot be given back as well.
// error: E0382 use of moved value: `skb`

use rnet::{
    dma::Descriptor,
    prelude::*,
    ring::{
        Reserved,
        Segment, //
    },
};

include!("../skeleton.rs");

pub fn both<'call, D: Descriptor>(
    room: Reserved<'_, D>,
    skb: TxSkb<'call>,
    encode: impl FnMut(Segment) -> D,
) -> Xmit<'call, Qdisc> {
    let _ = room.post(skb, 4096, 60, 1, encode);
    Xmit::Busy(skb.busy()) //~
}

pub fn unused(_: Result) {}
