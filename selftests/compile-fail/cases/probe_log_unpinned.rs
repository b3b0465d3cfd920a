// SPDX-License-Identifier: GPL-2.0

// Only probes write to a log of events: what stays on its CPU and does not sleep.
// error: E0308 mismatched types

use rnet::{
    prelude::*,
    trace::EventLog, //
};

include!("../skeleton.rs");

pub fn push(log: &EventLog<1>, rtnl: &Rtnl) -> bool {
    log.push([1], rtnl) //~
}
