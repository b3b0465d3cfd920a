// SPDX-License-Identifier: GPL-2.0

// The driver's data goes with the registration.
// error: E0505 cannot move out of `reg` because it is borrowed

use rnet::{
    netdev::Registration,
    prelude::*, //
};

include!("../skeleton.rs");

pub fn after<T: Driver>(reg: Registration<T>) -> bool {
    let data = reg.data();
    drop(reg); //~
    core::ptr::eq(data, data)
}
