// SPDX-License-Identifier: GPL-2.0

//! The life of a module that uses the layer.
//!
//! [`module!`](crate::module!) takes what the kernel's own `module!` takes and wraps the type in the
//! layer's adapter. The adapter hands [`Module::init`] an [`InitCtx`], without which nothing can be
//! registered, and at exit ends every registration that is left before the module's text goes away.

use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full,
        Release, //
    },
};
use net_bindings as nb;

use crate::{
    netdev,
    registry,
    trace, //
};

/// A module on the layer. Used through [`module!`](crate::module!).
///
/// At exit the value is dropped first, then everything still registered is unregistered, newest
/// first, then the layer waits for RCU readers and callbacks (`synchronize_net()`,
/// `rcu_barrier()`).
pub trait Module: Sized + Send + Sync + 'static {
    /// Called at load. Process context, may sleep. When it fails, what it has registered so far is
    /// unregistered and the error is what `insmod` reports.
    fn init(init: &InitCtx) -> Result<Self>;
}

/// Proof that the running module was loaded through the layer's adapter, so that what is registered
/// will be swept at exit. Every function that registers something takes one.
#[derive(Clone, Copy)]
pub struct ModuleCtx(());

impl ModuleCtx {
    /// For callbacks of the layer, which end with the sweep at module exit.
    pub(crate) const fn assume() -> Self {
        Self(())
    }
}

/// Proof that the module's init function is running: process context, no locks. What may be
/// registered only there ([`netns`](crate::netns) callbacks and
/// [`netdev::Notifier`]s, which both take `pernet_ops_rwsem`) asks for it.
pub struct InitCtx(());

impl InitCtx {
    /// What other registrations ask for.
    pub fn ctx(&self) -> ModuleCtx {
        ModuleCtx(())
    }
}

/// Whether [`Adapter::load`] has been called.
static LOADED: Atomic<u32> = Atomic::new(0);

/// Whether init has succeeded, so that the module's references keep its text.
static READY: Atomic<u32> = Atomic::new(0);

/// Whether a reference to the module keeps it loaded. A module whose init fails is freed whatever
/// its reference count is.
pub(crate) fn is_ready() -> bool {
    READY.load(Acquire) != 0
}

/// What the kernel sees as the module. Made by [`module!`](crate::module!) only.
#[doc(hidden)]
pub struct Adapter<T: Module> {
    inner: Option<T>,
}

impl<T: Module> Adapter<T> {
    /// Loads the module.
    ///
    /// # Safety
    ///
    /// Called by the code that [`module!`](crate::module!) generates, once, at module init.
    pub unsafe fn load() -> Result<Self> {
        // Safe code can call the trait's function by its name a second time.
        if LOADED.xchg(1, Full) != 0 {
            return Err(EBUSY);
        }
        // SAFETY: Once per load, before anything else of the layer, as just checked.
        unsafe {
            registry::init();
            netdev::init_overrides();
        }
        match T::init(&InitCtx(())) {
            Ok(inner) => {
                READY.store(1, Release);
                Ok(Self { inner: Some(inner) })
            }
            Err(err) => {
                quiesce();
                Err(err)
            }
        }
    }
}

impl<T: Module> Drop for Adapter<T> {
    fn drop(&mut self) {
        self.inner = None;
        quiesce();
    }
}

/// Ends all callbacks into the module's text.
fn quiesce() {
    registry::sweep();
    // SAFETY: Process context without locks (module init or exit). Transmit callbacks run in
    // RCU-bh read-side sections that `synchronize_net()` waits for; `rcu_barrier()` waits for
    // callbacks that were queued with `call_rcu()`.
    unsafe {
        nb::synchronize_net();
        nb::rcu_barrier();
    }
    // For probes whose `Detach` was leaked, which the registry does not know any more.
    trace::synchronize();
    netdev::free_override_tables();
}

/// Declares a module on the layer: the kernel's `module!`, for a type that implements
/// [`Module`](crate::module::Module). To be used once, at the crate root.
///
/// # Examples
///
/// ```ignore
/// use rnet::prelude::*;
///
/// struct Quiet;
///
/// impl rnet::module::Module for Quiet {
///     fn init(_init: &InitCtx) -> Result<Self> {
///         Ok(Quiet)
///     }
/// }
///
/// rnet::module! {
///     type: Quiet,
///     name: "quiet",
///     authors: ["You"],
///     description: "A module that does nothing",
///     license: "GPL",
/// }
/// ```
#[macro_export]
macro_rules! module {
    (type: $type:ty, $($rest:tt)*) => {
        #[doc(hidden)]
        pub struct RnetModule($crate::module::Adapter<$type>);

        impl $crate::kernel::Module for RnetModule {
            fn init(_module: &'static $crate::kernel::ThisModule) -> $crate::kernel::error::Result<Self> {
                // SAFETY: The kernel calls a module's init function once per load, before any
                // other function of the module.
                let adapter = unsafe { $crate::module::Adapter::<$type>::load()? };
                Ok(Self(adapter))
            }
        }

        $crate::kernel::prelude::module! {
            type: RnetModule,
            $($rest)*
        }
    };
}
