// SPDX-License-Identifier: GPL-2.0

// The layer does not pass on its raw C names, and those of the kernel's crate are unsafe to call.
// error: E0433 could not find `__nb` in `rnet`
// error: E0133 call to unsafe function
// error: E0133 use of mutable static

use rnet::prelude::*;

include!("../skeleton.rs");

pub fn call() {
    rnet::__nb::rtnl_lock(); //~
}

pub fn other() {
    kernel::bindings::synchronize_rcu(); //~
    let _ = &kernel::bindings::__this_module; //~
}
