// SPDX-License-Identifier: GPL-2.0

//! The data of a NIC's network device: the driver's, and what the layer adds.

use core::ptr::{
    null_mut,
    NonNull, //
};

use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc, //
    },
};
use net_bindings as nb;

use super::{
    activity::Activity,
    running::Running,
    shared::Shared,
    Driver,
    Nic,
    Wake, //
};
use crate::{
    pci::Resources,
    ring::{
        RxRing,
        TxRing, //
    },
    rtnl::Rtnl,
};

/// What a device can be configured to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) queues: u32,
    pub(crate) tx_len: u32,
    pub(crate) rx_len: u32,
    pub(crate) mtu: u32,
}

impl Config {
    /// With the Ethernet header and two VLAN tags. Others on the wire may have the usual MTU even if
    /// this device has a smaller one.
    pub(super) fn max_frame(&self) -> u32 {
        self.mtu.max(nb::ETH_DATA_LEN).saturating_add(14 + 4 + 4)
    }
}

/// The data of a NIC of driver `D`: what the layer's [`netdev::Driver`](crate::netdev::Driver) for
/// NICs is implemented on.
#[pin_data]
pub struct Core<D: Driver> {
    driver: D,
    /// Null while the device is down. Written under RTNL; what it pointed to is freed after a grace
    /// period.
    running: Atomic<*mut Running<D>>,
    queues: Atomic<u32>,
    tx_len: Atomic<u32>,
    /// Whether frames of others may be sent: not while the device goes down.
    frames: Atomic<bool>,
    rx_len: Atomic<u32>,
    /// Whether the device was reset, by somebody else or by a failure, since it last was up.
    strange: Atomic<bool>,
    #[pin]
    pub(super) shared: Shared,
}

// SAFETY: `running` is written under RTNL, and read under RTNL or in RCU read sides.
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
        activity: Arc<Activity>,
        first: u32,
    ) -> impl PinInit<Self, Error> {
        let wake = if D::HAS_WAKES {
            driver.wakes()
        } else {
            (Wake::NOTHING, Wake::NOTHING)
        };
        try_pin_init!(Self {
            driver,
            running: Atomic::new(null_mut()),
            queues: Atomic::new(first),
            tx_len: Atomic::new(D::LIMITS.ring_default),
            frames: Atomic::new(false),
            rx_len: Atomic::new(D::LIMITS.ring_default),
            strange: Atomic::new(false),
            // SAFETY: By the requirement; the work functions find their `Core<D>` from it.
            shared <- unsafe {
                Shared::new::<D>(
                    resources,
                    netdev,
                    activity,
                    wake,
                    first,
                    (Self::service_work, Self::recovery_work),
                )
            },
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

    /// What is up now.
    ///
    /// # Safety
    ///
    /// In an RCU read side, such as a transmit callback, or under RTNL; not to be kept beyond.
    #[inline]
    pub(super) unsafe fn running<'a>(&'a self) -> Option<&'a Running<D>> {
        // SAFETY: Null, or of a box that is freed after a grace period, under RTNL. Read through an
        // inlined shim, because the kernel crate's `load()` is a call.
        unsafe {
            nb::read_once_ptr(self.running.as_ptr().cast())
                .cast::<Running<D>>()
                .as_ref()
        }
    }

    pub(crate) fn config(&self, _rtnl: &Rtnl) -> Config {
        Config {
            queues: self.queues.load(Relaxed),
            tx_len: self.tx_len.load(Relaxed),
            rx_len: self.rx_len.load(Relaxed),
            mtu: self.shared.dev().mtu(),
        }
    }

    /// Whether frames of others may be sent now.
    pub(super) fn takes_frames(&self) -> bool {
        self.frames.load(Relaxed)
    }

    /// Whether the device is up.
    pub(super) fn is_up(&self, _rtnl: &Rtnl) -> bool {
        // SAFETY: Under RTNL, which whoever changes it holds.
        unsafe { self.running() }.is_some()
    }

    fn set_config(&self, config: &Config) {
        // SAFETY: A device that is there.
        let chosen = unsafe { nb::netif_is_rxfh_configured(self.shared.netdev().as_ptr()) };
        // A table that somebody has chosen stays; the core refuses fewer queues than it needs.
        if config.queues != self.queues.load(Relaxed) && !chosen {
            self.shared.rss().spread(config.queues);
        }
        self.queues.store(config.queues, Relaxed);
        self.tx_len.store(config.tx_len, Relaxed);
        self.rx_len.store(config.rx_len, Relaxed);
    }

    /// Says that nothing is known about the state of the hardware: it is reset before it is used
    /// again.
    pub(crate) fn distrust(&self) {
        self.strange.store(true, Relaxed);
        self.shared.clock().distrust();
    }

    /// Nobody reaches registers because of the clock until this is said again: somebody resets the
    /// device, or it sleeps.
    pub(crate) fn keep_away(&self, away: bool) {
        self.shared.clock().keep_away(away);
    }

    /// Takes the device up. The caller lets packets in.
    pub(super) fn up(&self, rtnl: &Rtnl) -> Result {
        let running = Running::new(self, &self.config(rtnl))?;
        self.up_with(running, rtnl)
    }

    fn up_with(&self, running: Running<D>, rtnl: &Rtnl) -> Result {
        let nic = self.nic();
        let queues = running.queues.len() as u32;
        let mut running = KBox::new(running, GFP_KERNEL)?;
        // SAFETY: Under RTNL, at most as many as were allocated.
        to_result(unsafe {
            nb::netif_set_real_num_queues(self.shared.dev().as_raw(), queues, queues)
        })?;
        // The driver's `stop()` has run since there last were rings.
        self.shared.resources().set_master(true);
        let reset = self.strange.load(Relaxed);
        let done = self
            .driver
            .start(&nic, &running.rings, reset, rtnl)
            .and_then(|()| running.plug(self));
        if let Err(err) = done {
            running.unplug(self);
            self.halt();
            self.distrust();
            return Err(err);
        }
        self.strange.store(false, Relaxed);
        self.start_clock(reset, rtnl);
        running.set_interval(self, self.shared.moderation().first());
        running.tell();
        self.running.store(KBox::into_raw(running), Release);
        self.frames.store(true, Relaxed);
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
        // SAFETY: Under RTNL. A recovery that failed has left nothing to end.
        if unsafe { self.running() }.is_none() {
            return;
        }
        self.frames.store(false, Relaxed);
        self.shared.dev().carrier_off();
        // SAFETY: Initialised. Waits for a service that runs, which does not take RTNL.
        unsafe { nb::disable_delayed_work_sync(self.shared.service.get()) };
        self.driver.disable(&self.nic());
        // SAFETY: Under RTNL; what was up stays. Transmit callbacks do not use what `unplug()`
        // changes.
        if let Some(running) = unsafe { self.running.load(Relaxed).as_mut() } {
            running.unplug(self);
        }
    }

    /// The second half: no packet can come any more.
    pub(super) fn finish_with(&self, _rtnl: &Rtnl) {
        let running = self.running.xchg(null_mut(), Full);
        if running.is_null() {
            return;
        }
        // Who sends what does not come from the stack (frames of programs, pktgen) may have found
        // it just before.
        // SAFETY: Under RTNL; may sleep.
        unsafe { nb::synchronize_net() };
        self.stop_clock();
        self.halt();
        for queue in 0..self.shared.resources().max_queues() {
            // SAFETY: A queue of the device, which is stopped; what it had sent is dropped below.
            unsafe {
                let txq = nb::netdev_get_tx_queue(self.shared.netdev().as_ptr(), queue);
                nb::netdev_tx_reset_queue(txq);
            }
        }
        // SAFETY: Made by `KBox::into_raw` in `up_with()`, dropped once.
        drop(unsafe { KBox::from_raw(running) });
    }

    /// Takes a device that is up down, and up again with `config`. When there is no memory for
    /// that, it stays as it was. RTNL.
    pub(crate) fn reconfigure(&self, config: &Config, rtnl: &Rtnl) -> Result {
        // SAFETY: Under RTNL, which whoever changes it holds.
        if unsafe { self.running() }.is_none() {
            self.set_config(config);
            return Ok(());
        }
        let running = Running::new(self, config)?;
        self.down(rtnl);
        self.set_config(config);
        self.up_with(running, rtnl)?;
        self.resume();
        Ok(())
    }

    /// Sets how long interrupts are held back. Vectors adapt themselves from then on, or not.
    pub(super) fn set_moderation(&self, usecs: u32, adaptive: bool, _rtnl: &Rtnl) {
        let moderation = self.shared.moderation();
        moderation.set(usecs, adaptive);
        // SAFETY: Under RTNL, which whoever changes it holds.
        if let Some(running) = unsafe { self.running() } {
            running.set_interval(self, moderation.first());
        }
    }

    /// Takes the device down, from outside of `ndo_stop`.
    pub(crate) fn down(&self, rtnl: &Rtnl) {
        self.quiesce_with(rtnl);
        // SAFETY: Under RTNL. Takes the lock of every queue, so no callback is running in one that
        // was not stopped; nothing can start one.
        unsafe {
            nb::netif_tx_disable(self.shared.netdev().as_ptr());
            nb::synchronize_net();
        }
        self.finish_with(rtnl);
    }

    /// Lets packets in after [`down`](Self::down) and up.
    pub(crate) fn resume(&self) {
        let nic = self.nic();
        nic.with_filter(|filter| self.driver.set_filter(&nic, filter));
        // SAFETY: Under RTNL, a registered device that is up.
        unsafe { nb::netif_tx_start_all_queues(self.shared.netdev().as_ptr()) };
    }

    /// Takes a device up that was taken down while the stack had it up, and tells the driver the
    /// receive filter again.
    pub(crate) fn up_again(&self, rtnl: &Rtnl) -> Result {
        // SAFETY: Under RTNL, which whoever changes it holds.
        if unsafe { self.running() }.is_none() {
            self.up(rtnl)?;
            self.resume();
        }
        Ok(())
    }

    /// Readies the device, which is down, for sleep. Returns whether it is to wake the machine.
    pub(crate) fn sleep(&self, _rtnl: &Rtnl) -> bool {
        let wake = self.shared.wake().get();
        if D::HAS_SLEEP {
            self.driver.sleep(&self.nic(), wake);
        }
        wake != Wake::NOTHING
    }

    /// No recovery any more. Process context, without RTNL.
    pub(crate) fn retire(&self) {
        // SAFETY: Initialised; waits for one that runs.
        unsafe { nb::disable_delayed_work_sync(self.shared.recovery.get()) };
    }

    /// What `LIMITS` has to fulfil.
    pub(crate) const CHECK: () = const {
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
