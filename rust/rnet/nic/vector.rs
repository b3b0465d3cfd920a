// SPDX-License-Identifier: GPL-2.0

//! An interrupt vector, its NAPI, and the queues that it serves.

use core::ptr::NonNull;

use kernel::{
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
    types::Opaque, //
};
use net_bindings as nb;

use super::{
    activity::VectorActivity,
    core::Core,
    moderation::{
        Adapt,
        Totals, //
    },
    running::Queues,
    Cause,
    Driver, //
};
use crate::{
    irq::Line,
    napi::Budget, //
};

/// How many packets of one ring are freed in one poll.
const CLEAN: u32 = 256;

/// A vector that serves queues.
///
/// # Invariants
///
/// If `added`, `napi` was added to the device of `core`, and is deleted with this value. `core` outlives it.
/// `queues` are those of the same [`Running`](super::running::Running), and there while NAPI is
/// enabled.
#[repr(C)]
pub(super) struct Vector<D: Driver> {
    /// First, so that both have the same address.
    napi: Opaque<nb::napi_struct>,
    core: NonNull<Core<D>>,
    pub(super) index: u32,
    pub(super) queues: KVec<NonNull<Queues<D>>>,
    pub(super) line: Option<Line>,
    added: bool,
    pub(super) enabled: bool,
    pub(super) activity: Arc<VectorActivity>,
    adapt: Adapt,
}

// SAFETY: Reached from any thread through NAPI, which runs one poll at a time.
unsafe impl<D: Driver> Send for Vector<D> {}

impl<D: Driver> Vector<D> {
    /// Adds a NAPI, with the settings that the NAPI of this number had before. RTNL. C function:
    /// `netif_napi_add_config()`. Errors: `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `core` must be the data of a registered network device and outlive the returned value.
    pub(super) unsafe fn new(core: NonNull<Core<D>>, index: u32) -> Result<Pin<KBox<Self>>> {
        // SAFETY: By the requirement.
        let shared = unsafe { core.as_ref() }.shared();
        let activity = shared.activity().vector(index).ok_or(EINVAL)?.clone();
        // Dropped without a NAPI where there is no memory for it.
        let mut this = KBox::pin(
            Self {
                napi: Opaque::zeroed(),
                core,
                index,
                queues: KVec::new(),
                line: None,
                added: false,
                enabled: false,
                activity,
                adapt: Adapt::new(),
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The NAPI is pinned, and deleted with the value; the device is registered. The
        // poll function fits the type, by `repr(C)`.
        unsafe {
            nb::netif_napi_add_config(
                shared.dev().as_raw(),
                this.napi.get(),
                Some(Self::poll),
                index as c_int,
            )
        };
        // SAFETY: The vector is not moved.
        unsafe { this.as_mut().get_unchecked_mut() }.added = true; // INVARIANT: Just now.
        Ok(this)
    }

    pub(super) fn napi(&self) -> NonNull<nb::napi_struct> {
        // SAFETY: The address of a member is not null.
        unsafe { NonNull::new_unchecked(self.napi.get()) }
    }

    /// The poll function.
    unsafe extern "C" fn poll(napi: *mut nb::napi_struct, budget: c_int) -> c_int {
        // SAFETY: Called by the core for an enabled NAPI, which lies at the start of a `Vector`, one
        // poll at a time. The vector stays until it is disabled, which waits for this.
        let this = unsafe { &*napi.cast::<Self>() };
        // SAFETY: By the type invariant.
        let core = unsafe { this.core.as_ref() };
        let limit = u32::try_from(budget).unwrap_or(0);
        let mut credit = Budget::new(limit);
        let mut complete = true;
        for queues in &this.queues {
            // SAFETY: By the type invariant the queues are there. This is their NAPI.
            complete &= unsafe { queues.as_ref().poll(core, CLEAN, budget, &mut credit) };
        }
        // Netpoll only frees packets: it must not complete.
        if limit == 0 {
            return 0;
        }
        this.activity.polls.add(1);
        if !complete || !credit.has_credit() {
            this.activity.full.add(1);
            return budget;
        }
        let used = credit.used() as c_int;
        if D::HAS_INTERVAL {
            // SAFETY: In the poll function.
            unsafe { this.adapt(core) };
        }
        // SAFETY: In the poll function, with less than the budget used, once.
        if unsafe { nb::napi_complete_done(napi, used) } {
            core.driver().rearm(&core.nic(), this.index);
        }
        used
    }

    /// Holds interrupts back for as long as the load asks for.
    ///
    /// # Safety
    ///
    /// In the poll function.
    #[inline]
    unsafe fn adapt(&self, core: &Core<D>) {
        let moderation = core.shared().moderation();
        if !moderation.get().1 {
            return;
        }
        let mut now = Totals::default();
        for queues in &self.queues {
            // SAFETY: By the type invariant the queues are there. This is their NAPI.
            now.add(unsafe { queues.as_ref().totals() });
        }
        let held = self.activity.usecs.load(Relaxed);
        if let Some(load) = self.adapt.window(now, held != 0) {
            let wanted = core.driver().interval(&load).min(D::LIMITS.interval);
            if held != wanted {
                self.hold_back(core, wanted);
                if !moderation.still_adaptive() {
                    self.hold_back(core, moderation.first());
                }
            }
        }
    }

    /// Sets how far interrupts are held apart.
    pub(super) fn hold_back(&self, core: &Core<D>, usecs: u32) {
        self.activity.usecs.store(usecs, Relaxed);
        core.driver().set_interval(&core.nic(), self.index, usecs);
    }

    /// The interrupt of a vector of its own.
    pub(super) unsafe extern "C" fn queue_interrupt(
        _irq: c_int,
        vector: *mut c_void,
    ) -> nb::irqreturn_t {
        // SAFETY: Requested with a vector as its cookie, which stays until the interrupt is freed.
        let this = unsafe { &*vector.cast::<Self>() };
        this.activity.interrupts.add(1);
        // SAFETY: A NAPI that is there. Hard interrupt: interrupts are off.
        unsafe { nb::napi_schedule_irqoff(this.napi.get()) };
        nb::irqreturn::IRQ_HANDLED
    }

    /// The interrupt for everything.
    pub(super) unsafe extern "C" fn shared_interrupt(
        _irq: c_int,
        vector: *mut c_void,
    ) -> nb::irqreturn_t {
        // SAFETY: Requested with a vector as its cookie, which stays until the interrupt is freed.
        let this = unsafe { &*vector.cast::<Self>() };
        // SAFETY: By the type invariant.
        let core = unsafe { this.core.as_ref() };
        match core.driver().interrupt(&core.nic()) {
            Cause::NotOurs => return nb::irqreturn::IRQ_NONE,
            Cause::Other => core.shared().activity().other.add(1),
            Cause::Queues => {
                this.activity.interrupts.add(1);
                // SAFETY: A NAPI that is there; interrupts are off.
                unsafe { nb::napi_schedule_irqoff(this.napi.get()) };
            }
        }
        nb::irqreturn::IRQ_HANDLED
    }

    /// The interrupt of everything but queues.
    pub(super) unsafe extern "C" fn other_interrupt(
        _irq: c_int,
        core: *mut c_void,
    ) -> nb::irqreturn_t {
        // SAFETY: Requested with the device's data as its cookie, which outlives the interrupt.
        let core = unsafe { &*core.cast::<Core<D>>() };
        core.shared().activity().other.add(1);
        core.driver().other_interrupt(&core.nic());
        nb::irqreturn::IRQ_HANDLED
    }
}

impl<D: Driver> Drop for Vector<D> {
    fn drop(&mut self) {
        self.line = None;
        if !self.added {
            return;
        }
        // SAFETY: By the type invariant the NAPI was added; it is disabled, or was never enabled.
        // This waits for a grace period, so the memory may go after that.
        unsafe { nb::netif_napi_del(self.napi.get()) };
    }
}
