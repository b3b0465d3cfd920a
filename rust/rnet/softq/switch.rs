// SPDX-License-Identifier: GPL-2.0

//! Switching the queues of a device on and off under traffic.
//!
//! What is exchanged is the device's table of callbacks, so that a device without queues costs
//! nothing and looks as if it could not have any. Nothing is lost or overtaken on the way: when
//! the queues are switched on, the first one takes packets but delivers none until the backlogs
//! have processed what was sent before; when they are switched off, all packets go to the first
//! one until the others are empty, and it is emptied before the next packet goes to a backlog.

use core::ptr::{
    null_mut,
    NonNull, //
};

use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed,
        Release, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};
use net_bindings as nb;

use super::{
    queue::PollFn,
    queues::Queues,
    Callbacks,
    Driver,
    Tables, //
};
use crate::{
    netdev::Features,
    percpu,
    rtnl::Rtnl,
    softnet::Softnet, //
};

/// How often is looked whether packets that were sent before are delivered, and how often at most
/// for one change: RTNL is held meanwhile.
const STEP: Delta = Delta::from_micros(50);
const STEPS: u32 = 40_000;
/// What two grace periods count for, about.
const GRACE: u32 = 400;

/// What a device with queues offers programs: with all answers, and frames that others send.
const XDP_FEATURES: u32 = nb::netdev_xdp_act_NETDEV_XDP_ACT_BASIC
    | nb::netdev_xdp_act_NETDEV_XDP_ACT_REDIRECT
    | nb::netdev_xdp_act_NETDEV_XDP_ACT_NDO_XMIT;

/// The switch of a device that can have receive queues of its own. Made by
/// [`Builder::receive_queues`](crate::netdev::Builder::receive_queues).
///
/// # Invariants
///
/// `dev` is null or a registered device whose private area points to this value; written under
/// RTNL. `queues` is null, or the device's queues; written under RTNL and freed after a grace
/// period.
pub struct Switch {
    dev: Atomic<*mut nb::net_device>,
    queues: Atomic<*mut Queues>,
    changing: Atomic<bool>,
    off: Tables,
    on: Tables,
    /// How many receive queues the device has room for.
    count: u32,
    /// [`Queue::poll`](super::queue::Queue::poll), compiled with the driver.
    poll: PollFn,
}

// SAFETY: See the type invariant; tables are constants.
unsafe impl Send for Switch {}
// SAFETY: See above.
unsafe impl Sync for Switch {}

/// Waits until `done`, for no more than `steps`, of which it takes what it needs. Process context.
fn wait(steps: &mut u32, done: impl Fn() -> bool) -> Result {
    while !done() {
        *steps = steps.checked_sub(1).ok_or(ETIMEDOUT)?;
        fsleep(STEP);
    }
    Ok(())
}

impl Switch {
    pub(crate) fn new<T: Driver>(count: u32) -> Self {
        // INVARIANT: No device, no queues.
        Self {
            dev: Atomic::new(null_mut()),
            queues: Atomic::new(null_mut()),
            changing: Atomic::new(false),
            off: Tables::without_queues::<T>(),
            on: Tables::with_queues::<T>(),
            count,
            poll: Callbacks::<T>::poll,
        }
    }

    /// Gives a device the callbacks that it has without queues.
    ///
    /// # Safety
    ///
    /// `dev` must be the device that is built with this switch, not registered.
    pub(crate) unsafe fn prepare(&self, dev: *mut nb::net_device) {
        // SAFETY: By the requirement.
        unsafe { self.off.install(dev) };
    }

    /// The device is registered. RTNL.
    ///
    /// # Safety
    ///
    /// `dev` must be the device that was built with this switch, and [`gone`](Self::gone) be called
    /// before it is freed.
    pub(crate) unsafe fn registered(&self, dev: NonNull<nb::net_device>) {
        // INVARIANT: By the requirement.
        self.dev.store(dev.as_ptr(), Release);
    }

    /// The queues, in a context in which they are not freed.
    ///
    /// # Safety
    ///
    /// In an RCU read side section or under RTNL, and not beyond it.
    #[inline(always)]
    pub(super) unsafe fn queues(&self) -> Option<&Queues> {
        // SAFETY: By the type invariant.
        unsafe {
            let queues = nb::smp_load_acquire_ptr(self.queues.as_ptr().cast());
            queues.cast::<Queues>().as_ref()
        }
    }

    /// How many queues the device was allocated with.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Whether the device has queues now. May be old when it returns, unless RTNL is held.
    pub fn is_on(&self) -> bool {
        !self.queues.load(Relaxed).is_null()
    }

    /// Gives the device receive queues with a NAPI each, one for each CPU, or takes them away.
    /// RTNL; process context; waits for packets that were sent before.
    ///
    /// # Errors
    ///
    /// `ENODEV` while the device is not registered; `ENOMEM`; `EBUSY` when queues are to be taken
    /// away that an XDP program is attached to or an AF_XDP socket is bound to, when the device's
    /// transmit path is taken over, and while it is being switched; `ETIMEDOUT` if packets that were sent before
    /// are not delivered within two seconds. The device is as it was then.
    pub fn set(&self, on: bool, rtnl: &Rtnl) -> Result {
        let dev = NonNull::new(self.dev.load(Relaxed)).ok_or(ENODEV)?;
        if on == self.is_on() {
            return Ok(());
        }
        // Somebody else has exchanged the tables; or this is called by what is told of a change.
        let now = if on { &self.off } else { &self.on };
        // SAFETY: By the type invariant, under RTNL.
        if unsafe { !now.are_of(dev.as_ptr()) } || self.changing.xchg(true, Full) {
            return Err(EBUSY);
        }
        // SAFETY: By the type invariant.
        let done = unsafe {
            if on {
                self.start(dev, rtnl)
            } else {
                self.stop(dev, rtnl)
            }
        };
        self.changing.store(false, Release);
        done
    }

    /// # Safety
    ///
    /// `dev` must be the switch's device, which has no queues.
    unsafe fn start(&self, dev: NonNull<nb::net_device>, rtnl: &Rtnl) -> Result {
        // SAFETY: By the requirement, under RTNL. The device had room for so many from the start.
        let queues = unsafe {
            let queues = Queues::new(dev, self.count, self.poll)?;
            nb::netdev_set_num_rx_queues(dev.as_ptr(), self.count);
            let set = to_result(nb::netif_set_real_num_rx_queues(dev.as_ptr(), self.count));
            if let Err(err) = set {
                nb::netdev_set_num_rx_queues(dev.as_ptr(), 1);
                return Err(err);
            }
            queues
        };
        // SAFETY: Not moved; made a box again in `free()`.
        let queues = KBox::into_raw(unsafe { Pin::into_inner_unchecked(queues) });
        // SAFETY: Just made, and freed nowhere but below.
        let shared = unsafe { &*queues };
        self.link(shared, true);
        self.queues.store(queues, Release);
        // SAFETY: Under RTNL; the tables are constants. Packets of other CPUs go the old way until
        // the wait is over.
        unsafe {
            self.on.install(dev.as_ptr());
            nb::xdp_set_features_flag(dev.as_ptr(), XDP_FEATURES);
            nb::netdev_offer_features(dev.as_ptr(), Features::NTUPLE.as_raw(), true);
            nb::synchronize_net();
        }
        // The first queue takes packets meanwhile.
        let drained = backlogs_drained();
        for queue in &shared.queues {
            queue.enable();
        }
        if let Err(err) = drained {
            pr_err!("the backlogs do not come to an end\n");
            // SAFETY: As for this function; the queues are there now.
            unsafe { self.stop(dev, rtnl)? };
            return Err(err);
        }
        shared.set_active(self.count);
        Ok(())
    }

    /// # Safety
    ///
    /// `dev` must be the switch's device, with queues.
    unsafe fn stop(&self, dev: NonNull<nb::net_device>, _rtnl: &Rtnl) -> Result {
        // SAFETY: Under RTNL, which who frees the queues holds.
        let queues = unsafe { self.queues() }.ok_or(ENODEV)?;
        let sockets = (0..self.count).any(|queue| {
            // SAFETY: Under RTNL; the device has these queues.
            unsafe { nb::netdev_has_xsk(dev.as_ptr(), queue) }
        });
        if queues.program.is_set() || sockets {
            return Err(EBUSY);
        }
        let (active, steering) = (queues.active(), queues.steering.get());
        queues.steering.set(0);
        if let Err(err) = self.shrink(queues, 1) {
            queues.set_active(active);
            queues.steering.set(steering);
            return Err(err);
        }
        let first = queues.queues.first().ok_or(ENODEV)?;
        first.disable();
        // SAFETY: Disabled. Then nothing is put into the queue any more; under RTNL, and callbacks
        // that began before are waited for.
        unsafe {
            first.close();
            nb::netdev_offer_features(dev.as_ptr(), Features::NTUPLE.as_raw(), false);
            self.off.install(dev.as_ptr());
            nb::xdp_set_features_flag(dev.as_ptr(), 0);
            to_result(nb::netif_set_real_num_rx_queues(dev.as_ptr(), 1))
                .unwrap_or_else(|_| pr_err!("the device keeps its queues in sysfs\n"));
            nb::netdev_set_num_rx_queues(dev.as_ptr(), 1);
        }
        for queue in queues.queues.iter().skip(1) {
            queue.disable();
        }
        self.free();
        Ok(())
    }

    /// Packets go to the first `active` queues from now on; waits until the others are empty.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`: they are not.
    pub(super) fn shrink(&self, queues: &Queues, active: u32) -> Result {
        queues.set_active(active);
        let rest = || queues.queues.iter().skip(active as usize);
        let idle = || rest().all(|queue| queue.is_idle());
        let put_in = || rest().fold(0u32, |sum, queue| sum.wrapping_add(queue.put_in()));
        let mut steps = STEPS;
        loop {
            steps = steps.checked_sub(GRACE).ok_or(ETIMEDOUT)?;
            // SAFETY: Process context. Whoever has read the old number, or has found a packet of
            // its flow in another queue, has put its own in then.
            unsafe { nb::synchronize_net() };
            wait(&mut steps, idle)?;
            let before = put_in();
            if !idle() {
                continue;
            }
            // SAFETY: Process context. Who has found such a packet meanwhile has put its own in.
            unsafe { nb::synchronize_net() };
            if put_in() == before && idle() {
                queues.order.forget(active);
                return Ok(());
            }
        }
    }

    /// Says which NAPI serves which queue.
    fn link(&self, queues: &Queues, on: bool) {
        for queue in &queues.queues {
            // SAFETY: Under RTNL, with a queue of the device and a NAPI of it or none.
            unsafe {
                nb::netif_queue_set_napi(
                    queues.dev.as_ptr(),
                    queue.index,
                    nb::netdev_queue_type_NETDEV_QUEUE_TYPE_RX,
                    if on { queue.napi() } else { null_mut() },
                );
            }
        }
    }

    /// Frees the queues, which are disabled. RTNL.
    fn free(&self) {
        let Some(queues) = NonNull::new(self.queues.xchg(null_mut(), Full)) else {
            return;
        };
        // SAFETY: It was ours. Under RTNL; then nobody has the pointer any more.
        unsafe {
            self.link(queues.as_ref(), false);
            nb::synchronize_net();
            drop(Pin::new_unchecked(KBox::from_raw(queues.as_ptr())));
        }
    }

    /// The device goes: no callback that could put packets in runs any more. RTNL.
    pub(crate) fn gone(&self) {
        // SAFETY: Under RTNL, which who else frees the queues holds.
        if let Some(queues) = unsafe { self.queues() } {
            for queue in &queues.queues {
                queue.disable();
            }
            self.free();
        }
        self.dev.store(null_mut(), Release);
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // Freed in `gone()`, before the last owner lets go: the device is one of them.
        debug_assert!(!self.is_on());
    }
}

/// Waits until every CPU has processed what is in its backlog now.
fn backlogs_drained() -> Result {
    let mut steps = STEPS;
    for cpu in percpu::possible_cpus() {
        let until = Softnet::read(cpu).enqueued();
        wait(&mut steps, || is_past(&Softnet::read(cpu), until))?;
    }
    Ok(())
}

fn is_past(now: &Softnet, until: u32) -> bool {
    if cfg!(CONFIG_RPS) {
        now.dequeued().wrapping_sub(until) as i32 >= 0
    } else {
        // Nobody counts there.
        now.input_qlen() == 0 && now.process_qlen() == 0 && !now.scheduled()
    }
}
