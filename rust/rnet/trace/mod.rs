// SPDX-License-Identifier: GPL-2.0

//! Being called where the kernel's tracepoints are.
//!
//! An event is a type ([`events`]): its name, its prototype and what a probe is handed are fixed
//! here, in one table, and not by a driver. A driver implements [`Probe`] for the events that it
//! wants and calls [`Attached::new`]; dropping the [`Attached`] takes the probe away and waits for
//! calls that run. A tracepoint without a probe costs one `NOP`.
//!
//! Functions without a tracepoint are attached to in the same way ([`functions`], [`FnProbe`],
//! [`FnAttached`]), by fprobe, at ten to forty times the price.
//!
//! # Why a wrong prototype cannot be
//!
//! - At build time: the trampoline of an event becomes an untyped pointer only in a C shim that
//!   takes a function of this prototype and has the compiler compare it with the one in the
//!   kernel's header (`check_trace_callback_type_NAME()`).
//! - At run time: the prototype in the table is compared with what the running kernel's BTF says of
//!   `btf_trace_NAME`. Where they differ, attaching fails with `EPROTO`. A kernel that was built
//!   without BTF has only the first check. Functions have only the second, and cannot be probed in
//!   a kernel without BTF.
//!
//! # Context
//!
//! A probe runs wherever the tracepoint is: in a system call, softirq or interrupt. It gets a
//! [`ProbeCx`]: preemption is off, it must not sleep, and what it is handed ends with the call.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)

pub mod events;
mod function;
mod log;
mod packet;
mod prototype;
mod softirq;
mod tracepoint;

pub use function::{
    functions,
    Enqueued,
    FnAttached,
    FnProbe,
    Function,
    Verdict, //
};
pub use log::EventLog;
pub use packet::{
    PacketId,
    PacketRef,
    ReasonNo,
    SocketRef, //
};
pub use softirq::SoftirqFrom;
pub(crate) use tracepoint::synchronize;
pub use tracepoint::{
    Attached,
    Detach,
    Event,
    Probe, //
};

use core::marker::PhantomData;

use kernel::{
    cpu::CpuId,
    types::NotThreadSafe, //
};
use net_bindings as nb;

use crate::percpu::{
    sealed,
    Pinned, //
};

/// The time as [`ProbeCx::now`] tells it. Any context.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: No requirement; any context.
    unsafe { nb::ktime_get_mono_fast_ns() }
}

/// Proof that the code runs in a probe: preemption is off, so that it stays on this CPU, and it must
/// not sleep (the kernel says "scheduling while atomic" if it does).
///
/// An interrupt may come at any time and run the same probe on the same CPU: what a probe changes
/// are [`Counters`](crate::percpu::Counters), [`Cells`](crate::percpu::Cells) and atomics.
pub struct ProbeCx<'a> {
    _call: PhantomData<&'a ()>,
    _not_send: NotThreadSafe,
}

impl ProbeCx<'_> {
    /// Turns preemption off until the value is dropped. For trampolines only, which drop it.
    #[inline(always)]
    fn enter() -> Self {
        // SAFETY: Undone by `drop()`; any context.
        unsafe { nb::preempt_disable() };
        Self {
            _call: PhantomData,
            _not_send: NotThreadSafe,
        }
    }

    /// Nanoseconds since boot, the same clock on every CPU. C function:
    /// `ktime_get_mono_fast_ns()`.
    #[inline(always)]
    pub fn now(&self) -> u64 {
        now()
    }

    /// The CPU that the probe runs on. C function: `smp_processor_id()`.
    #[inline(always)]
    pub fn cpu(&self) -> CpuId {
        // SAFETY: The kernel's own number of a CPU is below `nr_cpu_ids`.
        unsafe { CpuId::from_u32_unchecked(nb::smp_processor_id()) }
    }

    /// Whether the task is a `ksoftirqd`, which runs what softirqs have left over.
    #[inline(always)]
    pub fn in_ksoftirqd(&self) -> bool {
        const NAME: &[u8; 10] = b"ksoftirqd/";
        // SAFETY: The current task's flags and name, of 16 bytes; kernel threads of this name are
        // not renamed.
        unsafe {
            nb::current_is_kthread()
                && nb::current_comm().cast::<[u8; NAME.len()]>().read() == *NAME
        }
    }
}

impl Drop for ProbeCx<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: Undoes what `enter()` has done.
        unsafe { nb::preempt_enable() };
    }
}

impl sealed::Sealed for ProbeCx<'_> {}
impl Pinned for ProbeCx<'_> {}
