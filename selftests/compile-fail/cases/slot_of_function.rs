// SPDX-License-Identifier: GPL-2.0

// A namespace's state is found by the same slot each time: a static, not what a function chooses.
// error: E0015 cannot call non-const function `choose`
// error: E0716 temporary value dropped while borrowed

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

static SLOTS: [Slot<State>; 2] = [Slot::new(), Slot::new()];

fn choose() -> &'static Slot<State> {
    let [even, odd] = &SLOTS;
    if Net::init_net().inum() % 2 == 0 {
        even
    } else {
        odd
    }
}

pub struct State;

impl Pernet for State {
    const KIND: Kind = Kind::Subsys;
    const SLOT: SlotRef<Self> = SlotRef::new(choose()); //~

    fn init(_net: &Net, _cx: &NetInit<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(State, GFP_KERNEL)?)
    }
}

pub struct Other;

impl Pernet for Other {
    const KIND: Kind = Kind::Subsys;
    const SLOT: SlotRef<Self> = SlotRef::new(&Slot::new()); //~

    fn init(_net: &Net, _cx: &NetInit<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Other, GFP_KERNEL)?)
    }
}
