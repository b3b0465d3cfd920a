// SPDX-License-Identifier: GPL-2.0

// The registers are lent to a callback: kept, they would be used after they were unmapped.
// error: - lifetime may not live long enough

use rnet::{
    mmio::Mmio,
    nic::Nic,
    prelude::*, //
};

include!("../skeleton.rs");

pub fn keep(nic: &Nic<'_>) -> &'static Mmio {
    nic.io() //~
}

pub fn unused(_: Result) {}
