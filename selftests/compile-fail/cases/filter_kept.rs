// SPDX-License-Identifier: GPL-2.0

// The lists of addresses are there while their lock is held.
// error: - lifetime may not live long enough

use rnet::{
    nic::AddressFilter,
    prelude::*, //
};

include!("../skeleton.rs");

pub fn keep(filter: AddressFilter<'_>) -> AddressFilter<'static> {
    filter //~
}

pub fn unused(_: Result) {}
