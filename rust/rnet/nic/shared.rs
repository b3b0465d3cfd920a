// SPDX-License-Identifier: GPL-2.0

//! The part of a NIC's data that does not depend on its driver.

use core::ptr::NonNull;

use kernel::{
    prelude::*,
    sync::Arc,
    types::Opaque, //
};
use net_bindings as nb;

use super::{
    clock::ClockState,
    Activity,
    Core,
    Driver,
    Moderation,
    QueueStats,
    Rss,
    Wake,
    WakeSetting, //
};
use crate::{
    irq::Mode,
    mmio::Mmio,
    netdev::Device,
    pci::{
        self,
        Awake,
        Resources, //
    },
    xdp::Slot, //
};

/// A function of a work item.
pub(super) type Work = unsafe extern "C" fn(*mut nb::work_struct);

/// What does not depend on the driver.
///
/// # Invariants
///
/// `resources` and `netdev` outlive this value: the PCI adapter waits for its end.
#[pin_data(PinnedDrop)]
pub(crate) struct Shared {
    resources: NonNull<Resources>,
    netdev: NonNull<nb::net_device>,
    stats: QueueStats,
    rss: Rss,
    moderation: Moderation,
    activity: Arc<Activity>,
    wake: WakeSetting,
    program: Slot,
    #[pin]
    clock: ClockState,
    #[pin]
    pub(super) service: Opaque<nb::delayed_work>,
    #[pin]
    pub(super) recovery: Opaque<nb::delayed_work>,
}

// SAFETY: What the pointers point to is reached from any thread; work items are made for that.
unsafe impl Send for Shared {}
// SAFETY: See above.
unsafe impl Sync for Shared {}

impl Shared {
    /// # Safety
    ///
    /// `resources` and `netdev` must fulfil the type invariant; the functions must be safe to call
    /// with the work items in the returned value.
    pub(super) unsafe fn new<D: Driver>(
        resources: NonNull<Resources>,
        netdev: NonNull<nb::net_device>,
        activity: Arc<Activity>,
        wake: (Wake, Wake),
        queues: u32,
        (service, recovery): (Work, Work),
    ) -> impl PinInit<Self, Error> {
        let limits = D::LIMITS;
        let fraction = Core::<D>::CLOCK.map_or(0, |table| table.fraction());
        try_pin_init!(Self {
            resources,
            netdev,
            stats: QueueStats::new(limits.queues)?,
            rss: Rss::new(limits.rss_table, limits.rss_key, queues)?,
            moderation: Moderation::new(),
            activity,
            // SAFETY: The device is there, by the requirement.
            wake: unsafe { WakeSetting::new(wake, resources.as_ref().dma().as_ptr()) },
            program: Slot::new(),
            clock <- ClockState::new(fraction),
            service <- Opaque::ffi_init(move |work| {
                // SAFETY: The place for a work item, pinned. Disabled until the device is up.
                unsafe {
                    nb::init_service_work(work, Some(service));
                    nb::disable_delayed_work_sync(work);
                }
            }),
            recovery <- Opaque::ffi_init(move |work| {
                // SAFETY: The place for a work item, pinned. The resources are there, by the
                // requirement; nothing after this can fail, so `drop()` takes it back.
                unsafe {
                    nb::init_recovery_work(work, Some(recovery));
                    resources.as_ref().add_user();
                }
            }),
        }? Error)
    }

    pub(super) fn resources(&self) -> &Resources {
        // SAFETY: By the type invariant.
        unsafe { self.resources.as_ref() }
    }

    #[inline]
    pub(super) fn io(&self) -> &Mmio {
        self.resources().io()
    }

    #[inline]
    pub(super) fn dev(&self) -> &Device {
        // SAFETY: By the type invariant.
        unsafe { Device::from_raw(self.netdev.as_ptr()) }
    }

    pub(super) fn netdev(&self) -> NonNull<nb::net_device> {
        self.netdev
    }

    pub(super) fn pci(&self) -> pci::Device<'_> {
        self.resources().device()
    }

    pub(super) fn dma(&self) -> NonNull<nb::device> {
        self.resources().dma()
    }

    /// Wakes the device. Process context.
    pub(super) fn awake(&self) -> Result<Awake> {
        // SAFETY: Bound while the data of the network device is there, of which what is up, and
        // the callbacks of the network device, are a part.
        unsafe { Awake::new(self.dma()) }
    }

    pub(super) fn queue_stats(&self) -> &QueueStats {
        &self.stats
    }

    #[inline]
    pub(super) fn activity(&self) -> &Activity {
        &self.activity
    }

    pub(super) fn wake(&self) -> &WakeSetting {
        &self.wake
    }

    #[inline]
    pub(super) fn program(&self) -> &Slot {
        &self.program
    }

    #[inline]
    pub(super) fn clock(&self) -> &ClockState {
        &self.clock
    }

    pub(super) fn rss(&self) -> &Rss {
        &self.rss
    }

    pub(super) fn moderation(&self) -> &Moderation {
        &self.moderation
    }

    pub(super) fn mode(&self) -> Mode {
        self.resources().vectors().mode()
    }

    pub(super) fn queue_vectors(&self) -> u32 {
        self.resources().vectors().for_queues()
    }

    pub(super) fn other_vector(&self) -> Option<u32> {
        self.resources().vectors().other()
    }

    pub(super) fn irq(&self, vector: u32) -> Result<u32> {
        self.resources().vectors().irq(vector)
    }

    pub(super) fn service_in(&self, ms: u32) {
        // SAFETY: Initialised; while it is disabled, nothing happens.
        unsafe { nb::schedule_work_msecs(self.service.get(), ms) };
    }

    pub(super) fn recover(&self) {
        // SAFETY: Initialised; once it is disabled, nothing happens.
        unsafe { nb::schedule_work_msecs(self.recovery.get(), 0) };
    }
}

#[pinned_drop]
impl PinnedDrop for Shared {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Initialised; process context. Work that was never scheduled again ends here.
        unsafe {
            nb::disable_delayed_work_sync(self.service.get());
            nb::disable_delayed_work_sync(self.recovery.get());
        }
        self.resources().release_user();
    }
}
