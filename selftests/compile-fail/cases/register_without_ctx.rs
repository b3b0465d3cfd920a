// SPDX-License-Identifier: GPL-2.0

// A device is registered by a module that the layer's adapter has loaded.
// error: E0061 this method takes 3 arguments but 2 arguments were supplied

use rnet::prelude::*;

include!("../skeleton.rs");

pub fn register<T: Driver>(builder: Builder<T>, data: T) -> Result {
    builder.register(Net::init_net(), data)?; //~
    Ok(())
}
