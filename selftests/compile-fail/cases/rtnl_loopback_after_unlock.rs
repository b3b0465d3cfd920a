// SPDX-License-Identifier: GPL-2.0

// A device that was found under RTNL may be gone once RTNL is not held any more.
// error: E0505 cannot move out of `guard` because it is borrowed

use rnet::{
    prelude::*,
    rtnl, //
};

include!("../skeleton.rs");

pub fn mtu(net: &Net) -> u32 {
    let guard = rtnl::lock();
    let dev = net.loopback(&guard);
    drop(guard); //~
    dev.map_or(0, Device::mtu)
}
