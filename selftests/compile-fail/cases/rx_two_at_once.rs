// SPDX-License-Identifier: GPL-2.0

// A received frame is dealt with before the next one is taken.
// error: E0499 cannot borrow `*rx` as mutable more than once at a time

use rnet::{
    napi::Budget,
    prelude::*,
    ring::{
        RxDescriptor,
        RxPort, //
    },
};

include!("../skeleton.rs");

pub fn two<D: RxDescriptor>(rx: &mut RxPort<'_, D>, budget: &mut Budget<'_>) {
    let first = rx.next(budget);
    let second = rx.next(budget); //~
    if let (Some(first), Some(second)) = (first, second) {
        second.deliver();
        first.deliver();
    }
}

pub fn unused(_: Result) {}
