// SPDX-License-Identifier: GPL-2.0

// What a namespace's init can do ends with it.
// error: E0521 borrowed data escapes outside of

use kernel::sync::Arc;
use rnet::{
    netns::{
        Kind,
        NetInit,
        Pernet,
        Slot,
        SlotRef, //
    },
    prelude::*,
};

include!("../skeleton.rs");

fn keep(_net: &'static Net) {}

pub struct State;

static SLOT: Slot<State> = Slot::new();

impl Pernet for State {
    const KIND: Kind = Kind::Subsys;
    const SLOT: SlotRef<Self> = SlotRef::new(&SLOT);

    fn init(net: &Net, _cx: &NetInit<'_>) -> Result<Arc<Self>> {
        keep(net); //~
        Ok(Arc::new(State, GFP_KERNEL)?)
    }
}
