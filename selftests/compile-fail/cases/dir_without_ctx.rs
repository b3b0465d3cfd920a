// SPDX-License-Identifier: GPL-2.0

// A directory is made by a module that the layer's adapter has loaded.
// error: E0061 this function takes 4 arguments but 3 arguments were supplied

use kernel::sync::Arc;
use rnet::{
    prelude::*,
    sysfs::{
        Attribute,
        Dir, //
    },
};

include!("../skeleton.rs");

static FILES: [Attribute<u32>; 0] = [];

pub fn dir(data: Arc<u32>) -> Result<Dir> {
    Dir::under_kernel(c"case", &FILES, data) //~
}
