// SPDX-License-Identifier: GPL-2.0

// A probe is attached only where module exit will take it away.
// error: E0061 this function takes 2 arguments but 1 argument was supplied

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

fn attach(case: Arc<Case>) {
    drop(Attached::<events::NetifRx, _>::new(case)); //~
}
