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

use crate::state::{
    self,
    Count,
    Mode,
    State, //
};

/// The counters of a namespace, as a whole.
static TOTAL: [Attribute<State>; 6] = [
    Attribute::rw(c"active", show_active, store_active),
    Attribute::ro(c"mode", |state, page| {
        page.emit(match state.mode() {
            Mode::Replacement => fmt!("replacement\n"),
            Mode::Takeover => fmt!("takeover\n"),
        })
    }),
    Attribute::ro(c"packets", |s, page| {
        show(
            page,
            sum(s, Count::Accepted).wrapping_add(sum(s, Count::Dropped)),
        )
    }),
    Attribute::ro(c"bytes", |s, page| {
        show(
            page,
            sum(s, Count::AcceptedBytes).wrapping_add(sum(s, Count::DroppedBytes)),
        )
    }),
    Attribute::ro(c"accepted", |s, page| show(page, sum(s, Count::Accepted))),
    Attribute::ro(c"dropped", |s, page| show(page, sum(s, Count::Dropped))),
];

/// The same for one CPU.
struct OneCpu {
    state: Arc<State>,
    cpu: CpuId,
}

impl OneCpu {
    fn read(&self, count: Count) -> u64 {
        self.state.counters.read(count, self.cpu)
    }
}

static ONE_CPU: [Attribute<OneCpu>; 4] = [
    Attribute::ro(c"packets", |s, page| {
        show(
            page,
            s.read(Count::Accepted).wrapping_add(s.read(Count::Dropped)),
        )
    }),
    Attribute::ro(c"bytes", |s, page| {
        show(
            page,
            s.read(Count::AcceptedBytes)
                .wrapping_add(s.read(Count::DroppedBytes)),
        )
    }),
    Attribute::ro(c"accepted", |s, page| show(page, s.read(Count::Accepted))),
    Attribute::ro(c"dropped", |s, page| show(page, s.read(Count::Dropped))),
];

fn sum(state: &State, count: Count) -> u64 {
    state.counters.sum(count)
}

fn show(page: &mut Page<'_>, value: u64) -> Result {
    page.emit(fmt!("{}\n", value))
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
