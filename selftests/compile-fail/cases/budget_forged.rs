// SPDX-License-Identifier: GPL-2.0

// Nobody gives himself a budget, or takes from one without receiving.
// error: E0624 `new` is private
// error: E0624 `take` is private

use rnet::{
    napi::Budget,
    prelude::*, //
};

include!("../skeleton.rs");

pub fn forge(budget: &mut Budget<'_>) {
    let _ = Budget::new(64); //~
    budget.take(); //~
}

pub fn unused(_: Result) {}
