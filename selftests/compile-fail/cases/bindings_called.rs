// SPDX-License-Identifier: GPL-2.0

// Where raw C names can be reached, calling them is unsafe.
// error: E0133 call to unsafe function
// error: E0133 use of extern static

use rnet::prelude::*;

include!("../skeleton.rs");

pub fn call() {
    rnet::__nb::rtnl_lock(); //~
    let _ = &rnet::__nb::kobj_sysfs_ops; //~
}

pub fn other() {
    kernel::bindings::synchronize_rcu(); //~
}
