// SPDX-License-Identifier: GPL-2.0

// What is made of raw pointers is made by the layer.
// error: E0624 is private

use rnet::{
    prelude::*,
    skb::Skb, //
};

include!("../skeleton.rs");

pub fn make() {
    let dev = Device::from_raw(core::ptr::null_mut()); //~
    let _ = dev.as_raw(); //~
    let _ = Net::from_raw(core::ptr::null_mut()); //~
    let _ = TxSkb::from_raw(core::ptr::NonNull::dangling()); //~
    let _ = XmitCx::new(dev); //~
}

pub fn take(skb: Skb) {
    let _ = skb.into_raw(); //~
}
