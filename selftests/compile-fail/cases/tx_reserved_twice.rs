// SPDX-License-Identifier: GPL-2.0

// Two reservations in one ring would have the same descriptors.
// error: E0499 cannot borrow `*tx` as mutable more than once at a time

use rnet::{
    dma::Descriptor,
    prelude::*,
    ring::TxPort, //
};

include!("../skeleton.rs");

pub fn twice<D: Descriptor>(tx: &mut TxPort<'_, D, ()>, desc: D) {
    let first = tx.reserve(1);
    let second = tx.reserve(1); //~
    if let (Some((mut first, _)), Some((mut second, _))) = (first, second) {
        first.context(desc);
        second.context(desc);
    }
}

pub fn unused(_: Result) {}
