// SPDX-License-Identifier: GPL-2.0

// A namespace's loopback device is looked up under RTNL only.
// error: E0061 this method takes 1 argument but 0 arguments were supplied

use rnet::prelude::*;

include!("../skeleton.rs");

pub fn mtu(net: &Net) -> u32 {
    net.loopback().map_or(0, Device::mtu) //~
}
