// SPDX-License-Identifier: GPL-2.0

// A registered device may be unregistered (while the module exits) once RTNL is not held any more.
// error: E0505 cannot move out of `guard` because it is borrowed

use rnet::{
    netdev::Registration,
    prelude::*,
    rtnl, //
};

include!("../skeleton.rs");

pub fn after<T: Driver>(reg: &Registration<T>) -> u32 {
    let guard = rtnl::lock();
    let dev = reg.device(&guard);
    drop(guard); //~
    dev.map_or(0, Device::mtu)
}
