// SPDX-License-Identifier: GPL-2.0

//! The files under `/sys/class/net/lo/rlo/` and `/sys/kernel/rlo/`.
//!
//! Documented in `Documentation/ABI/testing/sysfs-class-net-rlo`.

use kernel::{
    cpu::CpuId,
    str::CString,
    sync::Arc, //
};
use rnet::{
    percpu,
    prelude::*,
    rtnl,
    sysfs::{
        Attribute,
        Dir,
        Input,
        Page, //
    },
};

use crate::{
    protocol::Protocol,
    state::{
        self,
        Counter,
        Length,
        Mode,
        State, //
    }, //
};

/// The counters of a namespace, as a whole.
static TOTAL: [Attribute<State>; 9] = [
    Attribute::rw(c"active", show_active, store_active),
    Attribute::ro(c"mode", |state, page| {
        page.emit(match state.mode() {
            Mode::Replacement => fmt!("replacement\n"),
            Mode::Takeover => fmt!("takeover\n"),
        })
    }),
    Attribute::ro(c"owner", show_owner),
    Attribute::rw(c"delivery", show_delivery, store_delivery),
    Attribute::ro(c"packets", |s, page| show(page, s.packets().0)),
    Attribute::ro(c"bytes", |s, page| {
        show(page, s.counters.sum(Counter::Bytes))
    }),
    Attribute::ro(c"accepted", |s, page| show_accepted(page, s.packets())),
    Attribute::ro(c"dropped", |s, page| show(page, s.packets().1)),
    Attribute::ro(c"length_log2", |s, page| {
        show_lengths(page, |length| s.counters.sum(Counter::Length(length)))
    }),
];

/// The same for one CPU.
struct OneCpu {
    state: Arc<State>,
    cpu: CpuId,
}

static ONE_CPU: [Attribute<OneCpu>; 5] = [
    Attribute::ro(c"packets", |s, page| {
        show(page, s.state.packets_of(s.cpu).0)
    }),
    Attribute::ro(c"bytes", |s, page| {
        show(page, s.state.counters.read(Counter::Bytes, s.cpu))
    }),
    Attribute::ro(c"accepted", |s, page| {
        show_accepted(page, s.state.packets_of(s.cpu))
    }),
    Attribute::ro(c"dropped", |s, page| {
        show(page, s.state.packets_of(s.cpu).1)
    }),
    Attribute::ro(c"length_log2", |s, page| {
        show_lengths(page, |length| {
            s.state.counters.read(Counter::Length(length), s.cpu)
        })
    }),
];

/// The packets by protocol: one file for each.
static PROTOCOLS: [Attribute<State>; 11] = [
    Attribute::ro(c"ipv4_tcp", |s, page| {
        show_protocol(s, page, Protocol::Ipv4Tcp)
    }),
    Attribute::ro(c"ipv4_udp", |s, page| {
        show_protocol(s, page, Protocol::Ipv4Udp)
    }),
    Attribute::ro(c"ipv4_icmp", |s, page| {
        show_protocol(s, page, Protocol::Ipv4Icmp)
    }),
    Attribute::ro(c"ipv4_sctp", |s, page| {
        show_protocol(s, page, Protocol::Ipv4Sctp)
    }),
    Attribute::ro(c"ipv4_other", |s, page| {
        show_protocol(s, page, Protocol::Ipv4Other)
    }),
    Attribute::ro(c"ipv6_tcp", |s, page| {
        show_protocol(s, page, Protocol::Ipv6Tcp)
    }),
    Attribute::ro(c"ipv6_udp", |s, page| {
        show_protocol(s, page, Protocol::Ipv6Udp)
    }),
    Attribute::ro(c"ipv6_icmp", |s, page| {
        show_protocol(s, page, Protocol::Ipv6Icmp)
    }),
    Attribute::ro(c"ipv6_sctp", |s, page| {
        show_protocol(s, page, Protocol::Ipv6Sctp)
    }),
    Attribute::ro(c"ipv6_other", |s, page| {
        show_protocol(s, page, Protocol::Ipv6Other)
    }),
    Attribute::ro(c"other", |s, page| show_protocol(s, page, Protocol::Other)),
];

fn show_protocol(state: &State, page: &mut Page<'_>, protocol: Protocol) -> Result {
    show(page, state.counters.sum(Counter::Protocol(protocol)))
}

fn show(page: &mut Page<'_>, value: u64) -> Result {
    page.emit(fmt!("{}\n", value))
}

fn show_accepted(page: &mut Page<'_>, (packets, dropped): (u64, u64)) -> Result {
    show(page, packets.wrapping_sub(dropped))
}

/// Buckets in a line, from length 0 on. The last one that is shown begins at 512 KiB, and takes the
/// rest.
fn show_lengths(page: &mut Page<'_>, count: impl Fn(Length) -> u64) -> Result {
    const SHOWN: usize = 20;
    for (place, length) in Length::all().take(SHOWN - 1).enumerate() {
        let space = if place == 0 { "" } else { " " };
        page.emit(fmt!("{}{}", space, count(length)))?;
    }
    let rest = Length::all().skip(SHOWN - 1);
    let last = rest.fold(0u64, |sum, length| sum.wrapping_add(count(length)));
    page.emit(fmt!(" {}\n", last))
}

/// Whose transmit function the device calls now, as the kernel's symbol table says.
fn show_owner(_state: &State, page: &mut Page<'_>) -> Result {
    let dev = page.device().ok_or(ENODEV)?;
    page.emit(fmt!("{}\n", dev.xmit_owner()))
}

fn show_active(state: &State, page: &mut Page<'_>) -> Result {
    page.emit(fmt!("{}\n", u8::from(state.is_active())))
}

fn store_active(state: &State, input: Input<'_>) -> Result {
    let active = input.bool()?;
    let rtnl = rtnl::try_lock_or_restart()?;
    let dev = input.device().ok_or(ENODEV)?;
    state.set_active(dev, active, &rtnl)
}

fn show_delivery(state: &State, page: &mut Page<'_>) -> Result {
    page.emit(fmt!(
        "{}\n",
        if state.is_queued() { "napi" } else { "backlog" }
    ))
}

fn store_delivery(state: &State, input: Input<'_>) -> Result {
    let queued = match input.bytes().trim_ascii() {
        b"napi" => true,
        b"backlog" => false,
        _ => return Err(EINVAL),
    };
    let rtnl = rtnl::try_lock_or_restart()?;
    state.set_queued(queued, &rtnl)
}

/// Makes `rlo/` under a loopback device, with a directory for each CPU in it.
pub(crate) fn device_dir(
    ctx: ModuleCtx,
    dev: &Device,
    state: &Arc<State>,
    rtnl: &Rtnl,
) -> Result<Dir> {
    let top = Dir::under_device(ctx, dev, c"rlo", &TOTAL, state.clone(), rtnl)?;
    for cpu in percpu::possible_cpus() {
        let name = CString::try_from_fmt(fmt!("cpu{}", cpu.as_u32()))?;
        let data = Arc::new(
            OneCpu {
                state: state.clone(),
                cpu,
            },
            GFP_KERNEL,
        )?;
        top.child(&name, &ONE_CPU, data)?;
    }
    top.child(c"protocol", &PROTOCOLS, state.clone())?;
    Ok(top)
}

/// What belongs to the module and no namespace.
struct Module;

static MODULE: [Attribute<Module>; 1] = [Attribute::ro(c"replaced_namespaces", |_, page| {
    page.emit(fmt!("{}\n", state::replaced_namespaces()))
})];

/// Makes `/sys/kernel/rlo/`.
pub(crate) fn module_dir(ctx: ModuleCtx) -> Result<Dir> {
    Dir::under_kernel(ctx, c"rlo", &MODULE, Arc::new(Module, GFP_KERNEL)?)
}
