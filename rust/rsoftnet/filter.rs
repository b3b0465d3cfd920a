// SPDX-License-Identifier: GPL-2.0

//! Looking at one device or one namespace only.

use kernel::{
    str::CString,
    sync::Arc, //
};
use rnet::{
    identity::Filter,
    netdev::{
        Event,
        Notifier, //
    },
    netns::{
        Kind,
        NetInit,
        Pernet,
        Slot,
        SlotRef, //
    },
    prelude::*,
    rtnl,
    sysfs::{
        Input,
        Page,
        Text, //
    },
};

use crate::{
    control::Control,
    core::Core, //
};

/// What was asked for, as it was written.
pub(crate) struct Wanted {
    device: Option<CString>,
    netns: Option<u32>,
}

impl Wanted {
    pub(crate) const fn new() -> Self {
        Self {
            device: None,
            netns: None,
        }
    }
}

/// The name of the device, as it was when the filter was set, or nothing.
pub(crate) fn show_device(control: &Control, page: &mut Page<'_>) -> Result {
    let wanted = control.wanted.lock();
    match &wanted.device {
        Some(_) if control.core.device.is_gone() => page.emit(fmt!("(gone)\n")),
        Some(name) => page.emit(fmt!("{}\n", name.to_str().map_err(|_| EINVAL)?)),
        None => page.emit(fmt!("\n")),
    }
}

/// A name in the writer's namespace, or nothing.
pub(crate) fn store_device(control: &Control, input: Input<'_>) -> Result {
    let name = input.bytes();
    if name.is_empty() {
        let mut wanted = control.wanted.lock();
        control.core.device.open();
        wanted.device = None;
        return Ok(());
    }
    if name.contains(&0) {
        return Err(EINVAL);
    }
    let name = core::str::from_utf8(name).map_err(|_| EINVAL)?;
    let name = CString::try_from_fmt(fmt!("{}", name))?;
    let rtnl = rtnl::try_lock_or_restart()?;
    let mut wanted = control.wanted.lock();
    Net::with_current(|net| -> Result {
        let dev = Device::by_name(net, &name, &rtnl).ok_or(ENODEV)?;
        // RTNL is held: it is not unregistered between this and the notification.
        control.core.device.only(dev.id());
        Ok(())
    })?;
    wanted.device = Some(name);
    Ok(())
}

/// The inode number of the namespace, or nothing.
pub(crate) fn show_netns(control: &Control, page: &mut Page<'_>) -> Result {
    let wanted = control.wanted.lock();
    match wanted.netns {
        Some(_) if NETNS.is_gone() => page.emit(fmt!("(gone)\n")),
        Some(inum) => page.emit(fmt!("{}\n", inum)),
        None => page.emit(fmt!("\n")),
    }
}

/// An inode number, or nothing.
pub(crate) fn store_netns(control: &Control, input: Input<'_>) -> Result {
    let mut wanted = control.wanted.lock();
    if input.bytes().is_empty() {
        NETNS.open();
        wanted.netns = None;
        return Ok(());
    }
    let inum = input.number()?;
    Net::with_inum(inum, |net| NETNS.only(net.id())).ok_or(ENOENT)?;
    wanted.netns = Some(inum);
    Ok(())
}

/// Two lines of the snapshot.
pub(crate) fn describe(control: &Control, text: &mut Text) -> Result {
    let wanted = control.wanted.lock();
    match &wanted.device {
        Some(_) if control.core.device.is_gone() => text.emit(fmt!("filter device (gone)\n"))?,
        Some(name) => text.emit(fmt!("filter device {}\n", name.to_str().unwrap_or("?")))?,
        None => text.emit(fmt!("filter device -\n"))?,
    }
    match wanted.netns {
        Some(_) if NETNS.is_gone() => text.emit(fmt!("filter netns (gone)\n")),
        Some(inum) => text.emit(fmt!("filter netns {}\n", inum)),
        None => text.emit(fmt!("filter netns -\n")),
    }
}

/// Sees devices end.
pub(crate) struct Devices(pub(crate) Arc<Core>);

impl Notifier for Devices {
    fn event(&self, event: Event, dev: &Device, _rtnl: &Rtnl) {
        if event == Event::Unregister {
            self.0.device.gone(dev.id());
        }
    }
}

/// Which namespace is looked at. Static, since what sees namespaces end is.
pub(crate) static NETNS: Filter<Net> = Filter::new();

/// Sees namespaces end.
pub(crate) struct Namespace;

static SLOT: Slot<Namespace> = Slot::new();

impl Pernet for Namespace {
    const KIND: Kind = Kind::Subsys;
    const SLOT: SlotRef<Self> = SlotRef::new(&SLOT);

    fn init(_net: &Net, _cx: &NetInit<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Namespace, GFP_KERNEL)?)
    }

    fn pre_exit(&self, net: &Net) {
        NETNS.gone(net.id());
    }
}
