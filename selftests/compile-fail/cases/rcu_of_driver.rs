// SPDX-License-Identifier: GPL-2.0

// What proves an RCU read side is the layer's to say.
// error: E0277 is not satisfied

use rnet::{
    netns::{
        Pernet,
        RcuRead,
        Slot, //
    },
    prelude::*,
};

include!("../skeleton.rs");

pub struct Mine;

impl RcuRead for Mine {} //~

pub fn without_rcu<T: Pernet>(slot: &'static Slot<T>) -> Option<&'static T> {
    slot.get(Net::init_net(), &Mine)
}
