// SPDX-License-Identifier: GPL-2.0

// A device may be moved to another namespace, and its old one end, once RTNL is not held any more.
// error: E0505 cannot move out of `guard` because it is borrowed

use rnet::{
    netdev::Hold,
    prelude::*,
    rtnl, //
};

include!("../skeleton.rs");

pub fn after(hold: &Hold) -> u32 {
    let guard = rtnl::lock();
    let net = hold.net(&*guard);
    drop(guard); //~
    net.inum()
}
