// SPDX-License-Identifier: GPL-2.0

// control: compiles. What the other cases do wrong is done right here, so that a broken set-up
// cannot pass as a rule that holds.

use kernel::sync::{
    new_mutex,
    rcu,
    Arc,
    Mutex, //
};
use rnet::{
    netdev::{
        Event,
        Hold,
        Notifier,
        NotifierHandle,
        Registration,
        TxHook,
        TxOverride, //
    },
    netns::{
        Kind,
        NetInit,
        Pernet,
        PernetHandle,
        Slot,
        SlotRef, //
    },
    prelude::*,
    rtnl,
    skb::{
        DropReason,
        Skb, //
    }, //
};

include!("../skeleton.rs");

#[pin_data]
struct Queued {
    #[pin]
    kept: Mutex<Option<Skb>>,
}

#[vtable]
impl Driver for Queued {
    type Queueing = Qdisc;

    fn start_xmit<'call>(&self, skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, Qdisc> {
        cx.dev().count_tx_dropped();
        match skb.len() {
            0 => Xmit::Busy(skb.busy()),
            1 => Xmit::Taken(skb.drop_with(DropReason::PKT_TOO_SMALL)),
            2 => Xmit::Taken(skb.consume()),
            3 => match skb.loop_back(cx) {
                Ok(looped) => Xmit::Taken(looped.netif_rx(cx).0),
                Err(short) => Xmit::Taken(short.disposed),
            },
            _ => {
                let (skb, disposed) = skb.take();
                *self.kept.lock() = Some(skb);
                disposed.into()
            }
        }
    }
}

struct Hook;

impl TxHook for Hook {
    fn start_xmit<'call>(skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        let _ = SLOT.get(cx.dev().net(cx), cx).map(|state| state.0);
        Xmit::Taken(skb.consume())
    }
}

struct State(u32);

static SLOT: Slot<State> = Slot::new();

impl Pernet for State {
    const KIND: Kind = Kind::Subsys;
    const SLOT: SlotRef<Self> = SlotRef::new(&SLOT);

    fn init(net: &Net, cx: &NetInit<'_>) -> Result<Arc<Self>> {
        let guard = rtnl::lock();
        if let Some(dev) = net.loopback(&guard) {
            TxOverride::<Hook>::install(cx.ctx(), dev, &guard)?.restore(&guard);
        }
        drop(guard);
        Ok(Arc::new(State(1), GFP_KERNEL)?)
    }
}

struct Watch;

impl Notifier for Watch {
    fn event(&self, _event: Event, dev: &Device, rtnl: &Rtnl) {
        let _ = dev.net(rtnl).loopback(rtnl).map(Device::mtu);
        let _: Result<Hold> = dev.hold();
    }
}

pub fn all_of_it(init: &InitCtx) -> Result {
    let _states = PernetHandle::<State>::new(init)?;
    let _watch = NotifierHandle::new(init, Watch)?;
    let reg: Registration<Queued> = Builder::ethernet(c"control%d")?.register(
        init.ctx(),
        Net::init_net(),
        pin_init!(Queued { kept <- new_mutex!(None) }),
    )?;
    let stored = reg.data().kept.lock().take();
    if let Some(skb) = stored {
        skb.consume();
    }
    let rcu = rcu::read_lock();
    let value = SLOT.get(Net::init_net(), &rcu).map(|state| state.0);
    drop(rcu);
    let guard = rtnl::lock();
    if let Some(dev) = reg.device(&guard) {
        pr_info!("{} {}\n", dev, value.unwrap_or(0));
    }
    drop(guard);
    Ok(())
}
