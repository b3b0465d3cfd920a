// SPDX-License-Identifier: GPL-2.0

// Driver crates have no unsafe code: an implementation.
// error: unsafe_code implementation of an `unsafe` trait

use rnet::prelude::*;

include!("../skeleton.rs");

pub struct Case(*const u32);

unsafe impl Send for Case {} //~
