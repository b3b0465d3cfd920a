// SPDX-License-Identifier: GPL-2.0

//! The smallest network device: it counts what it is given to send, and consumes it.

use kernel::sync::Arc;
use rnet::{
    netdev::Registration,
    percpu::Counters,
    prelude::*,
    sysfs::{
        Attribute,
        Group, //
    },
};

rnet::module! {
    type: DummyModule,
    name: "rnet_dummy",
    authors: ["The rnet developers"],
    description: "Smallest network device on rnet",
    license: "GPL",
}

rnet::counters! {
    enum Count { Packets, Bytes }
}

type Counts = Counters<Count>;

/// `/sys/class/net/rdummy0/rnet_dummy/`
static FILES: [Attribute<Counts>; 1] = [Attribute::ro(c"packets", |c, page| {
    page.emit(fmt!("{}\n", c.sum(Count::Packets)))
})];

struct Dummy(Arc<Counts>);

#[vtable]
impl Driver for Dummy {
    type Queueing = NoQueue;
    const LLTX: bool = true;

    fn start_xmit<'call>(&self, mut skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue> {
        self.0.add(Count::Packets, 1);
        self.0.add(Count::Bytes, skb.len().into());
        skb.tx_timestamp(cx);
        Xmit::Taken(skb.consume())
    }

    fn stats64(&self, _dev: &Device, stats: &mut LinkStats) {
        stats.tx_packets(self.0.sum(Count::Packets));
        stats.tx_bytes(self.0.sum(Count::Bytes));
    }
}

struct DummyModule(#[allow(dead_code)] Registration<Dummy>);

impl rnet::module::Module for DummyModule {
    fn init(init: &InitCtx) -> Result<Self> {
        let counts = Arc::new(Counts::new()?, GFP_KERNEL)?;
        let dev = Builder::ethernet(c"rdummy%d")?
            .random_address()
            .sysfs_group(Group::new(c"rnet_dummy", &FILES, counts.clone()))?
            .register(init.ctx(), Net::init_net(), Dummy(counts))?;
        Ok(Self(dev))
    }
}
