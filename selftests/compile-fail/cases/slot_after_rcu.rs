// SPDX-License-Identifier: GPL-2.0

// What a slot finds is good during the RCU read side only.
// error: E0505 cannot move out of `guard` because it is borrowed

use kernel::sync::rcu;
use rnet::{
    netns::{
        Pernet,
        Slot, //
    },
    prelude::*,
};

include!("../skeleton.rs");

pub fn after<T: Pernet>(slot: &'static Slot<T>, net: &Net) -> bool {
    let guard = rcu::read_lock();
    let state = slot.get(net, &guard);
    drop(guard); //~
    state.is_some()
}
