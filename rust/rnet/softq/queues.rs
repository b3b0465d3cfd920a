// SPDX-License-Identifier: GPL-2.0

//! All queues of a device, and which one a packet goes to.

use core::ptr::NonNull;

use kernel::prelude::*;
use net_bindings as nb;

use super::{
    hold::{
        Coalesce,
        Sender, //
    },
    order::{
        Flow,
        Order, //
    },
    queue::{
        Added,
        PollFn,
        Queue, //
    },
    steer::{
        Direction,
        Steer, //
    },
    word::Word, //
};
use crate::{
    skb::DropReason,
    xdp, //
};

/// How many packets may wait in a queue: at first, at least and at most.
pub(super) const LIMIT: (u32, u32, u32) = (1024, 64, 16384);

/// The queues of a device, as long as it has any.
///
/// # Invariants
///
/// `dev` is a registered device that does not end before this value. `queues` is not empty, and not
/// changed once packets come.
pub(super) struct Queues {
    pub(super) dev: NonNull<nb::net_device>,
    pub(super) queues: KVec<Pin<KBox<Queue>>>,
    pub(super) order: Order,
    steer: Steer,
    /// How many of them packets go to.
    active: Word,
    pub(super) steering: Word,
    usecs: Word,
    frames: Word,
    adaptive: Word,
    pub(super) limit: Word,
    pub(super) program: xdp::Slot,
}

// SAFETY: Reached from any thread; settings are read and written whole.
unsafe impl Send for Queues {}
// SAFETY: See above.
unsafe impl Sync for Queues {}

impl Queues {
    /// `count` queues, of which packets use one until [`set_active`](Self::set_active). RTNL.
    /// Errors: `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `dev` must be a registered device with room for so many queues, at least one, which does not
    /// end before the returned value. `poll` must be [`Queue::poll`].
    pub(super) unsafe fn new(
        dev: NonNull<nb::net_device>,
        count: u32,
        poll: PollFn,
    ) -> Result<Pin<KBox<Self>>> {
        let first = Coalesce::DEFAULT;
        let mut this = KBox::pin(
            Self {
                dev,
                queues: KVec::with_capacity(count as usize, GFP_KERNEL)?,
                order: Order::new()?,
                steer: Steer::new()?,
                active: Word::new(1),
                steering: Word::new(0),
                usecs: Word::new(first.usecs),
                frames: Word::new(first.frames),
                adaptive: Word::new(first.adaptive.into()),
                limit: Word::new(LIMIT.0),
                program: xdp::Slot::new(),
            },
            GFP_KERNEL,
        )?;
        let owner = NonNull::from(&*this);
        for index in 0..count {
            // SAFETY: By the requirement; the queues go with their owner.
            let queue = unsafe { Queue::new(dev, owner, index, poll)? };
            // SAFETY: The value is not moved.
            let queues = unsafe { &mut this.as_mut().get_unchecked_mut().queues };
            queues.push(queue, GFP_KERNEL)?;
        }
        Ok(this)
    }

    pub(super) fn count(&self) -> u32 {
        self.queues.len() as u32
    }

    pub(super) fn active(&self) -> u32 {
        self.active.get()
    }

    /// How many of them packets go to from now on: at least one, no more than there are.
    pub(super) fn set_active(&self, active: u32) {
        self.active.set(active.clamp(1, self.count().max(1)));
    }

    #[inline(always)]
    pub(super) fn coalesce(&self) -> Coalesce {
        Coalesce {
            usecs: self.usecs.get(),
            frames: self.frames.get(),
            adaptive: self.adaptive.get() != 0,
        }
    }

    /// Packets that wait already may still do so for as long as before.
    pub(super) fn set_coalesce(&self, new: Coalesce) {
        self.usecs.set(new.usecs);
        self.frames.set(new.frames);
        self.adaptive.set(new.adaptive.into());
    }

    /// The CPU that is to poll a queue, if it is another one than this.
    #[inline(always)]
    pub(super) fn home(&self, queue: &Queue) -> Option<u32> {
        if self.steering.get() == 0 {
            return None;
        }
        // SAFETY: Preemption is off.
        let here = unsafe { nb::smp_processor_id() };
        // SAFETY: The number of a possible CPU, below the number of queues, or of none.
        let other = queue.index != here && unsafe { nb::cpu_online(queue.index) };
        other.then_some(queue.index)
    }

    /// Takes a packet; false if it was dropped.
    ///
    /// # Safety
    ///
    /// In a transmit callback or `ndo_xdp_xmit` of the device. `skb` must be the caller's own,
    /// turned round, and is given away. `sock` tells whose packet it is.
    #[inline]
    pub(super) unsafe fn enqueue(&self, skb: *mut nb::sk_buff, sock: usize) -> bool {
        // SAFETY: Softirqs are off.
        let (cpu, softirq) = unsafe {
            // Netpoll: the queue's lock may be held by whom it has interrupted.
            if nb::irqs_disabled() {
                nb::skb_orphan(skb);
                return nb::__netif_rx(skb) == nb::NET_RX_SUCCESS as i32;
            }
            (nb::smp_processor_id(), nb::in_serving_softirq())
        };
        let active = self.active.get();
        let mut want = if cpu < active {
            cpu
        } else {
            cpu.checked_rem(active).unwrap_or(0)
        };
        if self.steering.get() != 0 {
            // SAFETY: By the requirement.
            want = unsafe { self.steered(skb, cpu, softirq) }
                .filter(|&to| to < active)
                .unwrap_or(want);
        }
        // What belongs to no socket is in the order of its CPU, as in the backlog.
        let flow = Flow::of(if sock == 0 { !(cpu as usize) } else { sock });
        if self.queues.len() > 1 {
            let done = |queue| Some(self.queues.get(queue as usize)?.done());
            want = self.order.bound_to(flow, done).unwrap_or(want);
        }
        let Some(queue) = self.queues.get(want as usize) else {
            // SAFETY: Ours; there is always a queue.
            unsafe { self.drop(skb) };
            return false;
        };
        let sender = if softirq { None } else { Some(sender()) };
        let coalesce = self.coalesce();
        // SAFETY: By the requirement softirqs are off, and interrupts on.
        let added = unsafe { queue.add(skb, self.limit.get(), coalesce, sender) };
        let (number, now) = match added {
            Added::Held(number) => (number, false),
            Added::Now(number) => (number, true),
            Added::Closed => {
                // SAFETY: Still ours; softirqs are off.
                return unsafe {
                    nb::skb_orphan(skb);
                    nb::__netif_rx(skb) == nb::NET_RX_SUCCESS as i32
                };
            }
            Added::Full => {
                queue.dropped_one();
                // SAFETY: It was not put in, so it is still ours to give away.
                unsafe { self.drop(skb) };
                return false;
            }
        };
        if self.queues.len() > 1 {
            self.order.note(flow, want, number);
        }
        if queue.is_armed() {
            if now {
                queue.kick(self.home(queue));
            } else {
                queue.hold(coalesce.usecs);
            }
        }
        true
    }

    /// Where the thread runs that a packet is for. What a thread sends says where that one is.
    ///
    /// # Safety
    ///
    /// `skb` must be the caller's own.
    unsafe fn steered(&self, skb: *const nb::sk_buff, cpu: u32, softirq: bool) -> Option<u32> {
        // SAFETY: By the requirement; the linear part has this length.
        let packet = unsafe {
            core::slice::from_raw_parts(nb::skb_data(skb), nb::skb_headlen(skb).min(64) as usize)
        };
        let direction = Direction::of(packet)?;
        if !softirq {
            self.steer.learn(direction, cpu);
        }
        self.steer.receiver(direction)
    }

    /// Drops a packet for which there is no room, and counts it where the backlog does.
    ///
    /// # Safety
    ///
    /// `skb` must be the caller's own, who gives it away.
    #[cold]
    unsafe fn drop(&self, skb: *mut nb::sk_buff) {
        // SAFETY: By the requirement; the device is there.
        unsafe {
            nb::dev_core_stats_rx_dropped_inc(self.dev.as_ptr());
            nb::dev_kfree_skb_any_reason(skb, DropReason::FULL_RING.as_raw());
        }
    }
}

/// Who sends now.
#[inline(always)]
fn sender() -> Sender {
    let mut slept = 0;
    // SAFETY: Reads the current task.
    let task = unsafe { nb::current_task(&mut slept) } as usize;
    Sender { task, slept }
}
