// SPDX-License-Identifier: GPL-2.0

//! The receive queues of each CPU: `struct softnet_data`.
//!
//! Everything is read without taking a lock: nothing here delays a packet, and numbers that belong
//! together may be from slightly different moments. A value is never torn.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

mod times;

pub use times::PacketTimes;

use kernel::cpu::CpuId;
use net_bindings as nb;

use crate::trace::ProbeCx;

/// What one CPU's `softnet_data` says. The counters are 32 bits wide in the kernel and wrap.
pub struct Softnet(nb::rnet_softnet);

macro_rules! fields {
    ($($(#[$meta:meta])* $name:ident: $ty:ty,)+) => {
        impl Softnet {
            $(
                $(#[$meta])*
                pub fn $name(&self) -> $ty {
                    self.0.$name
                }
            )+
        }
    };
}

fields! {
    /// Packets that wait to be taken over by the CPU. C member: `input_pkt_queue.qlen`.
    input_qlen: u32,
    /// Packets that the CPU has taken over and not processed yet. C member: `process_queue.qlen`.
    process_qlen: u32,
    /// Packets that the CPU has processed, from its backlog and from devices. C member:
    /// `processed`; column 1 of `/proc/net/softnet_stat`.
    processed: u32,
    /// Packets dropped because the backlog was full or a flow had too many in it. C member:
    /// `drop_counters`; column 2.
    dropped: u32,
    /// How often the CPU stopped polling with work left. C member: `time_squeeze`; column 3.
    time_squeeze: u32,
    /// How often another CPU has woken this one's backlog. C member: `received_rps`; column 10.
    received_rps: u32,
    /// Packets dropped because their flow had too many in the backlog. C member:
    /// `flow_limit->count`; column 11.
    flow_limit_count: u32,
    /// Whether the backlog is waiting to be polled or being polled. C flag: `NAPI_STATE_SCHED`.
    scheduled: bool,
}

impl Softnet {
    /// Reads the state of a CPU. Any context. A CPU that is not possible has had no packets.
    pub fn read(cpu: CpuId) -> Self {
        let mut out = nb::rnet_softnet::default();
        // SAFETY: A `CpuId` is below `nr_cpu_ids`, as `cpu_possible()` wants; possible CPUs have a
        // `softnet_data`.
        unsafe {
            if nb::cpu_possible(cpu.as_u32()) {
                nb::softnet_read(cpu.as_u32(), &mut out);
            }
        }
        Self(out)
    }

    /// How many packets are in this CPU's queues: not taken over yet, taken over. C members:
    /// `input_pkt_queue.qlen`, `process_queue.qlen`.
    #[inline(always)]
    pub fn lengths_here(_cx: &ProbeCx<'_>) -> (u32, u32) {
        // SAFETY: Any context; a probe stays on its CPU.
        unsafe { (nb::softnet_input_here(), nb::softnet_process_here()) }
    }

    /// Packets put into the backlog since boot. C member: `input_queue_tail`.
    pub fn enqueued(&self) -> u32 {
        self.0.input_queue_tail
    }

    /// Packets taken out of the backlog since boot: counted when the CPU has processed all that it
    /// took over at once. C member: `input_queue_head`.
    pub fn dequeued(&self) -> u32 {
        self.0.input_queue_head
    }
}
