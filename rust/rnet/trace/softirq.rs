// SPDX-License-Identifier: GPL-2.0

//! Who runs softirqs.

use kernel::{
    ffi::c_ulong,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use net_bindings as nb;

/// On whose behalf softirqs run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SoftirqFrom {
    /// The end of an interrupt.
    InterruptExit,
    /// `do_softirq()`: bottom halves were enabled again, or a CPU that was idle has made the calls
    /// that others had asked it for.
    DoSoftirq,
    /// Somebody else, such as `ksoftirqd`, or nobody knows: another tracer may have changed where
    /// the function returns to.
    Other,
}

/// The bits of a known address that say what it is.
const KIND: i64 = 3 << 61;
const INTERRUPT_EXIT: i64 = 1 << 61;
const DO_SOFTIRQ: i64 = 2 << 61;

/// Places in the kernel that softirqs are run from, each with what it is.
static KNOWN: [Atomic<i64>; 4] = [const { Atomic::new(0) }; 4];

/// Who calls from an address. There are few such addresses; the name of the function at each is
/// looked up once.
pub(super) fn from(caller: c_ulong) -> SoftirqFrom {
    let caller = caller as i64;
    // Text of the kernel is aligned to nothing, but its addresses are negative: two bits above are
    // free for what was found.
    for known in &KNOWN {
        let known = known.load(Relaxed);
        if known | KIND == caller | KIND {
            return match known & KIND {
                INTERRUPT_EXIT => SoftirqFrom::InterruptExit,
                DO_SOFTIRQ => SoftirqFrom::DoSoftirq,
                _ => SoftirqFrom::Other,
            };
        }
    }
    look_up(caller)
}

/// Finds out, and remembers.
#[cold]
#[inline(never)]
fn look_up(caller: i64) -> SoftirqFrom {
    let mut name = [0u8; nb::KSYM_SYMBOL_LEN];
    // SAFETY: The buffer is as long as a symbol can be. Any context.
    unsafe { nb::sprint_symbol(name.as_mut_ptr().cast(), caller as c_ulong) };
    // The compiler may have made a part of it a function of its own, "do_softirq.part.0".
    let (kind, from) = if name.starts_with(b"do_softirq") {
        (DO_SOFTIRQ, SoftirqFrom::DoSoftirq)
    } else if name.starts_with(b"irq_exit") || name.starts_with(b"__irq_exit") {
        (INTERRUPT_EXIT, SoftirqFrom::InterruptExit)
    } else {
        (0, SoftirqFrom::Other)
    };
    for known in &KNOWN {
        if known.cmpxchg(0, caller & !KIND | kind, Relaxed).is_ok() {
            break;
        }
    }
    from
}
