// SPDX-License-Identifier: GPL-2.0

//! One queue: packets that wait, the NAPI that delivers them, and the timer that ends a batch.

use core::{
    cell::UnsafeCell,
    ptr::NonNull, //
};

use kernel::{
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    types::Opaque, //
};
use net_bindings as nb;

use super::{
    hold::{
        Coalesce,
        Sender,
        Streams, //
    },
    word::{
        Count,
        Word, //
    },
    Queues, //
};

/// A packet of more bytes is not held back: what it costs to deliver it is more than what a batch
/// saves, and whoever shares the queue would wait for all of it.
const LARGE: u32 = 4096;

/// A NAPI's poll function that is [`Queue::poll`].
pub(super) type PollFn = unsafe extern "C" fn(*mut nb::napi_struct, c_int) -> c_int;

/// Whether a queue takes packets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It does.
    Open,
    /// It is being closed, and has no room any more.
    Closing,
    /// It takes none, and is empty.
    Closed,
}

/// What became of a packet.
pub(super) enum Added {
    /// It waits, as this one of the queue, and may do so.
    Held(u32),
    /// It waits, and is to be delivered now.
    Now(u32),
    /// There is no room.
    Full,
    /// The queue takes no packets any more.
    Closed,
}

/// A queue.
///
/// # Invariants
///
/// `owner` outlives it. If `napi_added`, `napi` was added to the owner's device, and is deleted
/// with this value. `process` is reached by who owns the NAPI, or has disabled it.
/// `streams`, `state` and `tail` are written with the lock of `input` held.
#[repr(C)]
pub(super) struct Queue {
    /// First, so that both have the same address.
    pub(super) napi: Opaque<nb::napi_struct>,
    csd: Opaque<nb::call_single_data_t>,
    pub(super) timer: Opaque<nb::hrtimer>,
    pub(super) input: Opaque<nb::sk_buff_head>,
    pub(super) process: Opaque<nb::sk_buff_head>,
    pub(super) owner: NonNull<Queues>,
    pub(super) index: u32,
    /// 1 while a packet has to schedule the NAPI: what the interrupt of a NIC is.
    pub(super) armed: Word,
    /// 1 while the timer runs for a batch.
    pub(super) held: Word,
    /// 1 when the timer has ended a batch whose sender did not run.
    pub(super) in_doubt: Word,
    /// Who has sent the last packet that is held back.
    pub(super) holder: UnsafeCell<usize>,
    pub(super) state: UnsafeCell<State>,
    streams: UnsafeCell<Streams>,
    /// Packets put in, and packets delivered.
    tail: Word,
    pub(super) done: Word,
    napi_added: bool,
    pub(super) polls: Count,
    pub(super) batches: Count,
    pub(super) expired: Count,
    pub(super) dropped: Count,
}

// SAFETY: Reached from any thread; see the type invariant.
unsafe impl Send for Queue {}
// SAFETY: See above.
unsafe impl Sync for Queue {}

impl Queue {
    /// Adds a queue with its NAPI, which is disabled. RTNL. Errors: `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `dev` must be a registered device with room for a queue `index`, on which this value does
    /// not outlive its unregistration, nor `owner`. `poll` must be [`poll`](Self::poll).
    pub(super) unsafe fn new(
        dev: NonNull<nb::net_device>,
        owner: NonNull<Queues>,
        index: u32,
        poll: PollFn,
    ) -> Result<Pin<KBox<Self>>> {
        let mut this = KBox::pin(
            Self {
                napi: Opaque::zeroed(),
                csd: Opaque::zeroed(),
                timer: Opaque::zeroed(),
                input: Opaque::zeroed(),
                process: Opaque::zeroed(),
                owner,
                index,
                armed: Word::new(0),
                held: Word::new(0),
                in_doubt: Word::new(0),
                holder: UnsafeCell::new(0),
                state: UnsafeCell::new(State::Open),
                streams: UnsafeCell::new(Streams::new()),
                tail: Word::new(0),
                done: Word::new(0),
                napi_added: false,
                polls: Count::new(),
                batches: Count::new(),
                expired: Count::new(),
                dropped: Count::new(),
            },
            GFP_KERNEL,
        )?;
        // SAFETY: All of it is pinned, and ended with the value; the device is registered. The
        // poll function fits the type, by `repr(C)`.
        unsafe {
            let raw = core::ptr::from_ref(&*this).cast_mut().cast::<c_void>();
            nb::skb_queue_head_init(this.input.get());
            nb::skb_queue_head_init(this.process.get());
            nb::hrtimer_setup(this.timer.get(), Some(Self::time_is_over));
            nb::init_csd(this.csd.get(), Some(Self::called), raw);
            nb::netif_napi_add_config(dev.as_ptr(), this.napi.get(), Some(poll), index as c_int);
            // INVARIANT: Just now. The value is not moved.
            this.as_mut().get_unchecked_mut().napi_added = true;
        }
        Ok(this)
    }

    /// Counts a packet for which there was no room.
    pub(super) fn dropped_one(&self) {
        self.dropped.add(1);
    }

    pub(super) fn napi(&self) -> *mut nb::napi_struct {
        self.napi.get()
    }

    /// How many packets it has delivered, of all that there have been.
    #[inline(always)]
    pub(super) fn done(&self) -> u32 {
        self.done.get()
    }

    /// How many were put in.
    pub(super) fn put_in(&self) -> u32 {
        self.tail.get()
    }

    /// Whether nothing waits in it, and nothing of it is on its way.
    pub(super) fn is_idle(&self) -> bool {
        let done = self.done.get();
        // A packet that comes now is not ours to wait for.
        self.tail.get() == done
    }

    /// Puts a packet in.
    ///
    /// # Safety
    ///
    /// `skb` must be the caller's own, who gives it away unless there is no room. Softirqs off;
    /// not with interrupts off, since who has the lock may have been interrupted.
    #[inline(always)]
    pub(super) unsafe fn add(
        &self,
        skb: *mut nb::sk_buff,
        limit: u32,
        coalesce: Coalesce,
        sender: Option<Sender>,
    ) -> Added {
        let input = self.input.get();
        // SAFETY: Softirqs are off; everyone who takes the lock has them off, and nobody takes it
        // in a hard interrupt. What it protects is reached only here and in `close()`.
        unsafe {
            nb::skb_queue_lock(input);
            let len = nb::skb_queue_len(input);
            let state = *self.state.get();
            if len >= limit || state != State::Open {
                nb::skb_queue_unlock(input);
                return match state {
                    State::Closed => Added::Closed,
                    State::Open | State::Closing => Added::Full,
                };
            }
            nb::__skb_queue_tail(input, skb);
            let number = self.tail.get().wrapping_add(1);
            self.tail.set(number);
            let streams = &mut *self.streams.get();
            if self.in_doubt.get() != 0 {
                self.in_doubt.set(0);
                streams.expired();
            }
            let full = len.wrapping_add(1) >= coalesce.frames;
            // Every sender is looked at, so that who streams is known.
            let hold = match sender {
                Some(sender) if streams.packet(sender, full) => {
                    nb::write_once_ptr(self.holder.get().cast(), sender.task as *mut c_void);
                    true
                }
                _ => !coalesce.adaptive,
            } && nb::skb_len(skb) <= LARGE;
            nb::skb_queue_unlock(input);
            if hold && !full && coalesce.usecs != 0 {
                Added::Held(number)
            } else {
                Added::Now(number)
            }
        }
    }

    /// After a packet was put in: whether somebody has to be told. If not, somebody polls already.
    #[inline(always)]
    pub(super) fn is_armed(&self) -> bool {
        // The packet is there before this is looked at; see `poll()`.
        // SAFETY: Any context; it only orders what comes before and after it.
        unsafe { nb::smp_mb() };
        self.armed.get() != 0
    }

    /// The packets that wait may do so for `usecs`.
    #[inline(always)]
    pub(super) fn hold(&self, usecs: u32) {
        if self.held.get() == 0 && self.held.swap(1) == 0 {
            self.batches.add(1);
            // SAFETY: Set up; a timer that runs is started again.
            unsafe { nb::hrtimer_start_us(self.timer.get(), usecs) };
        }
    }

    /// Schedules the NAPI, on CPU `there` or, without one, on this. Softirqs or interrupts off.
    #[inline(always)]
    pub(super) fn kick(&self, there: Option<u32>) {
        self.held.set(0);
        if self.armed.swap(0) == 0 {
            return;
        }
        // SAFETY: The NAPI was added. `csd` is free: only who has just made the NAPI scheduled uses
        // it, and the call it was used for before has made the NAPI run.
        unsafe {
            let napi = self.napi.get();
            let Some(cpu) = there else {
                nb::napi_schedule(napi);
                return;
            };
            if nb::napi_schedule_prep(napi)
                && nb::smp_call_function_single_async(cpu as c_int, self.csd.get()) != 0
            {
                nb::__napi_schedule(napi);
            }
        }
    }

    /// The NAPI may run. Process context.
    pub(super) fn enable(&self) {
        // SAFETY: Added, and disabled: it was not enabled before. Something may wait already.
        unsafe {
            nb::napi_enable(self.napi.get());
            nb::napi_schedule_bh(self.napi.get());
        }
    }

    /// Waits until the NAPI does not run any more. Process context.
    pub(super) fn disable(&self) {
        // SAFETY: Enabled, once.
        unsafe { nb::napi_disable(self.napi.get()) };
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if !self.napi_added {
            return;
        }
        // SAFETY: Nobody puts packets in any more, and the NAPI is disabled. Deleting it waits for
        // a grace period; what still waits is dropped.
        unsafe {
            nb::hrtimer_cancel(self.timer.get());
            nb::netif_napi_del(self.napi.get());
            nb::local_bh_disable();
            self.purge();
            nb::local_bh_enable();
        }
    }
}
