// SPDX-License-Identifier: GPL-2.0

// What a probe is handed does not outlive the call.
// error: E0521 borrowed data escapes outside of method

use rnet::{
    prelude::*,
    trace::{
        events::{
            self,
            OnDevice, //
        },
        PacketRef,
        Probe,
        ProbeCx, //
    },
};

fn keep(_packet: PacketRef<'static>) {}

include!("../skeleton.rs");

struct Case;

impl Probe<events::NetifRx> for Case {
    fn hit(&self, args: OnDevice<'_>, _cx: &ProbeCx<'_>) {
        keep(args.packet); //~
    }
}
