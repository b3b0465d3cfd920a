// SPDX-License-Identifier: GPL-2.0

// Proof that this task holds RTNL proves nothing in another.
// error: E0277 cannot be shared between threads safely
// error: E0277 cannot be sent between threads safely

use rnet::{
    prelude::*,
    rtnl::Guard, //
};

include!("../skeleton.rs");

fn in_another_task<F: FnOnce() + Send>(_f: F) {}

pub fn lend(rtnl: &Rtnl) {
    in_another_task(move || drop(Net::init_net().loopback(rtnl).map(Device::mtu)));
    //~
}

pub fn give(guard: Guard) {
    in_another_task(move || drop(guard)); //~
}
