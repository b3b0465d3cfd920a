// SPDX-License-Identifier: GPL-2.0

//! What takes packets out of a queue: the poll function, the timer, and the end.

use core::ptr::NonNull;

use kernel::{
    ffi::{
        c_int,
        c_void, //
    },
    types::Opaque, //
};
use net_bindings as nb;

use super::queue::{
    Queue,
    State, //
};
use crate::skb::DropReason;

/// After so many rounds a queue that is being closed takes nothing more.
const ROUNDS: u32 = 64;

impl Queue {
    /// Delivers what waits until nothing does, and takes nothing more. If it does not come to an
    /// end, what comes then is dropped as if there was no room.
    ///
    /// # Safety
    ///
    /// The NAPI must be disabled. Process context.
    pub(super) unsafe fn close(&self) {
        for round in 0u32.. {
            // SAFETY: With softirqs off, as `add()`. By the requirement nobody else takes packets
            // out.
            unsafe {
                nb::local_bh_disable();
                let input = self.input.get();
                nb::skb_queue_lock(input);
                nb::skb_queue_splice(input, self.process.get());
                let empty = nb::skb_queue_len(self.process.get()) == 0;
                if empty {
                    *self.state.get() = State::Closed;
                } else if round >= ROUNDS {
                    *self.state.get() = State::Closing;
                }
                nb::skb_queue_unlock(input);
                let mut n = 0u32;
                while let Some(skb) = NonNull::new(nb::__skb_dequeue(self.process.get())) {
                    self.receive(skb, None, false);
                    n = n.wrapping_add(1);
                }
                self.done.set(self.done.get().wrapping_add(n));
                nb::local_bh_enable();
                if empty {
                    break;
                }
                nb::cond_resched();
            }
        }
    }

    /// Drops what waits.
    ///
    /// # Safety
    ///
    /// The NAPI must be the caller's, or not be there. Softirqs off.
    pub(super) unsafe fn purge(&self) {
        // SAFETY: By the requirement.
        unsafe {
            let input = self.input.get();
            nb::skb_queue_lock(input);
            nb::skb_queue_splice(input, self.process.get());
            nb::skb_queue_unlock(input);
            let mut n = 0u32;
            while let Some(skb) = NonNull::new(nb::__skb_dequeue(self.process.get())) {
                nb::dev_kfree_skb_any_reason(skb.as_ptr(), DropReason::DEV_READY.as_raw());
                n = n.wrapping_add(1);
            }
            self.done.set(self.done.get().wrapping_add(n));
        }
    }

    /// Gives one packet to the stack.
    ///
    /// # Safety
    ///
    /// `skb` must be the caller's own, who gives it away. Softirqs off; the NAPI is the caller's.
    #[inline(always)]
    unsafe fn receive(
        &self,
        skb: NonNull<nb::sk_buff>,
        program: Option<NonNull<nb::bpf_prog>>,
        aggregate: bool,
    ) {
        let mut skb = skb.as_ptr();
        // SAFETY: Ours; the queue is one that the device has.
        unsafe {
            nb::skb_orphan(skb);
            nb::skb_record_rx_queue(skb, self.index);
            if let Some(program) = program {
                if !nb::xdp_run_skb(program.as_ptr(), &mut skb) {
                    return;
                }
            }
            if aggregate {
                if nb::skb_prepare_gro(skb) {
                    nb::napi_gro_receive(self.napi.get(), skb);
                    return;
                }
                // What GRO has came before.
                nb::napi_gro_flush(self.napi.get());
            }
            nb::skb_mark_napi(skb, self.napi.get());
            nb::netif_receive_skb(skb);
        }
    }

    /// The poll function. Generic callers have it, so that it is compiled with the driver.
    ///
    /// # Safety
    ///
    /// To be called as poll function of a queue's NAPI.
    #[inline(always)]
    pub(super) unsafe fn poll(napi: *mut nb::napi_struct, budget: c_int) -> c_int {
        // SAFETY: Called by the core for an enabled NAPI, which lies at the start of a `Queue`, one
        // poll at a time. The queue stays until it is disabled, which waits for this.
        let this = unsafe { &*napi.cast::<Self>() };
        // Netpoll only frees what was sent, and there is no such thing.
        let limit = u32::try_from(budget).unwrap_or(0);
        if limit == 0 {
            return 0;
        }
        // SAFETY: By the type invariant; softirqs are off, and `process` is ours.
        let taken = unsafe {
            let owner = this.owner.as_ref();
            // The protocols have left a device that is being unregistered, as `flush_backlog()` knows.
            if nb::netdev_is_registered(owner.dev.as_ptr()) {
                this.deliver(limit, owner.program.load())
            } else {
                this.purge();
                0
            }
        };
        this.polls.bump();
        if taken >= limit {
            return budget;
        }
        let taken = taken as c_int;
        // SAFETY: In the poll function, with less than the budget used, once.
        if unsafe { nb::napi_complete_done(napi, taken) } {
            this.armed.set(1);
            // Whoever has put a packet in and has not seen this leaves it to us.
            // SAFETY: The list is valid; its length is read once, after what was written above.
            let more = unsafe {
                nb::smp_mb();
                nb::skb_queue_len(this.input.get()) != 0
            };
            if more {
                this.kick(None);
            }
        }
        taken
    }

    /// Delivers up to `limit` packets; how many.
    ///
    /// # Safety
    ///
    /// In the poll function.
    #[inline(always)]
    unsafe fn deliver(&self, limit: u32, program: Option<NonNull<nb::bpf_prog>>) -> u32 {
        let (input, process) = (self.input.get(), self.process.get());
        let mut taken = 0u32;
        // SAFETY: Softirqs are off, and `process` is the poll function's.
        unsafe {
            // One packet by itself has nothing to be put together with. Once some are with GRO,
            // everything behind them has to go there.
            let mut aggregate = nb::skb_queue_len(process) > 1;
            while taken < limit {
                let mut skb = nb::__skb_dequeue(process);
                if skb.is_null() {
                    if nb::skb_queue_len(input) == 0 {
                        break;
                    }
                    nb::skb_queue_lock(input);
                    skb = nb::__skb_dequeue(input);
                    if nb::skb_queue_len(input) != 0 {
                        nb::skb_queue_splice(input, process);
                        aggregate = true;
                    }
                    nb::skb_queue_unlock(input);
                }
                let Some(skb) = NonNull::new(skb) else { break };
                taken = taken.wrapping_add(1);
                self.receive(skb, program, aggregate);
            }
            if aggregate {
                // `done` means delivered: nothing stays with GRO.
                nb::napi_gro_flush(self.napi.get());
            }
        }
        self.done.set(self.done.get().wrapping_add(taken));
        taken
    }

    /// The timer: the batch ends. Hard interrupt.
    pub(super) unsafe extern "C" fn time_is_over(timer: *mut nb::hrtimer) -> nb::hrtimer_restart {
        // SAFETY: Set up as the member of a queue, which cancels it before it goes.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(timer), Self, timer) };
        // First: who has put a packet in and found the timer running is seen below, and who comes
        // later starts it again.
        this.held.swap(0);
        // SAFETY: The list is valid; its length is read once.
        let len = unsafe { nb::skb_queue_len(this.input.get()) };
        if len != 0 {
            this.expired.add(1);
            // Whether the sender may have gone to sleep.
            let mut slept = 0;
            // SAFETY: Valid for reads; the current task.
            let (holder, current) = unsafe {
                (
                    nb::read_once_ptr(this.holder.get().cast()),
                    nb::current_task(&mut slept),
                )
            };
            if holder.cast_const() != current {
                this.in_doubt.set(1);
            }
            // SAFETY: By the type invariant.
            let there = unsafe { this.owner.as_ref() }.home(this);
            this.kick(there);
        }
        nb::hrtimer_restart::HRTIMER_NORESTART
    }

    /// On the CPU that is to poll. Interrupts off.
    pub(super) unsafe extern "C" fn called(this: *mut c_void) {
        // SAFETY: Asked for by `kick()`, which has made the NAPI scheduled: it does not go before it
        // has run.
        unsafe { nb::__napi_schedule_irqoff((*this.cast::<Self>()).napi.get()) };
    }
}
