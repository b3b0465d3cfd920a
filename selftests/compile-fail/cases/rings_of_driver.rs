// SPDX-License-Identifier: GPL-2.0

// Rings keep what the device can reach: the layer makes and ends them, a driver does not.
// error: E0603 struct `TxRing` is private
// error: E0603 struct `RxRing` is private

use rnet::{
    prelude::*,
    ring::RxRing, //~
    ring::TxRing, //~
};

include!("../skeleton.rs");

pub fn unused(_: Result) {}
