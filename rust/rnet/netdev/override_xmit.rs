// SPDX-License-Identifier: GPL-2.0

//! Taking over the transmit callback of a device that somebody else has registered.
//!
//! The device keeps its identity (index, addresses, routes, statistics): only its table of
//! callbacks is exchanged for a copy with another `ndo_start_xmit`, under traffic, and back. The
//! stack reads the pointer to the table once per packet inside an RCU-bh read-side section, so the
//! copy is freed after a grace period. `net/mac80211/iface.c` exchanges tables of a live device the
//! same way.

use core::{
    marker::PhantomData,
    ptr::{
        null_mut,
        NonNull, //
    },
};

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
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
pub struct TxOverride<H: TxHook>(Handle<Inner>, PhantomData<H>);

impl<H: TxHook> TxOverride<H> {
    /// Takes over `dev`. Packets of other CPUs may take the old way until they have seen the
    /// change; none is lost.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for a device that has a queue discipline, a transmit lock or may be given
    /// shared packets: a hook is not written for those. `EBUSY` if this module has taken it over
    /// already. `ENOMEM`.
    pub fn install(_ctx: ModuleCtx, dev: &Device, _rtnl: &Rtnl) -> Result<Self> {
        // SAFETY: A valid device; under RTNL these do not change.
        let fits = unsafe {
            nb::netdev_is_noqueue(dev.as_raw())
                && nb::netdev_lltx(dev.as_raw())
                && !nb::netdev_may_share_skbs(dev.as_raw())
        };
        if !fits {
            return Err(EOPNOTSUPP);
        }

        if TAKEN.lock().contains(&(dev.as_raw() as usize)) {
            return Err(EBUSY);
        }

        // SAFETY: Under RTNL; the table is valid as long as the device is registered.
        let original = unsafe { nb::netdev_ops(dev.as_raw()) };
        let original = NonNull::new(original.cast_mut()).ok_or(EOPNOTSUPP)?;
        // SAFETY: A valid table, constant since registration.
        let mut ops = unsafe { original.as_ptr().read() };
        ops.ndo_start_xmit = Some(start_xmit::<H>);
        let copy = KBox::new(ops, GFP_KERNEL)?;
        let inner = Arc::new(
            Inner {
                dev: dev.hold()?,
                original,
                copy: Atomic::new(KBox::into_raw(copy)),
                active: Atomic::new(0),
            },
            GFP_KERNEL,
        )?;
        let handle = Handle::new(inner, |inner| {
            TAKEN.lock().push(inner.dev.as_raw() as usize, GFP_KERNEL)?;
            // SAFETY: Under RTNL, which writers of the pointer hold; the copy is complete, and
            // lives until a grace period after the pointer was put back.
            unsafe { nb::netdev_set_ops(inner.dev.as_raw(), inner.copy.load(Relaxed)) };
            inner.active.store(1, Release);
            Ok(())
        })?;
        Ok(Self(handle, PhantomData))
    }

    /// Gives the device its own callback back, with RTNL already held. May sleep for a grace
    /// period. When another module has taken the device over since, it must let go first: the
    /// override is returned, still in place; it must not be dropped with RTNL held.
    pub fn restore(self, rtnl: &Rtnl) -> Result<(), Self> {
        if self.0.restore(rtnl) {
            Ok(())
        } else {
            Err(self)
        }
    }
}

kernel::sync::global_lock! {
    // SAFETY: Initialised in `init()` before first use, which `ModuleCtx` proves.
    unsafe(uninit) static TAKEN: Mutex<KVec<usize>> = KVec::new();
}

/// Prepares the list of devices that this module has taken over.
///
/// # Safety
///
/// Must be called once, before anything is registered: by the module's init function.
pub(crate) unsafe fn init() {
    // SAFETY: Called once, by the requirement of this function.
    unsafe { TAKEN.init() };
}

/// # Invariants
///
/// While `active` is 1, `dev` points to `copy`, or somebody has exchanged the table once more.
/// `copy` is null or a box of ours that nobody else will free.
struct Inner {
    dev: Hold,
    original: NonNull<nb::net_device_ops>,
    copy: Atomic<*mut nb::net_device_ops>,
    active: Atomic<u32>,
}

// SAFETY: The tables are constant; pointers to them may be used by any thread.
unsafe impl Send for Inner {}
// SAFETY: See above.
unsafe impl Sync for Inner {}

impl Inner {
    /// Puts the device's own table back. False when another module's table is in the way.
    fn restore(&self, _rtnl: &Rtnl) -> bool {
        let dev = self.dev.as_raw();
        let copy = self.copy.load(Relaxed);
        if self.active.load(Acquire) != 1 {
            return true;
        }
        // SAFETY: A held device, under RTNL.
        if unsafe { nb::netdev_ops(dev) } != copy.cast_const() {
            return false;
        }
        self.active.store(0, Release);
        self.copy.store(null_mut(), Relaxed);
        TAKEN.lock().retain(|taken| *taken != dev as usize);
        // SAFETY: Under RTNL. Readers hold the pointer only inside RCU-bh read-side sections, which
        // a grace period waits for; the copy is a `kmalloc()` allocation and ours, and nobody else
        // has been given a pointer to it, since it was the device's table until now.
        unsafe {
            nb::netdev_set_ops(dev, self.original.as_ptr());
            nb::kfree_rcu_mightsleep(copy.cast());
        }
        true
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let copy = self.copy.load(Relaxed);
        if !copy.is_null() {
            // SAFETY: By the type invariant; installing it has failed, so no device points to it.
            drop(unsafe { KBox::from_raw(copy) });
        }
    }
}

impl Registered for Inner {
    fn unregister(&self) {
        // Whoever came after us calls into our text: wait until it has let go.
        let mut waited = 0u32;
        while self.active.load(Acquire) == 1 && !self.restore(&rtnl::lock()) {
            if waited % 100 == 0 {
                pr_warn!(
                    "{}: waiting for another module to give its transmit path back\n",
                    &*self.dev
                );
            }
            waited = waited.wrapping_add(1);
            fsleep(Delta::from_millis(100));
        }
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
