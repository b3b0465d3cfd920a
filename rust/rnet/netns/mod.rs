// SPDX-License-Identifier: GPL-2.0

//! Network namespaces: `struct net`.
//!
//! C header: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

pub(crate) mod context;
mod loopback;
mod pernet;
mod pin;

pub use context::{
    NetRead,
    RcuRead, //
};
pub use loopback::{
    replace_loopback,
    Replaced, //
};
pub use pernet::{
    Kind,
    NetInit,
    Pernet,
    PernetHandle,
    Slot,
    SlotRef, //
};

use core::ptr::NonNull;

use kernel::types::Opaque;
use net_bindings as nb;

use crate::{
    identity::Id,
    netdev::Device,
    rtnl::Rtnl, //
};

/// A network namespace that has not ended. C type: `struct net`.
///
/// A `&Net` is lent by a callback, or belongs to a device that is in it.
#[repr(transparent)]
pub struct Net(Opaque<nb::net>);

// SAFETY: A namespace is used by any thread; the methods here read what does not change.
unsafe impl Send for Net {}
// SAFETY: See above.
unsafe impl Sync for Net {}

impl Net {
    /// # Safety
    ///
    /// `ptr` must be a namespace whose exit callbacks do not end during `'a`.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut nb::net) -> &'a Self {
        // SAFETY: By the requirement of this function; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut nb::net {
        self.0.get()
    }

    /// The namespace that the machine booted with; it never ends. C variable: `init_net`.
    pub fn init_net() -> &'static Self {
        // SAFETY: `init_net` is static.
        unsafe { Self::from_raw(nb::init_net()) }
    }

    /// Which namespace this is.
    pub fn id(&self) -> Id<Self> {
        Id::of(self.as_raw())
    }

    /// The namespace of the current task. Process context.
    pub fn with_current<R>(f: impl FnOnce(&Net) -> R) -> R {
        // SAFETY: A task in process context has its namespaces, which it holds while it runs here.
        f(unsafe { Self::from_raw(nb::current_net()) })
    }

    /// Calls `f` with the namespace of this inode number, if there is one: it does not begin to end
    /// ([`Pernet::pre_exit`]) before `f` has returned. Process context; may sleep. C lock:
    /// `net_rwsem`.
    pub fn with_inum<R>(inum: u32, f: impl FnOnce(&Net) -> R) -> Option<R> {
        // SAFETY: Process context. A namespace leaves the list, under this semaphore, before its
        // exit callbacks run.
        unsafe {
            nb::net_rwsem_down_read();
            let net = nb::net_find(inum);
            let result = if net.is_null() {
                None
            } else {
                Some(f(Self::from_raw(net)))
            };
            nb::net_rwsem_up_read();
            result
        }
    }

    /// A reference that keeps the namespace from ending, for a short while. `None` if it has begun
    /// to end. C function: `maybe_get_net()`.
    pub(crate) fn get(&self) -> Option<NetRef> {
        // SAFETY: Valid namespace; the reference is taken only if there is another.
        let ptr = NonNull::new(unsafe { nb::maybe_get_net(self.as_raw()) })?;
        Some(NetRef(ptr))
    }

    /// Whether this is the namespace that the machine booted with.
    pub fn is_init_net(&self) -> bool {
        core::ptr::eq(self, Self::init_net())
    }

    /// The inode number of the namespace: what `readlink /proc/self/ns/net` and `lsns` show.
    pub fn inum(&self) -> u32 {
        // SAFETY: Valid namespace; constant.
        unsafe { nb::net_inum(self.as_raw()) }
    }

    /// Whether the current task may administer this namespace's network: `CAP_NET_ADMIN` in the
    /// user namespace that owns it. Process context. C function: `ns_capable()`.
    pub fn admin_capable(&self) -> bool {
        // SAFETY: Valid namespace; process context.
        unsafe { nb::net_capable(self.as_raw(), nb::CAP_NET_ADMIN as i32) }
    }

    /// The namespace's loopback device, if it has one yet. C member: `net->loopback_dev`.
    pub fn loopback<'a>(&'a self, _rtnl: &'a Rtnl) -> Option<&'a Device> {
        // SAFETY: Valid namespace. RTNL keeps the device from being unregistered.
        let dev = NonNull::new(unsafe { nb::net_loopback_dev(self.as_raw()) })?;
        // SAFETY: Registered, because RTNL is held, and for as long as it is: the borrow ends with
        // the proof of it.
        Some(unsafe { Device::from_raw(dev.as_ptr()) })
    }
}

/// A namespace that is kept from ending.
///
/// # Invariants
///
/// Owns a reference.
pub(crate) struct NetRef(NonNull<nb::net>);

impl core::ops::Deref for NetRef {
    type Target = Net;

    fn deref(&self) -> &Net {
        // SAFETY: Kept by the reference of the type invariant.
        unsafe { Net::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for NetRef {
    fn drop(&mut self) {
        // SAFETY: Gives back the reference of the type invariant.
        unsafe { nb::put_net(self.0.as_ptr()) };
    }
}
