// SPDX-License-Identifier: GPL-2.0

// The namespace that a device is in is good during the call that asked for it.
// error: - lifetime may not live long enough

use rnet::prelude::*;

include!("../skeleton.rs");

pub fn keep(cx: &XmitCx<'_>) -> &'static Net {
    cx.dev().net(cx) //~
}
