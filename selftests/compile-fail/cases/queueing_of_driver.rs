// SPDX-License-Identifier: GPL-2.0

// How a device is fed is the layer's to define: a driver's own kind could offer Busy without a
// queue discipline.
// error: E0277 is not satisfied

use rnet::{
    prelude::*,
    skb::Queueing, //
};

include!("../skeleton.rs");

pub enum Mine {}

impl Queueing for Mine {
    //~
    type Busy<'call> = Busy<'call>;
    const NO_QUEUE: bool = true;

    fn give_back<'call>(busy: Busy<'call>) -> Busy<'call>
    where
        'call: 'call,
    {
        busy
    }
}
