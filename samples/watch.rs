// SPDX-License-Identifier: GPL-2.0

//! Counts what happens to network devices, in `/sys/kernel/rnet_watch/`.

use kernel::sync::Arc;
use rnet::{
    netdev::{
        Event,
        Notifier,
        NotifierHandle, //
    },
    percpu::Counters,
    prelude::*,
    sysfs::{
        Attribute,
        Dir, //
    },
};

rnet::module! {
    type: Watch,
    name: "rnet_watch",
    authors: ["The rnet developers"],
    description: "Counts network device events",
    license: "GPL",
}

rnet::module_param! {
    /// Whether to say what happens.
    static verbose: bool = false, mode: 0o644, "print events (default N)";
}

rnet::counters! {
    enum Count { Registered, Unregistered, Up, Down }
}

type Counts = Counters<Count>;

static FILES: [Attribute<Counts>; 4] = [
    Attribute::ro(c"registered", |c, page| {
        page.emit(fmt!("{}\n", c.sum(Count::Registered)))
    }),
    Attribute::ro(c"unregistered", |c, page| {
        page.emit(fmt!("{}\n", c.sum(Count::Unregistered)))
    }),
    Attribute::ro(c"up", |c, page| page.emit(fmt!("{}\n", c.sum(Count::Up)))),
    Attribute::ro(c"down", |c, page| {
        page.emit(fmt!("{}\n", c.sum(Count::Down)))
    }),
];

struct Watcher(Arc<Counts>);

impl Notifier for Watcher {
    fn event(&self, event: Event, dev: &Device, _rtnl: &Rtnl) {
        let (count, what) = match event {
            Event::Register => (Count::Registered, "registered"),
            Event::Unregister => (Count::Unregistered, "unregistered"),
            Event::Up => (Count::Up, "up"),
            Event::Down => (Count::Down, "down"),
            _ => return,
        };
        self.0.add(count, 1);
        if verbose.get() {
            pr_info!("{}: {}\n", dev, what);
        }
    }
}

struct Watch {
    _dir: Dir,
    _notifier: NotifierHandle<Watcher>,
}

impl rnet::module::Module for Watch {
    fn init(init: &InitCtx) -> Result<Self> {
        let counts = Arc::new(Counts::new()?, GFP_KERNEL)?;
        Ok(Watch {
            _dir: Dir::under_kernel(init.ctx(), c"rnet_watch", &FILES, counts.clone())?,
            _notifier: NotifierHandle::new(init, Watcher(counts))?,
        })
    }
}
