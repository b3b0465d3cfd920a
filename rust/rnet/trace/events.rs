// SPDX-License-Identifier: GPL-2.0

//! The table of events: name, prototype and what a probe is handed.

use core::ptr::null_mut;

use kernel::{
    cpu::CpuId,
    ffi::{
        c_int,
        c_uint,
        c_ulong,
        c_void, //
    },
    str::CStr,
    sync::atomic::Atomic, //
};
use net_bindings as nb;

use super::{
    packet::{
        PacketRef,
        ReasonNo,
        SocketRef, //
    },
    prototype::Arg,
    tracepoint::{
        table::{
            Entry,
            Key, //
        },
        Event,
        Probe, //
    },
    ProbeCx, //
};
use crate::{
    identity::Id,
    netdev::Device,
    netns::Net, //
};

/// The softirq in which packets are received. C name: `NET_RX_SOFTIRQ`.
pub const NET_RX: u32 = nb::NET_RX_SOFTIRQ;

/// A packet together with the device that it goes out by or has come in by.
pub struct OnDevice<'a> {
    /// The packet.
    pub packet: PacketRef<'a>,
    /// The device.
    pub dev: &'a Device,
}

impl OnDevice<'_> {
    /// The namespace of the device.
    #[inline(always)]
    pub fn net_id(&self) -> Id<Net> {
        self.dev.net_id_in_softirq()
    }
}

/// What a NAPI instance polls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PollKind {
    /// The backlog of the CPU.
    Backlog,
    /// A device.
    Device,
    /// A device whose NAPI runs in a thread of its own.
    Threaded,
}

/// The end of a poll.
pub struct Polled<'a> {
    /// What was polled.
    pub kind: PollKind,
    /// How many packets that were.
    pub work: u32,
    /// How many it could have been: there is more if `work` is as much.
    pub budget: u32,
    /// The device; none for the backlog.
    pub dev: Option<&'a Device>,
}

impl Polled<'_> {
    /// The namespace of the device.
    #[inline(always)]
    pub fn net_id(&self) -> Option<Id<Net>> {
        self.dev.map(Device::net_id_in_softirq)
    }
}

/// A packet that is being dropped.
pub struct Dropped<'a> {
    /// The packet. Whether it still names a device depends on who drops it.
    pub packet: PacketRef<'a>,
    /// Why.
    pub reason: ReasonNo,
    /// The namespace of the receiving socket, where there is one.
    pub net_id: Option<Id<Net>>,
}

/// A call that one CPU asks another to make.
pub struct RemoteCall {
    /// Who is to make it.
    pub target: CpuId,
    /// Whether it wakes the target's backlog: packets were handed over to it (RPS).
    pub is_backlog: bool,
}

macro_rules! events {
    ($(
        $(#[$meta:meta])*
        $event:ident: $name:ident / $btf:ident ($($arg:ident: $ty:ty = $kind:expr),+ $(,)?)
            via $shim:ident -> $args:ty { $body:expr }
    )+) => {$(
        $(#[$meta])*
        pub struct $event(());

        impl Entry for $event {
            const NAME: &'static CStr = name(concat!(stringify!($name), "\0"));
            const BTF_NAME: &'static CStr = name(concat!(stringify!($btf), "\0"));
            const ARGS: &'static [Arg] = &[$($kind),+];

            fn found(_key: Key) -> &'static Atomic<*mut nb::tracepoint> {
                static FOUND: Atomic<*mut nb::tracepoint> = Atomic::new(null_mut());
                &FOUND
            }

            fn trampoline<P: Probe<Self>>(_key: Key) -> *mut c_void {
                unsafe extern "C" fn call<P: Probe<$event>>(data: *mut c_void, $($arg: $ty),+) {
                    // SAFETY: A tracepoint calls with what was registered, a `P` that is kept until
                    // calls have ended, and with the arguments that its callers give it.
                    unsafe {
                        let cx = ProbeCx::enter();
                        (*data.cast::<P>()).hit($body, &cx);
                    }
                }
                // SAFETY: No requirement: the function is only compared with a prototype.
                unsafe { nb::$shim(Some(call::<P>)) }
            }
        }

        impl Event for $event {
            type Args<'a> = $args;
        }
    )+};
}

const fn name(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(name) => name,
        Err(_) => c"",
    }
}

const SKB: Arg = Arg::Struct(c"sk_buff");
const CSD: Arg = Arg::Struct(c"__call_single_data");
const INT: Arg = Arg::Int(4);

events! {
    /// A packet is handed to a driver. BH off, RCU read side.
    NetDevStartXmit: net_dev_start_xmit / btf_trace_net_dev_start_xmit (
        skb: *const nb::sk_buff = SKB,
        dev: *const nb::net_device = Arg::Struct(c"net_device"),
    ) via probe_net_dev_start_xmit -> OnDevice<'a> {
        OnDevice { packet: PacketRef::from_raw(skb), dev: Device::from_raw(dev.cast_mut()) }
    }

    /// A packet is handed to the backlog. BH off or in an interrupt.
    NetifRx: netif_rx / btf_trace_netif_rx (skb: *mut nb::sk_buff = SKB,)
        via probe_netif_rx -> OnDevice<'a>
    {{
        let packet = PacketRef::from_raw(skb);
        OnDevice { packet, dev: packet.device() }
    }}

    /// A packet is handed to the protocols. Softirq, RCU read side.
    NetifReceiveSkb: netif_receive_skb / btf_trace_netif_receive_skb (
        skb: *mut nb::sk_buff = SKB,
    ) via probe_netif_receive_skb -> OnDevice<'a> {{
        let packet = PacketRef::from_raw(skb);
        OnDevice { packet, dev: packet.device() }
    }}

    /// A softirq, given by its number, is raised on this CPU: it may be pending already. Interrupts
    /// off.
    SoftirqRaise: softirq_raise / btf_trace_softirq_raise (vec: c_uint = INT,)
        via probe_softirq_raise -> u32 { vec }

    /// A softirq, given by its number, begins to run.
    SoftirqEntry: softirq_entry / btf_trace_softirq_entry (vec: c_uint = INT,)
        via probe_softirq_entry -> u32 { vec }

    /// It has run.
    SoftirqExit: softirq_exit / btf_trace_softirq_exit (vec: c_uint = INT,)
        via probe_softirq_exit -> u32 { vec }

    /// A NAPI instance has been polled. BH off.
    NapiPoll: napi_poll / btf_trace_napi_poll (
        napi: *mut nb::napi_struct = Arg::Struct(c"napi_struct"),
        work: c_int = INT,
        budget: c_int = INT,
    ) via probe_napi_poll -> Polled<'a> { polled(napi, work, budget) }

    /// A packet is dropped: not one that has reached its reader. Any context.
    KfreeSkb: kfree_skb / btf_trace_kfree_skb (
        skb: *mut nb::sk_buff = SKB,
        _location: *mut c_void = Arg::Void,
        reason: nb::skb_drop_reason = Arg::Enum(c"skb_drop_reason"),
        sk: *const nb::sock = Arg::Struct(c"sock"),
    ) via probe_kfree_skb -> Dropped<'a> {
        Dropped {
            packet: PacketRef::from_raw(skb),
            reason: ReasonNo::from_raw(reason),
            net_id: if sk.is_null() { None } else { Some(Id::of(nb::sock_net(sk))) },
        }
    }

    /// A socket tells its reader that there is something to read. Any context.
    SkDataReady: sk_data_ready / btf_trace_sk_data_ready (
        sk: *const nb::sock = Arg::Struct(c"sock"),
    ) via probe_sk_data_ready -> SocketRef<'a> { SocketRef::from_raw(sk) }

    /// A CPU asks another to call a function.
    CsdQueueCpu: csd_queue_cpu / btf_trace_csd_queue_cpu (
        cpu: c_uint = INT,
        _callsite: c_ulong = Arg::Int(8),
        _func: nb::smp_call_func_t = Arg::Function,
        csd: *mut nb::call_single_data_t = CSD,
    ) via probe_csd_queue_cpu -> RemoteCall { remote_call(cpu, csd) }

    /// A CPU calls what another one asked for. In an interrupt, or idle.
    CsdFunctionEntry: csd_function_entry / btf_trace_csd_function_entry (
        _func: nb::smp_call_func_t = Arg::Function,
        csd: *mut nb::call_single_data_t = CSD,
    ) via probe_csd_function_entry -> RemoteCall { remote_call(nb::smp_processor_id(), csd) }
}

/// # Safety
///
/// For the trampoline: `napi` must be valid, and its device stays during the call.
#[inline(always)]
unsafe fn polled<'a>(napi: *mut nb::napi_struct, work: c_int, budget: c_int) -> Polled<'a> {
    // SAFETY: By the requirement of this function.
    let (dev, is_threaded) = unsafe { (nb::napi_dev(napi), nb::napi_is_threaded(napi)) };
    Polled {
        kind: match (dev.is_null(), is_threaded) {
            (true, _) => PollKind::Backlog,
            (false, false) => PollKind::Device,
            (false, true) => PollKind::Threaded,
        },
        work: work.unsigned_abs(),
        budget: budget.unsigned_abs(),
        dev: if dev.is_null() {
            None
        } else {
            // SAFETY: By the requirement of this function.
            Some(unsafe { Device::from_raw(dev) })
        },
    }
}

/// # Safety
///
/// For the trampoline: `cpu` must be the number of a possible CPU.
#[inline(always)]
unsafe fn remote_call(cpu: c_uint, csd: *const nb::call_single_data_t) -> RemoteCall {
    RemoteCall {
        // SAFETY: By the requirement of this function.
        target: unsafe { CpuId::from_u32_unchecked(cpu) },
        // SAFETY: By the requirement of this function.
        is_backlog: unsafe { nb::softnet_csd(cpu) } == csd.cast(),
    }
}
