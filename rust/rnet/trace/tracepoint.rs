// SPDX-License-Identifier: GPL-2.0

//! Attaching probes.

use core::{
    marker::PhantomData,
    ptr::null_mut, //
};

use kernel::{
    error::to_result,
    ffi::c_void,
    prelude::*,
    str::CStr,
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
    prototype::{
        self,
        Arg, //
    },
    ProbeCx, //
};
use crate::{
    module::ModuleCtx,
    registry::{
        Handle,
        Presence,
        Registered, //
    },
};

/// Only the layer's table says what an event is.
pub(super) mod table {
    use super::*;

    /// What only the layer can call the functions of an [`Entry`] with: they are reachable for
    /// whoever has an `Event` as a type parameter.
    pub struct Key(pub(in crate::trace) ());

    /// What the layer knows of an event.
    pub trait Entry: Sized + 'static {
        /// Its name in the kernel.
        const NAME: &'static CStr;
        /// The name of the type of its probes in BTF.
        const BTF_NAME: &'static CStr;
        /// Its prototype, without the first argument.
        const ARGS: &'static [Arg];

        /// Where its tracepoint is remembered.
        fn found(key: Key) -> &'static Atomic<*mut nb::tracepoint>;

        /// The function that calls a `P`, its prototype checked by the C compiler.
        fn trampoline<P: Probe<Self>>(key: Key) -> *mut c_void
        where
            Self: Event;
    }
}

/// A tracepoint of the kernel. Implemented by the types in [`events`](super::events) only.
pub trait Event: table::Entry {
    /// What a probe is handed.
    type Args<'a>;

    /// The name, as under `/sys/kernel/tracing/events`.
    fn name() -> &'static CStr {
        Self::NAME
    }
}

/// Somebody who wants to be called for an event.
pub trait Probe<E: Event>: Send + Sync + 'static {
    /// The event happens, here and now. No sleeping; may be called on several CPUs at the same time
    /// and by an interrupt while it runs.
    fn hit(&self, args: E::Args<'_>, cx: &ProbeCx<'_>);
}

/// A probe that is attached. Dropping it detaches it: process context; waits until calls that run
/// have ended (milliseconds), and only then lets go of the probe.
///
/// # Examples
///
/// ```ignore
/// struct Seen(Counters<Count>);
///
/// impl Probe<events::NetifRx> for Seen {
///     fn hit(&self, args: Received<'_>, _cx: &ProbeCx<'_>) {
///         self.0.add(Count::Packets, 1);
///     }
/// }
///
/// let seen = Arc::new(Seen(Counters::new()?), GFP_KERNEL)?;
/// let attached = Attached::<events::NetifRx, Seen>::new(ctx, seen.clone())?;
/// ```
pub struct Attached<E: Event, P: Probe<E>>(Handle<Inner<E, P>>);

impl<E: Event, P: Probe<E>> Attached<E, P> {
    /// Attaches `probe`. Process context; may sleep.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the kernel has no such tracepoint, `EPROTO` if it has another prototype (the log
    /// says which), `EEXIST` if this very probe is attached already, `ENOMEM`. C function:
    /// `tracepoint_probe_register()`.
    pub fn new(_ctx: ModuleCtx, probe: Arc<P>) -> Result<Self> {
        let tp = find::<E>()?;
        let inner = Arc::new(
            Inner {
                tp,
                probe,
                registered: Presence::new(),
                _event: PhantomData,
            },
            GFP_KERNEL,
        )?;
        Ok(Self(Handle::new(inner, |inner| {
            // SAFETY: The tracepoint is the kernel's own and stays. The trampoline has the
            // prototype that it calls, by the checks in `find()` and in the shim. The probe is kept
            // by `inner` until `unregister()` has waited for calls.
            to_result(unsafe {
                nb::tracepoint_probe_register(
                    inner.tp,
                    <E as table::Entry>::trampoline::<P>(table::Key(())),
                    inner.data(),
                )
            })?;
            inner.registered.begin();
            Ok(())
        })?))
    }
}

struct Inner<E, P> {
    tp: *mut nb::tracepoint,
    probe: Arc<P>,
    registered: Presence,
    _event: PhantomData<fn() -> E>,
}

// SAFETY: The tracepoint is used by any thread, under the kernel's own lock; the probe is `Send`
// and `Sync`.
unsafe impl<E, P: Send + Sync> Send for Inner<E, P> {}
// SAFETY: See above.
unsafe impl<E, P: Send + Sync> Sync for Inner<E, P> {}

impl<E, P> Inner<E, P> {
    fn data(&self) -> *mut c_void {
        Arc::as_ptr(&self.probe).cast_mut().cast()
    }
}

impl<E: Event, P: Probe<E>> Inner<E, P> {
    /// Takes the probe away, once; calls that have begun may still run. True if it was there.
    fn take_away(&self) -> bool {
        if !self.registered.end() {
            return false;
        }
        // SAFETY: Registered before with these, once because of `end()`. Process context.
        unsafe {
            nb::tracepoint_probe_unregister(
                self.tp,
                <E as table::Entry>::trampoline::<P>(table::Key(())),
                self.data(),
            )
        };
        true
    }
}

impl<E: Event, P: Probe<E>> Registered for Inner<E, P> {
    fn unregister(&self) {
        if self.take_away() {
            synchronize();
        }
    }
}

/// Waits for all calls of probes that have begun. Process context. C function:
/// `tracepoint_synchronize_unregister()`.
pub(crate) fn synchronize() {
    // SAFETY: Process context.
    unsafe { nb::tracepoint_synchronize_unregister() };
}

/// Several probes that are detached together: one wait for all of them, when this is dropped.
///
/// # Examples
///
/// ```ignore
/// let mut together = Detach::new();
/// together.add(received);
/// together.add(sent);
/// drop(together);
/// ```
pub struct Detach {
    /// What calls that have begun may still use.
    kept: KVec<Arc<dyn Registered>>,
}

impl Default for Detach {
    fn default() -> Self {
        Self::new()
    }
}

impl Detach {
    /// None yet.
    pub const fn new() -> Self {
        Self { kept: KVec::new() }
    }

    /// Takes a probe away. It may still be running until `self` has been dropped. Process context.
    pub fn add<E: Event, P: Probe<E>>(&mut self, attached: Attached<E, P>) {
        let inner = attached.0.share();
        if self.kept.reserve(1, GFP_KERNEL).is_ok()
            && inner.take_away()
            && self.kept.push(inner, GFP_KERNEL).is_err()
        {
            synchronize();
        }
        // Without memory to keep it, this waits for it alone.
        drop(attached);
    }
}

impl Drop for Detach {
    fn drop(&mut self) {
        if !self.kept.is_empty() {
            synchronize();
        }
    }
}

/// A search among the kernel's tracepoints.
struct Search {
    name: &'static CStr,
    found: *mut nb::tracepoint,
}

unsafe extern "C" fn look(tp: *mut nb::tracepoint, search: *mut c_void) {
    // SAFETY: `for_each_kernel_tracepoint()` hands over the `Search` of `find()`, and tracepoints
    // of the kernel, whose names are constants.
    unsafe {
        let search = &mut *search.cast::<Search>();
        if CStr::from_char_ptr(nb::tracepoint_name(tp)) == search.name {
            search.found = tp;
        }
    }
}

/// The tracepoint of an event, its prototype checked once.
fn find<E: Event>() -> Result<*mut nb::tracepoint> {
    let known = E::found(table::Key(())).load(Acquire);
    if !known.is_null() {
        return Ok(known);
    }
    let mut search = Search {
        name: E::NAME,
        found: null_mut(),
    };
    // SAFETY: `look()` runs only during the call.
    unsafe { nb::for_each_kernel_tracepoint(Some(look), (&raw mut search).cast()) };
    let err = if search.found.is_null() {
        ENOENT
    } else {
        match prototype::check(E::BTF_NAME, E::ARGS) {
            Ok(()) => {
                E::found(table::Key(())).store(search.found, Release);
                return Ok(search.found);
            }
            Err(err) => err,
        }
    };
    let why = match err {
        EPROTO => "this kernel's prototype of it is not the one that the module was built for",
        _ => "this kernel does not have it, or its BTF does not",
    };
    pr_err!("tracepoint {}: {}\n", E::NAME.to_str().unwrap_or("?"), why);
    Err(err)
}
