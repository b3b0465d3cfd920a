// SPDX-License-Identifier: GPL-2.0

//! The data of a NIC's network device: the driver's, and what the layer adds.

use core::{
    cell::UnsafeCell,
    ptr::{
        null_mut,
        NonNull, //
    },
};

use kernel::{
    container_of,
    error::to_result,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};
use net_bindings as nb;

use super::{
    running::Running,
    Driver,
    Nic,
    QueueStats, //
};
use crate::{
    irq::Mode,
    mmio::Mmio,
    netdev::Device,
    pci::{
        self,
        Resources, //
    },
    ring::{
        RxRing,
        TxRing, //
    },
    rtnl::{
        self,
        Rtnl, //
    },
};

/// A stuck transmit queue is looked for this often, in milliseconds, however rarely the driver wants
/// its service. Two looks without progress are enough.
const LOOK: u32 = 2000;

/// What a device can be configured to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) queues: u32,
    pub(crate) tx_len: u32,
    pub(crate) rx_len: u32,
    pub(crate) mtu: u32,
}

impl Config {
    /// With the Ethernet header and two VLAN tags.
    pub(super) fn max_frame(&self) -> u32 {
        self.mtu.saturating_add(14 + 4 + 4)
    }
}

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
    #[pin]
    service: Opaque<nb::delayed_work>,
    #[pin]
    recovery: Opaque<nb::delayed_work>,
}

// SAFETY: What the pointers point to is reached from any thread; work items are made for that.
unsafe impl Send for Shared {}
// SAFETY: See above.
unsafe impl Sync for Shared {}

impl Shared {
    fn resources(&self) -> &Resources {
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

    pub(super) fn queue_stats(&self) -> &QueueStats {
        &self.stats
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

/// The data of a NIC of driver `D`: what the layer's [`netdev::Driver`](crate::netdev::Driver) for
/// NICs is implemented on.
#[pin_data]
pub struct Core<D: Driver> {
    driver: D,
    /// Null while the device is down. Written under RTNL while no packet can come.
    running: UnsafeCell<*mut Running<D>>,
    queues: Atomic<u32>,
    tx_len: Atomic<u32>,
    rx_len: Atomic<u32>,
    recoveries: Atomic<u32>,
    #[pin]
    shared: Shared,
}

// SAFETY: `running` is written under RTNL, and read under RTNL or where a packet can come.
unsafe impl<D: Driver> Send for Core<D> {}
// SAFETY: See above.
unsafe impl<D: Driver> Sync for Core<D> {}

impl<D: Driver> Core<D> {
    /// # Safety
    ///
    /// `netdev` must be the device that this becomes the data of, and `resources` those of its PCI
    /// device, which must wait for [`Resources::release_user`].
    pub(crate) unsafe fn new(
        driver: D,
        netdev: NonNull<nb::net_device>,
        resources: NonNull<Resources>,
        queues: u32,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            driver,
            running: UnsafeCell::new(null_mut()),
            queues: Atomic::new(queues),
            tx_len: Atomic::new(D::LIMITS.ring_default),
            rx_len: Atomic::new(D::LIMITS.ring_default),
            recoveries: Atomic::new(0),
            shared <- try_pin_init!(Shared {
                resources,
                netdev,
                stats: QueueStats::new(D::LIMITS.queues)?,
                service <- Opaque::ffi_init(|work| {
                    // SAFETY: The place for a work item, pinned. Disabled until the device is up.
                    unsafe {
                        nb::init_service_work(work, Some(Self::service_work));
                        nb::disable_delayed_work_sync(work);
                    }
                }),
                recovery <- Opaque::ffi_init(|work| {
                    // SAFETY: The place for a work item, pinned.
                    unsafe { nb::init_recovery_work(work, Some(Self::recovery_work)) };
                }),
            }? Error),
        }? Error)
    }

    #[inline]
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The driver's data.
    #[inline]
    pub fn driver(&self) -> &D {
        &self.driver
    }

    #[inline]
    pub(crate) fn nic(&self) -> Nic<'_> {
        Nic::new(&self.shared)
    }

    /// What is up now, for a transmit callback.
    ///
    /// # Safety
    ///
    /// In a transmit callback, or under RTNL.
    #[inline]
    pub(super) unsafe fn running<'a>(&'a self) -> Option<&'a Running<D>> {
        // SAFETY: Not written meanwhile, by the requirement: packets are kept out, and waited for,
        // before it changes.
        unsafe { (*self.running.get()).as_ref() }
    }

    pub(crate) fn config(&self, _rtnl: &Rtnl) -> Config {
        Config {
            queues: self.queues.load(Relaxed),
            tx_len: self.tx_len.load(Relaxed),
            rx_len: self.rx_len.load(Relaxed),
            mtu: self.shared.dev().mtu(),
        }
    }

    fn set_config(&self, config: &Config) {
        self.queues.store(config.queues, Relaxed);
        self.tx_len.store(config.tx_len, Relaxed);
        self.rx_len.store(config.rx_len, Relaxed);
    }

    /// How often the device was taken down and up again to get it going.
    pub fn recoveries(&self) -> u32 {
        self.recoveries.load(Relaxed)
    }

    /// Takes the device up. The caller lets packets in.
    pub(super) fn up(&self, reset: bool, rtnl: &Rtnl) -> Result {
        let running = Running::new(self, &self.config(rtnl))?;
        self.up_with(running, reset, rtnl)
    }

    fn up_with(&self, running: Running<D>, reset: bool, rtnl: &Rtnl) -> Result {
        let nic = self.nic();
        let queues = running.queues.len() as u32;
        let mut running = KBox::new(running, GFP_KERNEL)?;
        // SAFETY: Under RTNL, at most as many as were allocated.
        to_result(unsafe {
            nb::netif_set_real_num_queues(self.shared.dev().as_raw(), queues, queues)
        })?;
        // The driver's `stop()` has run since there last were rings.
        self.shared.resources().set_master(true);
        let done = self
            .driver
            .start(&nic, &running.rings, reset, rtnl)
            .and_then(|()| running.plug(self));
        if let Err(err) = done {
            running.unplug(self);
            self.halt();
            return Err(err);
        }
        running.tell();
        // SAFETY: Under RTNL; no packet can come yet, and no statistics look at it.
        unsafe { *self.running.get() = KBox::into_raw(running) };
        self.driver.enable(&nic);
        // SAFETY: Initialised, and disabled since it was down.
        unsafe { nb::enable_delayed_work(self.shared.service.get()) };
        self.shared.service_in(0);
        Ok(())
    }

    /// The device does no DMA any more when this returns.
    fn halt(&self) {
        self.driver.stop(&self.nic());
        self.shared.resources().set_master(false);
    }

    /// The first half of going down: nothing polls or services the device any more.
    pub(super) fn quiesce_with(&self, _rtnl: &Rtnl) {
        self.shared.dev().carrier_off();
        // SAFETY: Initialised. Waits for a service that runs, which does not take RTNL.
        unsafe { nb::disable_delayed_work_sync(self.shared.service.get()) };
        self.driver.disable(&self.nic());
        // SAFETY: Under RTNL; what was up stays. Transmit callbacks do not use what `unplug()`
        // changes.
        if let Some(running) = unsafe { (*self.running.get()).as_mut() } {
            running.unplug(self);
        }
    }

    /// The second half: no packet can come any more.
    pub(super) fn finish_with(&self, _rtnl: &Rtnl) {
        self.halt();
        // SAFETY: Under RTNL, and nobody else looks at it: neither packets nor polls.
        let running = unsafe { core::mem::replace(&mut *self.running.get(), null_mut()) };
        if running.is_null() {
            return;
        }
        for queue in 0..self.shared.resources().max_queues() {
            // SAFETY: A queue of the device, which is stopped; what it had sent is dropped below.
            unsafe {
                let txq = nb::netdev_get_tx_queue(self.shared.netdev.as_ptr(), queue);
                nb::netdev_tx_reset_queue(txq);
            }
        }
        // SAFETY: Made by `KBox::into_raw` in `up_with()`, dropped once.
        drop(unsafe { KBox::from_raw(running) });
    }

    /// Takes a device that is up down, and up again with `config`. When there is no memory for
    /// that, it stays as it was. RTNL.
    pub(crate) fn reconfigure(&self, config: &Config, rtnl: &Rtnl) -> Result {
        // SAFETY: Under RTNL.
        if unsafe { self.running() }.is_none() {
            self.set_config(config);
            return Ok(());
        }
        let running = Running::new(self, config)?;
        self.down(rtnl);
        self.set_config(config);
        self.up_with(running, false, rtnl)?;
        self.resume();
        Ok(())
    }

    /// Takes the device down, from outside of `ndo_stop`.
    pub(crate) fn down(&self, rtnl: &Rtnl) {
        self.quiesce_with(rtnl);
        // SAFETY: Under RTNL. Takes the lock of every queue, so no callback is running in one that
        // was not stopped; nothing can start one.
        unsafe {
            nb::netif_tx_disable(self.shared.netdev.as_ptr());
            nb::synchronize_net();
        }
        self.finish_with(rtnl);
    }

    /// Lets packets in after [`down`](Self::down) and up.
    pub(crate) fn resume(&self) {
        let nic = self.nic();
        nic.with_filter(|filter| self.driver.set_filter(&nic, filter));
        // SAFETY: Under RTNL, a registered device that is up.
        unsafe { nb::netif_tx_start_all_queues(self.shared.netdev.as_ptr()) };
    }

    /// Takes a device up that was taken down while the stack had it up, and tells the driver the
    /// receive filter again.
    pub(crate) fn up_again(&self, rtnl: &Rtnl) -> Result {
        // SAFETY: Under RTNL.
        if unsafe { self.running() }.is_none() {
            self.up(true, rtnl)?;
            self.resume();
        }
        Ok(())
    }

    /// No recovery any more. Process context, without RTNL.
    pub(crate) fn retire(&self) {
        // SAFETY: Initialised; waits for one that runs.
        unsafe { nb::disable_delayed_work_sync(self.shared.recovery.get()) };
    }

    /// Whether any transmit queue has packets and has not moved since this was last asked.
    ///
    /// # Safety
    ///
    /// In the service work.
    unsafe fn is_stuck(&self) -> bool {
        // SAFETY: The service is disabled and waited for before `running` changes.
        match unsafe { self.running() } {
            Some(running) if self.shared.dev().carrier_ok() => running
                .queues
                .iter()
                .fold(false, |stuck, queues| queues.is_stuck() | stuck),
            _ => false,
        }
    }

    unsafe extern "C" fn service_work(work: *mut nb::work_struct) {
        // SAFETY: Called for the work item in a `Core<D>`, which disables it before it ends.
        let this = unsafe {
            let work: *mut Opaque<nb::delayed_work> = nb::to_delayed_work(work).cast();
            let shared = container_of!(work, Shared, service);
            &*container_of!(shared, Self, shared)
        };
        let next = this.driver.service(&this.nic());
        // SAFETY: This is the service work.
        if unsafe { this.is_stuck() } {
            pr_warn!(
                "{}: a transmit queue does not move: starting again\n",
                this.shared.dev()
            );
            this.shared.recover();
        }
        this.shared.service_in(next.clamp(1, LOOK));
    }

    unsafe extern "C" fn recovery_work(work: *mut nb::work_struct) {
        // SAFETY: Called for the work item in a `Core<D>`, which disables it before it ends.
        let this = unsafe {
            let work: *mut Opaque<nb::delayed_work> = nb::to_delayed_work(work).cast();
            let shared = container_of!(work, Shared, recovery);
            &*container_of!(shared, Self, shared)
        };
        let rtnl = rtnl::lock();
        // SAFETY: Under RTNL.
        if unsafe { this.running() }.is_none() || this.shared.io().is_gone() {
            return;
        }
        this.recoveries
            .store(this.recoveries.load(Relaxed).wrapping_add(1), Relaxed);
        this.down(&rtnl);
        match this.up(true, &rtnl) {
            Ok(()) => this.resume(),
            Err(err) => pr_err!(
                "{}: cannot be taken up again ({:?}): set it down and up\n",
                this.shared.dev(),
                err
            ),
        }
    }

    /// What `LIMITS` has to fulfil.
    pub(crate) const CHECK: () = {
        let limits = D::LIMITS;
        assert!(limits.queues >= 1 && limits.queues <= 64);
        assert!(
            limits.ring.0 >= TxRing::<D::TxDesc>::MIN && limits.ring.0 >= RxRing::<D::RxDesc>::MIN
        );
        assert!(limits.ring.1 >= limits.ring.0 && limits.ring.1 <= 16384 && limits.ring_step >= 1);
        assert!(limits.ring_default >= limits.ring.0 && limits.ring_default <= limits.ring.1);
        assert!(limits.mtu.0 >= 68 && limits.mtu.0 <= limits.mtu.1);
    };
}
