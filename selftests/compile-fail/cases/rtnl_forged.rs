// SPDX-License-Identifier: GPL-2.0

// Proof that RTNL is held is not made by drivers.
// error: E0423 cannot initialize a tuple struct which contains private fields
// error: E0624 associated function `assume` is private

use kernel::types::NotThreadSafe;
use rnet::prelude::*;

include!("../skeleton.rs");

pub fn one() -> Rtnl {
    Rtnl(NotThreadSafe) //~
}

pub fn other() -> Rtnl {
    Rtnl::assume() //~
}
