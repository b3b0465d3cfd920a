// SPDX-License-Identifier: GPL-2.0

//! Attaching probes to functions.

use core::marker::PhantomData;

use kernel::{
    cpu::CpuId,
    error::to_result,
    ffi::{
        c_int,
        c_ulong,
        c_void, //
    },
    prelude::*,
    str::CStr,
    sync::Arc,
    types::Opaque, //
};
use net_bindings as nb;
use pin_init::zeroed;

use super::{
    events::OnDevice,
    packet::{
        PacketRef,
        SocketRef, //
    },
    prototype::{
        self,
        Arg, //
    },
    softirq::{
        self,
        SoftirqFrom, //
    },
    ProbeCx, //
};
use crate::{
    module::ModuleCtx,
    registry::{
        Handle,
        Presence,
        Registered, //
    },
};

/// Only the layer's table says what a function is.
pub(super) mod table {
    use super::*;

    /// The registers at the begin or end of a function, and where it was called from.
    pub struct Regs<'a>(
        pub(in crate::trace) *mut nb::ftrace_regs,
        c_ulong,
        PhantomData<&'a ()>,
    );

    impl<'a> Regs<'a> {
        /// # Safety
        ///
        /// The registers must be valid during `'a`.
        #[inline(always)]
        pub(in crate::trace) unsafe fn new(regs: *mut nb::ftrace_regs, caller: c_ulong) -> Self {
            Self(regs, caller, PhantomData)
        }

        /// The address behind the call, at the begin.
        #[inline(always)]
        pub(in crate::trace) fn caller(&self) -> c_ulong {
            self.1
        }

        /// The n-th argument, at the begin.
        #[inline(always)]
        pub(in crate::trace) fn argument(&self, n: u32) -> usize {
            // SAFETY: The registers that fprobe hands over, valid during the call.
            unsafe { nb::ftrace_regs_argument(self.0, n) as usize }
        }
    }

    /// What the layer knows of a function.
    ///
    /// # Safety
    ///
    /// The function must run in an RCU read side or with preemption off, all of it, so that removing
    /// a probe waits for calls that have not returned; `ARGS` must be what `args()` and `value()`
    /// take from the registers.
    pub unsafe trait Entry: Sized + 'static {
        /// Its name in the kernel.
        const NAME: &'static CStr;
        /// Its prototype.
        const ARGS: &'static [Arg];
        /// Whether it is probed where it returns.
        const AT_RETURN: bool;

        /// What a probe is handed.
        ///
        /// # Safety
        ///
        /// The registers must be those of this function, at its begin or return.
        unsafe fn hand<'a>(regs: Regs<'a>) -> <Self as super::Function>::Args<'a>
        where
            Self: super::Function;
    }
}

/// A function of the kernel that can be probed, at its begin or where it returns. Implemented by the
/// types in [`functions`] only.
pub trait Function: table::Entry {
    /// What a probe is handed.
    type Args<'a>;
}

/// Somebody who wants to be called with a function.
pub trait FnProbe<F: Function>: Send + Sync + 'static {
    /// The function begins, or returns, here and now. As [`Probe::hit`](super::Probe::hit).
    fn hit(&self, args: F::Args<'_>, cx: &ProbeCx<'_>);
}

/// A probe that is attached to a function. Dropping it detaches it: process context; waits until
/// calls that run have ended. About ten times as expensive as a tracepoint, forty times where the
/// function returns.
pub struct FnAttached<F: Function, P: FnProbe<F>>(#[allow(dead_code)] Handle<Inner<F, P>>);

impl<F: Function, P: FnProbe<F>> FnAttached<F, P> {
    /// Attaches `probe`. Process context; may sleep.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the kernel has no such function or its compiler has changed it, `EPROTO` if it has
    /// another prototype (the log says which), `EOPNOTSUPP` in a kernel without `CONFIG_FPROBE` or
    /// without BTF, `ENOMEM`. C function: `register_fprobe_syms()`.
    pub fn new(_ctx: ModuleCtx, probe: Arc<P>) -> Result<Self> {
        if let Err(err) = prototype::check_function(F::NAME, F::ARGS) {
            pr_err!(
                "function {}: not there, or not with the prototype that the module was built for\n",
                F::NAME.to_str().unwrap_or("?")
            );
            return Err(err);
        }
        let mut fprobe: nb::fprobe = zeroed();
        if F::AT_RETURN {
            fprobe.exit_handler = Some(Inner::<F, P>::at_return);
        } else {
            fprobe.entry_handler = Some(Inner::<F, P>::at_entry);
        }
        let inner = Arc::new(
            Inner {
                fprobe: Opaque::new(fprobe),
                probe,
                registered: Presence::new(),
                _function: PhantomData,
            },
            GFP_KERNEL,
        )?;
        Ok(Self(Handle::new(inner, |inner| {
            // SAFETY: A zeroed fprobe with a handler, in memory that stays until `unregister()` has
            // waited for calls; the handler takes what the checked prototype has.
            to_result(unsafe { nb::register_fprobe(inner.fprobe.get(), F::NAME.as_char_ptr()) })?;
            inner.registered.begin();
            Ok(())
        })?))
    }
}

#[repr(C)]
struct Inner<F, P> {
    /// First, so that a pointer to it is one to `Self`.
    fprobe: Opaque<nb::fprobe>,
    probe: Arc<P>,
    registered: Presence,
    _function: PhantomData<fn() -> F>,
}

// SAFETY: The fprobe is the kernel's, under its own lock; the probe is `Send` and `Sync`.
unsafe impl<F, P: Send + Sync> Send for Inner<F, P> {}
// SAFETY: See above.
unsafe impl<F, P: Send + Sync> Sync for Inner<F, P> {}

impl<F: Function, P: FnProbe<F>> Inner<F, P> {
    unsafe extern "C" fn at_entry(
        fprobe: *mut nb::fprobe,
        _entry: c_ulong,
        caller: c_ulong,
        regs: *mut nb::ftrace_regs,
        _data: *mut c_void,
    ) -> c_int {
        // SAFETY: `fprobe` is the first member of an `Inner` that stays until calls have ended; it
        // is registered for this function only. fprobe calls with preemption off.
        unsafe {
            let cx = ProbeCx::enter();
            (*fprobe.cast::<Self>())
                .probe
                .hit(F::hand(table::Regs::new(regs, caller)), &cx);
        }
        0
    }

    unsafe extern "C" fn at_return(
        fprobe: *mut nb::fprobe,
        _entry: c_ulong,
        place: c_ulong,
        regs: *mut nb::ftrace_regs,
        _data: *mut c_void,
    ) {
        // SAFETY: As in `at_entry()`; by the contract of `Entry` no call outlives the registration.
        unsafe {
            let cx = ProbeCx::enter();
            (*fprobe.cast::<Self>())
                .probe
                .hit(F::hand(table::Regs::new(regs, place)), &cx);
        }
    }
}

impl<F: Function, P: FnProbe<F>> Registered for Inner<F, P> {
    fn unregister(&self) {
        if self.registered.end() {
            // SAFETY: Registered before, once because of `end()`. Process context; waits.
            unsafe { nb::unregister_fprobe(self.fprobe.get()) };
        }
    }
}

/// A packet that is put into the backlog of a CPU.
pub struct Enqueued<'a> {
    /// The packet and its device.
    pub on: OnDevice<'a>,
    /// Whose backlog.
    pub target: CpuId,
}

/// What the hooks of netfilter have made of a packet. C values: those of `nf_hook_slow()`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Accept,
    /// It is dropped.
    Drop,
    /// It is queued for a program, or a hook has taken it.
    Stolen,
}

macro_rules! functions {
    ($(
        $(#[$meta:meta])*
        $function:ident: $name:literal ($($kind:expr),* $(,)?) $(return $at_return:literal)?
            -> $args:ty { |$regs:ident| $body:expr }
    )+) => {$(
        $(#[$meta])*
        pub struct $function(());

        // SAFETY: Packets are received, hooks called and softirqs run in an RCU read side or with
        // preemption off; the arguments are taken by the numbers in the prototype beside.
        unsafe impl table::Entry for $function {
            const NAME: &'static CStr = $name;
            const ARGS: &'static [Arg] = &[$($kind),*];
            const AT_RETURN: bool = false $(|| $at_return)?;

            // Not all of them do something unsafe.
            #[allow(unused_unsafe)]
            #[inline(always)]
            unsafe fn hand<'a>($regs: table::Regs<'a>) -> $args {
                // SAFETY: By the requirement of this function: the registers hold what the
                // prototype says.
                unsafe { $body }
            }
        }

        impl Function for $function {
            type Args<'a> = $args;
        }
    )+};
}

/// # Safety
///
/// `skb` must be a packet that is being received, valid during `'a`.
#[inline(always)]
unsafe fn received<'a>(skb: usize) -> OnDevice<'a> {
    // SAFETY: By the requirement of this function.
    unsafe {
        let packet = PacketRef::from_raw(skb as *const nb::sk_buff);
        OnDevice {
            packet,
            dev: packet.device(),
        }
    }
}

/// The functions that can be probed.
pub mod functions {
    use super::*;

    const SKB: Arg = Arg::Struct(c"sk_buff");
    const SOCK: Arg = Arg::Struct(c"sock");
    const NET: Arg = Arg::Struct(c"net");
    const INT: Arg = Arg::Int(4);

    functions! {
        /// A packet is put into the backlog of a CPU, or dropped because it is full: also those of
        /// a NIC that RPS steers.
        EnqueueToBacklog: c"enqueue_to_backlog" (SKB, INT, Arg::Any) -> Enqueued<'a> {
            |regs| Enqueued {
                on: received(regs.argument(0)),
                target: CpuId::from_u32_unchecked(regs.argument(1) as u32),
            }
        }

        /// IPv4 receives a packet.
        IpRcv: c"ip_rcv_core" (SKB, NET) -> OnDevice<'a> { |regs| received(regs.argument(0)) }

        /// IPv6 receives a packet.
        Ip6Rcv: c"ip6_rcv_core" (SKB, Arg::Struct(c"net_device"), NET) -> OnDevice<'a> {
            |regs| received(regs.argument(0))
        }

        /// TCP receives a packet over IPv4.
        TcpV4Rcv: c"tcp_v4_rcv" (SKB) -> OnDevice<'a> { |regs| received(regs.argument(0)) }

        /// TCP receives a packet over IPv6.
        TcpV6Rcv: c"tcp_v6_rcv" (SKB) -> OnDevice<'a> { |regs| received(regs.argument(0)) }

        /// UDP receives a packet over IPv4.
        UdpRcv: c"udp_rcv" (SKB) -> OnDevice<'a> { |regs| received(regs.argument(0)) }

        /// UDP receives a packet over IPv6.
        UdpV6Rcv: c"udpv6_rcv" (SKB) -> OnDevice<'a> { |regs| received(regs.argument(0)) }

        /// UDP puts a packet into the queue of a socket, or drops it because that is full.
        UdpEnqueue: c"__udp_enqueue_schedule_skb" (SOCK, SKB) -> SocketRef<'a> {
            |regs| SocketRef::from_raw(regs.argument(0) as *const nb::sock)
        }

        /// A packet is put into the queue of a socket that is neither of UDP nor of TCP, or dropped
        /// because that is full.
        SockQueueRcv: c"__sock_queue_rcv_skb" (SOCK, SKB) -> SocketRef<'a> {
            |regs| SocketRef::from_raw(regs.argument(0) as *const nb::sock)
        }

        /// TCP puts data into the queue of a socket, in order.
        TcpQueueRcv: c"tcp_queue_rcv" (SOCK, SKB, Arg::Any) -> SocketRef<'a> {
            |regs| SocketRef::from_raw(regs.argument(0) as *const nb::sock)
        }

        /// Softirqs are about to run, for whom is found out by where it was called from:
        /// `__do_softirq()` between it and its callers is a jump, or a part of them.
        HandleSoftirqs: c"handle_softirqs" (Arg::Int(1)) -> SoftirqFrom {
            |regs| softirq::from(regs.caller())
        }

        /// The hooks of netfilter have seen a packet.
        NfHookSlow: c"nf_hook_slow" (SKB, Arg::Any, Arg::Any, INT) return true -> Verdict {
            |regs| match nb::ftrace_regs_return_value(regs.0) as i32 {
                1 => Verdict::Accept,
                0 => Verdict::Stolen,
                _ => Verdict::Drop,
            }
        }
    }
}
