// SPDX-License-Identifier: GPL-2.0

// A frame that was handed to the stack is the stack's.
// error: E0382 borrow of moved value: `packet`

use rnet::{
    prelude::*,
    ring::{
        RxDescriptor,
        RxPacket, //
    },
};

include!("../skeleton.rs");

pub fn after<D: RxDescriptor>(packet: RxPacket<'_, D>) -> u32 {
    packet.deliver();
    packet.len() //~
}

pub fn unused(_: Result) {}
