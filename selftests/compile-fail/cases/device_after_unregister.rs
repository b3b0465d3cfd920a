// SPDX-License-Identifier: GPL-2.0

// The device goes with the registration.
// error: E0505 cannot move out of `reg` because it is borrowed

use rnet::{
    netdev::Registration,
    prelude::*,
    rtnl, //
};

include!("../skeleton.rs");

pub fn after<T: Driver>(reg: Registration<T>) -> u32 {
    let guard = rtnl::lock();
    let dev = reg.device(&guard);
    drop(reg); //~
    dev.map_or(0, Device::mtu)
}
