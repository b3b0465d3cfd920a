// SPDX-License-Identifier: GPL-2.0

// Files are read by several tasks at once: their data is shared between threads.
// error: E0277 cannot be shared between threads safely

use kernel::sync::Arc;
use rnet::{
    prelude::*,
    sysfs::{
        Attribute,
        Group, //
    },
};

include!("../skeleton.rs");

static FILES: [Attribute<core::cell::Cell<u32>>; 0] = [];

pub fn group(data: Arc<core::cell::Cell<u32>>) {
    let _ = Group::new(c"case", &FILES, data); //~
}
