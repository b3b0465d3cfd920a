// SPDX-License-Identifier: GPL-2.0

//! Taking over the transmit callback of a device that somebody else has registered.
//!
//! The device keeps its identity (index, addresses, routes, statistics): only its table of
//! callbacks is exchanged for a copy with another `ndo_start_xmit`, under traffic, and back. The
//! stack reads the pointer to the table once per packet inside an RCU-bh read-side section, which
//! module exit waits for. Others (ethtool) look into the table with nothing but a reference to the
//! device. So a copy is never freed while the module is loaded: devices with the same table share
//! one, and module exit waits for tasks that may be in the middle of looking
//! (`synchronize_rcu_tasks()`).

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Arc, //
    },
};
use net_bindings as nb;

use super::{
    Device,
    Hold, //
};
use crate::{
    module::ModuleCtx,
    registry::{
        Handle,
        Registered, //
    },
    rtnl::{
        self,
        Rtnl, //
    },
    skb::{
        NoQueue,
        TxSkb,
        Xmit,
        XmitCx, //
    },
};

/// A transmit callback for a device that belongs to somebody else.
///
/// It has no `self`: what it needs it finds through the device's namespace
/// ([`Pernet`](crate::netns::Pernet)), because the table of callbacks may already have been put
/// back while a packet is still on its way.
pub trait TxHook: 'static {
    /// Sends a packet in place of the device's own callback. Softirqs off, RCU read side, no
    /// transmit lock; must not sleep.
    fn start_xmit<'call>(skb: TxSkb<'call>, cx: &XmitCx<'_>) -> Xmit<'call, NoQueue>;
}

/// A taken-over transmit callback. Dropping it gives the device its own back: process context,
/// takes RTNL, so it must not be dropped with RTNL held; use [`restore`](Self::restore) there.
///
/// It holds a reference to the device: one that can be unregistered before the module exits waits
/// for it, so let go when a [`Notifier`](super::Notifier) says `Unregister`, or in
/// [`Pernet::pre_exit`](crate::netns::Pernet::pre_exit) for a namespace's loopback device.
pub struct TxOverride<H: TxHook>(Handle<Inner>, PhantomData<H>);

impl<H: TxHook> TxOverride<H> {
    /// Takes over `dev`. Packets of other CPUs may take the old way until they have seen the
    /// change; none is lost.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for a device that has a queue discipline, a transmit lock or an instance lock,
    /// or may be given shared packets: a hook is not written for those. `EBUSY` if it is taken over
    /// already, by this module or another: takeovers do not stack. `ENODEV` for a device that is
    /// not registered; `ENOMEM`.
    pub fn install(_ctx: ModuleCtx, dev: &Device, _rtnl: &Rtnl) -> Result<Self> {
        let raw = dev.as_raw();
        // SAFETY: A valid device; under RTNL these do not change.
        let fits = unsafe {
            nb::netdev_is_noqueue(raw)
                && nb::netdev_lltx(raw)
                && !nb::netdev_may_share_skbs(raw)
                && !nb::netdev_need_ops_lock(raw)
        };
        if !fits {
            return Err(EOPNOTSUPP);
        }
        // SAFETY: A valid device, under RTNL. Every takeover of this layer puts a heap table in.
        if unsafe { nb::netdev_ops_on_heap(raw) } {
            return Err(EBUSY);
        }

        // SAFETY: Under RTNL; the table is valid as long as the device is registered.
        let original = NonNull::new(unsafe { nb::netdev_ops(raw) }.cast_mut()).ok_or(EOPNOTSUPP)?;
        // SAFETY: A driver's table, which nobody writes to.
        let mut ops = unsafe { original.as_ptr().read() };
        ops.ndo_start_xmit = Some(start_xmit::<H>);

        let inner = Arc::new(
            Inner {
                dev: dev.hold()?,
                original,
                copy: shared_copy(ops)?,
                active: Atomic::new(0),
            },
            GFP_KERNEL,
        )?;
        let handle = Handle::new(inner, |inner| {
            // SAFETY: Under RTNL, which writers of the pointer hold; the copy is complete and stays
            // until the module exits.
            unsafe { nb::netdev_set_ops(inner.dev.as_raw(), inner.copy.as_ptr()) };
            inner.active.store(1, Release);
            Ok(())
        })?;
        Ok(Self(handle, PhantomData))
    }

    /// Gives the device its own callback back, with RTNL already held. Does not wait: packets of
    /// other CPUs may come this way until they have seen the change.
    pub fn restore(self, rtnl: &Rtnl) {
        self.0.restore(rtnl);
    }
}

/// # Invariants
///
/// `copy` is one of [`TABLES`].
struct Inner {
    dev: Hold,
    original: NonNull<nb::net_device_ops>,
    copy: NonNull<nb::net_device_ops>,
    active: Atomic<u32>,
}

// SAFETY: The tables are constant; pointers to them may be used by any thread.
unsafe impl Send for Inner {}
// SAFETY: See above.
unsafe impl Sync for Inner {}

impl Inner {
    /// Puts the device's own table back.
    fn restore(&self, _rtnl: &Rtnl) {
        if self.active.load(Acquire) != 1 {
            return;
        }
        self.active.store(0, Release);
        let dev = self.dev.as_raw();
        // SAFETY: A held device, under RTNL.
        unsafe {
            if nb::netdev_ops(dev) == self.copy.as_ptr().cast_const() {
                nb::netdev_set_ops(dev, self.original.as_ptr());
            } else {
                // Not a takeover of this layer, which would have refused.
                pr_err!(
                    "{}: somebody has exchanged the callbacks since\n",
                    &*self.dev
                );
            }
        }
    }
}

impl Registered for Inner {
    fn unregister(&self) {
        if self.active.load(Acquire) == 1 {
            self.restore(&rtnl::lock());
        }
    }
}

/// A copied table, which the devices that had the same one share.
struct Table(KBox<nb::net_device_ops>);

// SAFETY: A table of function pointers that nobody writes to.
unsafe impl Send for Table {}

kernel::sync::global_lock! {
    // SAFETY: Initialised in `init()` before first use, which `ModuleCtx` proves.
    unsafe(uninit) static TABLES: Mutex<KVec<Table>> = KVec::new();
}

/// Prepares the list of copied tables.
///
/// # Safety
///
/// Must be called once, before anything is registered: by the module's init function.
pub(crate) unsafe fn init() {
    // SAFETY: Called once, by the requirement of this function.
    unsafe { TABLES.init() };
}

/// Frees the copied tables, at the end of the module: no device points to one any more.
pub(crate) fn free_tables() {
    let tables = core::mem::take(&mut *TABLES.lock());
    if !tables.is_empty() {
        // SAFETY: Process context without locks. Waits for tasks that have loaded a pointer to a
        // table, which none keeps across a voluntary switch. A kernel without this kind of RCU
        // preempts no task, and has the other one stand for it, as `<linux/rcupdate.h>` says.
        #[cfg(CONFIG_TASKS_RCU)]
        unsafe {
            nb::synchronize_rcu_tasks()
        };
        #[cfg(not(CONFIG_TASKS_RCU))]
        // SAFETY: Process context without locks, at the end of the module; it may sleep.
        unsafe {
            nb::synchronize_rcu()
        };
    }
}

/// A copy of `ops` that stays until the module exits. Errors: `ENOMEM`.
fn shared_copy(ops: nb::net_device_ops) -> Result<NonNull<nb::net_device_ops>> {
    let mut tables = TABLES.lock();
    for table in tables.iter() {
        if words(&table.0) == words(&ops) {
            return Ok(NonNull::from(&*table.0));
        }
    }
    let table = Table(KBox::new(ops, GFP_KERNEL)?);
    let copy = NonNull::from(&*table.0);
    tables.push(table, GFP_KERNEL)?;
    Ok(copy)
}

/// The function pointers of a table, to be compared.
fn words(ops: &nb::net_device_ops) -> &[usize] {
    const { assert!(size_of::<nb::net_device_ops>() % size_of::<usize>() == 0) };
    // SAFETY: The table consists of pointers only, without padding, all initialised.
    unsafe {
        core::slice::from_raw_parts(
            core::ptr::from_ref(ops).cast(),
            size_of::<nb::net_device_ops>() / size_of::<usize>(),
        )
    }
}

unsafe extern "C" fn start_xmit<H: TxHook>(
    skb: *mut nb::sk_buff,
    dev: *mut nb::net_device,
) -> nb::netdev_tx_t {
    // SAFETY: Called with softirqs off inside an RCU-bh read-side section on a registered device.
    // Module exit waits for such sections after the tables have been put back.
    let cx = unsafe { XmitCx::new(Device::from_raw(dev)) };
    // SAFETY: The core hands over the packet, never null, and not shared, as `install()` checked.
    // The lifetime is free in `H::start_xmit`.
    let skb = unsafe { TxSkb::from_raw(NonNull::new_unchecked(skb)) };
    H::start_xmit(skb, &cx).into_raw()
}
