// SPDX-License-Identifier: GPL-2.0

// Drivers do not import the raw C names.
// error: E0432 unresolved import `net_bindings`

use net_bindings::rtnl_lock; //~
use rnet::prelude::*;

include!("../skeleton.rs");

pub fn call() {
    let _ = rtnl_lock;
}
