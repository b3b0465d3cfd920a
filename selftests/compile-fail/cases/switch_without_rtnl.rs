// SPDX-License-Identifier: GPL-2.0

// Queues are switched under RTNL, of devices that were built with a switch, and nobody makes one.
// error: E0308 mismatched types
// error: E0624 `new` is private

use rnet::{
    prelude::*,
    softq::Switch, //
};

include!("../skeleton.rs");

pub fn without_lock(switch: &Switch) -> Result {
    switch.set(true, switch) //~
}

pub fn forged() {
    let _ = Switch::new; //~
}
