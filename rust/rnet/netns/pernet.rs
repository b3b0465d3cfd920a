// SPDX-License-Identifier: GPL-2.0

//! State and callbacks for every network namespace: `struct pernet_operations`.

use core::{
    cell::Cell,
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::null_mut, //
};

use kernel::{
    error::{
        from_result,
        to_result, //
    },
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        rcu,
        Arc, //
    },
    types::Opaque, //
};
use net_bindings as nb;
use pin_init::zeroed;

use super::{
    pin,
    Net,
    RcuRead, //
};
use crate::{
    module::{
        InitCtx,
        ModuleCtx, //
    },
    registry::{
        Handle,
        Registered, //
    },
};

/// When a namespace's callbacks run, relative to those of its devices.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Init before, exit after all devices of the namespace, the loopback device included. C
    /// function: `register_pernet_subsys()`.
    Subsys,
    /// Init after the loopback device, exit before the devices go. C function:
    /// `register_pernet_device()`.
    Device,
}

/// State that a module keeps for every namespace.
///
/// The callbacks run in process context and may sleep; `pernet_ops_rwsem` is held, RTNL is not.
pub trait Pernet: Send + Sync + Sized + 'static {
    /// When the callbacks run.
    const KIND: Kind;

    /// The slot that finds the state from its namespace: a `static` of the driver, one for each
    /// implementation.
    const SLOT: SlotRef<Self>;

    /// Makes the state for a namespace: for each that exists at registration
    /// ([`NetInit::is_new`] is false), then for each new one before anybody can use it. An error
    /// fails the registration or the creation of the namespace.
    fn init(net: &Net, cx: &NetInit<'_>) -> Result<Arc<Self>>;

    /// The namespace is ending, or the module is leaving: stop what leads here. A grace period
    /// passes between this and the drop of the state's own reference; the slot is empty already.
    fn pre_exit(&self, _net: &Net) {}

    /// The state is about to be let go.
    fn exit(&self, _net: &Net) {}
}

/// What [`Pernet::init`] can know and do.
pub struct NetInit<'a> {
    net: &'a Net,
    is_new: bool,
    ctx: ModuleCtx,
    /// Set once a loopback device has been lent out.
    pub(super) replaced: Cell<bool>,
}

impl NetInit<'_> {
    /// Whether the namespace is being created. False while the callbacks are being registered, when
    /// it has been in use for long.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The namespace.
    pub fn net(&self) -> &Net {
        self.net
    }

    /// What registrations ask for.
    pub fn ctx(&self) -> ModuleCtx {
        self.ctx
    }
}

/// What the core keeps for a slot in each namespace, zeroed at first.
#[repr(C)]
struct Area {
    /// What [`Slot::get`] finds: cleared when the namespace begins to end.
    visible: Atomic<*mut c_void>,
    /// The slot's own reference to the state, from `Arc::into_raw`.
    owned: Atomic<*mut c_void>,
}

/// No id: behind the end of every namespace's array, whose length is compared with it anyway.
const OFF: u32 = u32::MAX;

/// Finds the state of type `T` in a namespace. A `static` of the driver.
///
/// # Invariants
///
/// While `live` is not `OFF`, and for one grace period after it was cleared, it is an id of
/// `net_generic()` that finds an `Area` in a namespace, or nothing where it was not made yet.
pub struct Slot<T: Pernet> {
    id: Atomic<u32>,
    taken: Atomic<u32>,
    /// The same as `id` while the callbacks are registered, else `OFF`.
    live: Atomic<u32>,
    /// The task that registers the callbacks.
    registering: Atomic<*mut c_void>,
    ops: Opaque<nb::pernet_operations>,
    _data: PhantomData<T>,
}

// SAFETY: `ops` belongs to the core while registered and is written only before, by one task.
unsafe impl<T: Pernet> Send for Slot<T> {}
// SAFETY: See above; the rest is atomic.
unsafe impl<T: Pernet> Sync for Slot<T> {}

impl<T: Pernet> Slot<T> {
    /// An empty slot.
    pub const fn new() -> Self {
        Self {
            id: Atomic::new(0),
            taken: Atomic::new(0),
            live: Atomic::new(OFF),
            registering: Atomic::new(null_mut()),
            ops: Opaque::zeroed(),
            _data: PhantomData,
        }
    }

    /// The area of this slot in `net`.
    ///
    /// # Safety
    ///
    /// `id` must be readable in `net` during `'a` (see the type invariant).
    #[inline]
    unsafe fn area<'a>(&self, net: *mut nb::net) -> Option<&'a Area> {
        // SAFETY: By the requirement; the core has allocated and zeroed `ops.size` bytes, or has
        // not come to this slot yet and the pointer is null.
        unsafe {
            nb::net_generic(net, nb::read_once_u32(self.id.as_ptr()))
                .cast::<Area>()
                .cast_const()
                .as_ref()
        }
    }

    /// The state in `net`, during an RCU read side. `None` until the callbacks are registered, before
    /// the namespace's init, and from [`Pernet::pre_exit`] on. Any context.
    #[inline]
    pub fn get<'r, R: RcuRead>(&'static self, net: &'r Net, _rcu: &'r R) -> Option<&'r T> {
        // The loads are inlined shims: packets come this way, and the kernel crate's `load()` is a
        // call.
        // SAFETY: A member of `self`.
        let id = unsafe { nb::smp_load_acquire_u32(self.live.as_ptr()) };
        // SAFETY: `OFF` finds nothing. Else the caller's RCU read side keeps it readable; the core has
        // allocated and zeroed `ops.size` bytes, or the namespace has not come to this slot.
        let area = unsafe {
            nb::net_generic_rcu(net.as_raw(), id)
                .cast::<Area>()
                .cast_const()
                .as_ref()
        }?;
        // SAFETY: A member of the area.
        let ptr = unsafe { nb::smp_load_acquire_ptr(area.visible.as_ptr()) };
        // SAFETY: Made by `Arc::into_raw` in `init`; the reference behind it is dropped a grace
        // period after `visible` has been cleared.
        unsafe { ptr.cast::<T>().cast_const().as_ref() }
    }

    /// The state in `net`, to be kept. As [`get`](Self::get), in any context.
    pub fn get_arc(&'static self, net: &Net) -> Option<Arc<T>> {
        let rcu = rcu::read_lock();
        let data: *const T = self.get(net, &rcu)?;
        // SAFETY: The slot's reference, made by `Arc::into_raw`, is there during the RCU read
        // side. It is borrowed here, to be copied, and not dropped.
        let data = ManuallyDrop::new(unsafe { Arc::from_raw(data) });
        Some(Arc::clone(&data))
    }
}

/// Which slot a state is found by, as a constant: `SlotRef::new(&SLOT)`.
///
/// A reference to a `static` that changes cannot be a constant in the Rust that the kernel is built
/// with; this can, and unlike a function it always names the same slot.
///
/// # Invariants
///
/// The pointer comes from a `&'static`.
pub struct SlotRef<T: Pernet>(*const Slot<T>);

impl<T: Pernet> SlotRef<T> {
    /// Names `slot`.
    pub const fn new(slot: &'static Slot<T>) -> Self {
        // INVARIANT: By the type of the argument.
        Self(slot)
    }

    /// The slot.
    #[inline]
    pub const fn get(&self) -> &'static Slot<T> {
        // SAFETY: By the type invariant.
        unsafe { &*self.0 }
    }
}

impl<T: Pernet> Default for Slot<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Registered callbacks. Dropping it ends the state in every namespace; process context, without
/// RTNL, and not in a callback of a namespace (both take `pernet_ops_rwsem`).
pub struct PernetHandle<T: Pernet>(Handle<Inner<T>>);

impl<T: Pernet> PernetHandle<T> {
    /// Registers the callbacks and runs `T::init` for every namespace there is. Process context;
    /// may sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if `T` is registered; `ENOMEM`; or what `T::init` fails with for some namespace,
    /// after the others have been undone.
    pub fn new(init: &InitCtx) -> Result<Self> {
        let slot = T::SLOT.get();
        if T::KIND == Kind::Device {
            pin::register(init)?;
        }
        if slot.taken.xchg(1, Full) != 0 {
            return Err(EBUSY);
        }
        let inner = Arc::new(
            Inner::<T> {
                registered: Atomic::new(0),
                _data: PhantomData,
            },
            GFP_KERNEL,
        );
        let handle = match inner {
            Ok(inner) => Handle::new(inner, Inner::register),
            Err(err) => Err(err.into()),
        };
        if handle.is_err() {
            slot.taken.store(0, Release);
        }
        Ok(Self(handle?))
    }
}

impl<T: Pernet> PernetHandle<T> {
    /// Leaves the callbacks registered until the module exits.
    pub(super) fn until_exit(self) {
        self.0.until_exit();
    }
}

struct Inner<T: Pernet> {
    registered: Atomic<u32>,
    _data: PhantomData<fn() -> T>,
}

impl<T: Pernet> Inner<T> {
    fn register(&self) -> Result {
        let slot = T::SLOT.get();
        let ops = nb::pernet_operations {
            init: Some(Self::init),
            pre_exit: Some(Self::pre_exit),
            exit: Some(Self::exit),
            id: slot.id.as_ptr(),
            size: size_of::<Area>(),
            ..zeroed()
        };
        // SAFETY: Only the address is used.
        slot.registering.store(unsafe { nb::current() }, Release);
        // SAFETY: The slot was taken by this task, so nobody else touches `ops`, and the core does
        // not know it. It lies in a static. Process context without RTNL.
        let err = unsafe {
            slot.ops.get().write(ops);
            match T::KIND {
                Kind::Subsys => nb::register_pernet_subsys(slot.ops.get()),
                Kind::Device => nb::register_pernet_device(slot.ops.get()),
            }
        };
        slot.registering.store(null_mut(), Release);
        to_result(err)?;
        self.registered.store(1, Release);
        // Not before: while the core goes through the namespaces, `id` cannot be read in those
        // that it has not reached.
        slot.live.store(slot.id.load(Relaxed), Release);
        Ok(())
    }

    unsafe extern "C" fn init(net: *mut nb::net) -> c_int {
        // SAFETY: Called under `pernet_ops_rwsem`, in process context, with a namespace whose exit
        // callbacks have not begun.
        let net_ref = unsafe { Net::from_raw(net) };
        let slot = T::SLOT.get();
        from_result(|| {
            // Registration calls for the namespaces that are there, from its own task.
            // SAFETY: Only the address is used.
            let is_new = slot.registering.load(Acquire) != unsafe { nb::current() };
            let cx = NetInit {
                net: net_ref,
                is_new,
                // Namespaces call back only between registration and the module's sweep.
                ctx: ModuleCtx::assume(),
                replaced: Cell::new(false),
            };
            // SAFETY: The core has allocated the area before it called us.
            let area = unsafe { slot.area(net) }.ok_or(ENOMEM)?;
            let data = Arc::into_raw(T::init(net_ref, &cx)?).cast_mut().cast();
            area.owned.store(data, Relaxed);
            area.visible.store(data, Release);
            Ok(0)
        })
    }

    unsafe extern "C" fn pre_exit(net: *mut nb::net) {
        // SAFETY: The area is freed only after the exit callbacks, of which this is the first.
        let Some(area) = (unsafe { T::SLOT.get().area(net) }) else {
            return;
        };
        area.visible.store(null_mut(), Release);
        let data = area.owned.load(Relaxed).cast::<T>();
        // SAFETY: Null, or the pointer that `init` stored; its reference is dropped by `exit`.
        if let Some(data) = unsafe { data.cast_const().as_ref() } {
            // SAFETY: The exit callbacks of a namespace do not end before this one.
            data.pre_exit(unsafe { Net::from_raw(net) });
        }
    }

    unsafe extern "C" fn exit(net: *mut nb::net) {
        // SAFETY: The area is freed only after this returns.
        let Some(area) = (unsafe { T::SLOT.get().area(net) }) else {
            return;
        };
        let ptr = area.owned.xchg(null_mut(), Full).cast::<T>();
        if ptr.is_null() {
            return;
        }
        // SAFETY: Made by `Arc::into_raw` in `init`, and taken once because of the exchange. The
        // core has waited for a grace period since `pre_exit` cleared `visible`.
        let data = unsafe { Arc::from_raw(ptr.cast_const()) };
        // SAFETY: The namespace is valid during its exit callbacks.
        data.exit(unsafe { Net::from_raw(net) });
    }
}

impl<T: Pernet> Registered for Inner<T> {
    fn unregister(&self) {
        if self.registered.xchg(0, Full) != 1 {
            return;
        }
        let slot = T::SLOT.get();
        // From here on `get()` finds nothing; readers that were in time are waited for by the core
        // between the `pre_exit` and `exit` callbacks.
        slot.live.store(OFF, Release);
        // SAFETY: Registered before, once because of the exchange; process context.
        unsafe {
            match T::KIND {
                Kind::Subsys => nb::unregister_pernet_subsys(slot.ops.get()),
                Kind::Device => nb::unregister_pernet_device(slot.ops.get()),
            }
        }
        slot.taken.store(0, Release);
    }
}
