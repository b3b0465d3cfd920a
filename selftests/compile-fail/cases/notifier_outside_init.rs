// SPDX-License-Identifier: GPL-2.0

// A notifier is registered at module init, not by a namespace's init: both take pernet_ops_rwsem.
// error: E0308 mismatched types

use kernel::sync::Arc;
use rnet::{
    netdev::{
        Event,
        Notifier,
        NotifierHandle, //
    },
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

pub struct Watch;

impl Notifier for Watch {
    fn event(&self, _event: Event, _dev: &Device, _rtnl: &Rtnl) {}
}

pub struct State(#[allow(dead_code)] NotifierHandle<Watch>);

static SLOT: Slot<State> = Slot::new();

impl Pernet for State {
    const KIND: Kind = Kind::Subsys;
    const SLOT: SlotRef<Self> = SlotRef::new(&SLOT);

    fn init(_net: &Net, cx: &NetInit<'_>) -> Result<Arc<Self>> {
        let handle = NotifierHandle::new(&cx.ctx(), Watch)?; //~
        Ok(Arc::new(State(handle), GFP_KERNEL)?)
    }
}
