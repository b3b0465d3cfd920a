// SPDX-License-Identifier: GPL-2.0

// What is left of a budget ends with its poll.
// error: - lifetime may not live long enough

use rnet::{
    napi::Budget,
    prelude::*, //
};

include!("../skeleton.rs");

pub fn keep<'a>(budget: &'a mut Budget<'_>) -> &'a mut Budget<'static> {
    budget //~
}

pub fn unused(_: Result) {}
