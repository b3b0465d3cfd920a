// SPDX-License-Identifier: GPL-2.0

// The device that an event is about is not kept without a reference.
// error: E0521 borrowed data escapes outside of method

use rnet::{
    netdev::{
        Event,
        Notifier, //
    },
    prelude::*,
};

include!("../skeleton.rs");

pub struct Case;

fn keep(_dev: &'static Device) {}

impl Notifier for Case {
    fn event(&self, _event: Event, dev: &Device, _rtnl: &Rtnl) {
        keep(dev); //~
    }
}
