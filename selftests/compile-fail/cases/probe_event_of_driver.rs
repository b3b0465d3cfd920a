// SPDX-License-Identifier: GPL-2.0

// Events, and with them prototypes, are the layer's: a driver cannot make one.
// error: E0046 not all trait items implemented
// error: E0277 the trait bound `Mine: trace::tracepoint::table::Entry` is not satisfied

use rnet::trace::Event;

include!("../skeleton.rs");

pub struct Mine;

impl Event for Mine {} //~
