// SPDX-License-Identifier: GPL-2.0

// Neither does a socket that a probe is handed.
// error: E0521 borrowed data escapes outside of method

use rnet::{
    prelude::*,
    trace::{
        events,
        Probe,
        ProbeCx,
        SocketRef, //
    },
};

fn keep(_socket: SocketRef<'static>) {}

include!("../skeleton.rs");

struct Case;

impl Probe<events::SkDataReady> for Case {
    fn hit(&self, socket: SocketRef<'_>, _cx: &ProbeCx<'_>) {
        keep(socket); //~
    }
}
