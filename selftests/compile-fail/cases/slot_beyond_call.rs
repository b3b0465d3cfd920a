// SPDX-License-Identifier: GPL-2.0

// What a slot finds in a transmit callback is good during this callback only.
// error: - lifetime may not live long enough

use rnet::{
    netns::{
        Pernet,
        Slot, //
    },
    prelude::*,
};

include!("../skeleton.rs");

pub fn keep<T: Pernet>(slot: &'static Slot<T>, cx: &XmitCx<'_>) -> Option<&'static T> {
    slot.get(cx.dev().net(cx), cx) //~
}
