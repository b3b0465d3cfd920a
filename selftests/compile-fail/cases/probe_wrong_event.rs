// SPDX-License-Identifier: GPL-2.0

// A probe is attached to the event that it was written for.
// error: E0277 Probe<NetifReceiveSkb>` is not satisfied

use kernel::sync::Arc;
use rnet::{
    prelude::*,
    trace::{
        events::{
            self,
            OnDevice, //
        },
        Attached,
        Probe,
        ProbeCx, //
    },
};

include!("../skeleton.rs");

struct Case;

impl Probe<events::NetifRx> for Case {
    fn hit(&self, _args: OnDevice<'_>, _cx: &ProbeCx<'_>) {}
}

fn attach(ctx: ModuleCtx, case: Arc<Case>) {
    drop(Attached::<events::NetifReceiveSkb, _>::new(ctx, case)); //~
}
