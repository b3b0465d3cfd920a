// SPDX-License-Identifier: GPL-2.0

//! Keeping the module loaded while a namespace lives on a device of it.
//!
//! A device that is a namespace's own (its loopback) ends with the namespace and cannot be taken
//! back earlier, so the module must stay. The reference is given back in the exit callback of a
//! subsystem, which runs after the namespace's devices have been freed. The core runs it with
//! `pernet_ops_rwsem` held for reading, and module exit takes that semaphore for writing before the
//! text goes away, so giving back the last reference there is not too early.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        rcu,
        Arc, //
    },
};
use net_bindings as nb;

use super::{
    Kind,
    Net,
    NetInit,
    Pernet,
    PernetHandle,
    Slot,
    SlotRef, //
};
use crate::module::{
    self,
    InitCtx, //
};

/// References to the module that one namespace holds.
struct Pins {
    count: Atomic<u32>,
}

static SLOT: Slot<Pins> = Slot::new();

impl Pernet for Pins {
    const KIND: Kind = Kind::Subsys;
    const SLOT: SlotRef<Self> = SlotRef::new(&SLOT);

    fn init(_net: &Net, _cx: &NetInit<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(
            Pins {
                count: Atomic::new(0),
            },
            GFP_KERNEL,
        )?)
    }

    fn exit(&self, _net: &Net) {
        for _ in 0..self.count.xchg(0, Full) {
            // SAFETY: Gives back a reference that `ModulePin::keep()` left here.
            unsafe { nb::module_put(this_module()) };
        }
    }
}

fn this_module() -> *mut nb::module {
    // Only the address is taken.
    (&raw const kernel::bindings::__this_module)
        .cast_mut()
        .cast()
}

/// Registers the callbacks, if that has not been done. They end with the module.
pub(super) fn register(init: &InitCtx) -> Result {
    match PernetHandle::<Pins>::new(init) {
        Ok(handle) => handle.until_exit(),
        Err(EBUSY) => {}
        Err(err) => return Err(err),
    }
    Ok(())
}

/// A reference to the module, given back on drop.
pub(super) struct ModulePin(());

impl ModulePin {
    /// Takes a reference. `None` while the module's init runs, which may fail and free the module
    /// under the reference, and when the module is being removed.
    pub(super) fn take() -> Option<Self> {
        if !module::is_ready() {
            return None;
        }
        // SAFETY: Our own module, whose text is running.
        if unsafe { nb::try_module_get(this_module()) } {
            Some(Self(()))
        } else {
            None
        }
    }

    /// Leaves the reference with `net`, until its devices are gone. Gives it back to the caller
    /// where the namespace has no room for it.
    pub(super) fn keep(self, net: &Net) -> Result<(), Self> {
        let rcu = rcu::read_lock();
        match SLOT.get(net, &rcu) {
            Some(pins) => {
                pins.count.add(1, Relaxed);
                core::mem::forget(self);
                Ok(())
            }
            None => Err(self),
        }
    }
}

impl Drop for ModulePin {
    fn drop(&mut self) {
        // SAFETY: Gives back the reference that `take()` took, in module text that another
        // reference keeps: this runs in a callback that module exit waits for.
        unsafe { nb::module_put(this_module()) };
    }
}
