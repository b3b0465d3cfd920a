// SPDX-License-Identifier: GPL-2.0

// What was written to a file, and the device it belongs to, end with the store function.
// error: E0521 borrowed data escapes outside of closure

use rnet::{
    prelude::*,
    sysfs::Attribute, //
};

include!("../skeleton.rs");

fn keep(_dev: Option<&'static Device>) {}

pub static FILE: Attribute<u32> = Attribute::wo(c"case", |_, input| {
    keep(input.device()); //~
    Ok(())
});
