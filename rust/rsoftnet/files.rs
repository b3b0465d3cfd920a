// SPDX-License-Identifier: GPL-2.0

//! The files under `/sys/kernel/rsoftnet/`.
//!
//! Documented in `Documentation/ABI/testing/sysfs-kernel-rsoftnet`.

use kernel::{
    cpu::CpuId,
    str::CString,
    sync::Arc, //
};
use rnet::{
    log2::Log2,
    percpu::possible_cpus,
    prelude::*,
    sysfs::{
        Attribute,
        Dir,
        Input,
        Page, //
    },
    trace::ReasonNo, //
};

use crate::{
    backlog::{
        Backlog,
        BACKLOG,
        MARKS_SWITCH,
        ONLINE, //
    },
    control::Control,
    core::Unused,
    filter, log_text, snapshot,
    stage::{
        Count,
        Latency,
        Stage,
        Target,
        LOG,
        LOG_FUNCTIONS,
        MARKS, //
    },
};

/// One number.
pub(crate) fn show(page: &mut Page<'_>, value: u64) -> Result {
    page.emit(fmt!("{}\n", value))
}

pub(crate) fn show_state(page: &mut Page<'_>, state: Option<bool>) -> Result {
    match state {
        Some(on) => show(page, on.into()),
        None => page.emit(fmt!("partial\n")),
    }
}

/// What may be written to reset something: 1 and nothing else.
pub(crate) fn expect_one(input: Input<'_>) -> Result {
    match input.number::<u32>()? {
        1 => Ok(()),
        _ => Err(EINVAL),
    }
}

/// Functions are probed only when asked for one by one, but let go of with the others.
fn switch(control: &Control, switches: u32, input: Input<'_>) -> Result {
    match input.bool()? {
        true => control.switch(switches, true),
        false => control.switch(switches | Stage::MASK & !Stage::CHEAP, false),
    }
}

// --- everything --------------------------------------------------------------

static TOP: [Attribute<Control>; 2] = [
    Attribute::root_rw(
        c"enable",
        |c, page| show_state(page, c.state(Stage::CHEAP | Latency::CHEAP | MARKS)),
        |c, input| switch(c, Stage::CHEAP | Latency::CHEAP | MARKS, input),
    ),
    Attribute::wo(c"reset", |c, input| {
        expect_one(input)?;
        Stage::ALL.iter().for_each(|s| c.core.reset_stage(*s));
        Latency::ALL.iter().for_each(|l| c.core.reset_latency(*l));
        c.core.reset_marks();
        Ok(())
    }),
];

static STAGES: [Attribute<Control>; 2] = [
    Attribute::root_rw(
        c"enable",
        |c, page| show_state(page, c.state(Stage::CHEAP)),
        |c, input| switch(c, Stage::CHEAP, input),
    ),
    Attribute::wo(c"reset", |c, input| {
        expect_one(input)?;
        Stage::ALL.iter().for_each(|s| c.core.reset_stage(*s));
        Ok(())
    }),
];

static LATENCIES: [Attribute<Control>; 2] = [
    Attribute::root_rw(
        c"enable",
        |c, page| show_state(page, c.state(Latency::MASK)),
        |c, input| c.switch(Latency::MASK, input.bool()?),
    ),
    Attribute::wo(c"reset", |c, input| {
        expect_one(input)?;
        Latency::ALL.iter().for_each(|l| c.core.reset_latency(*l));
        Ok(())
    }),
];

static LOG_FILES: [Attribute<Control>; 3] = [
    Attribute::root_rw(
        c"enable",
        |c, page| show_state(page, c.state(LOG)),
        |c, input| c.switch(LOG, input.bool()?),
    ),
    Attribute::root_rw(
        c"functions",
        |c, page| show_state(page, c.state(LOG_FUNCTIONS)),
        |c, input| c.switch(LOG_FUNCTIONS, input.bool()?),
    ),
    Attribute::wo(c"reset", |c, input| {
        expect_one(input)?;
        c.logger.log.clear();
        Ok(())
    }),
];

static FILTER: [Attribute<Control>; 2] = [
    Attribute::root_rw(c"device", filter::show_device, filter::store_device),
    Attribute::root_rw(c"netns", filter::show_netns, filter::store_netns),
];

// --- stages ----------------------------------------------------------------------

/// A stage, on one CPU or on all.
struct OfStage {
    control: Arc<Control>,
    stage: Stage,
    cpu: Option<CpuId>,
}

impl OfStage {
    fn show(&self, page: &mut Page<'_>, count: Option<Count>) -> Result {
        let count = count.ok_or(EIO)?;
        let counts = &self.control.core.counts;
        show(
            page,
            match self.cpu {
                Some(cpu) => counts.read(count, cpu),
                None => counts.sum(count),
            },
        )
    }

    fn show_count(&self, page: &mut Page<'_>) -> Result {
        self.show(page, Some(self.stage.counts().count))
    }

    /// One line for each reason that there was.
    fn show_reasons(&self, page: &mut Page<'_>) -> Result {
        let reasons = &self.control.core.reasons;
        for reason in ReasonNo::all() {
            let count = match self.cpu {
                Some(cpu) => reasons.read(reason, cpu),
                None => reasons.sum(reason),
            };
            if let (Some(name), true) = (reason.name(), count != 0) {
                page.emit(fmt!("{} {}\n", name.to_str().unwrap_or("?"), count))?;
            }
        }
        Ok(())
    }

    /// How often each CPU was woken or given a packet, from CPU 0 on.
    fn show_targets(&self, page: &mut Page<'_>) -> Result {
        let targets = self.control.core.targets(self.stage);
        for (place, cpu) in possible_cpus().enumerate() {
            let space = if place == 0 { "" } else { " " };
            let count = match self.cpu {
                Some(source) => targets.read(Target::of(cpu), source),
                None => targets.sum(Target::of(cpu)),
            };
            page.emit(fmt!("{}{}", space, count))?;
        }
        page.emit(fmt!("\n"))
    }
}

fn show_enabled(s: &OfStage, page: &mut Page<'_>) -> Result {
    show_state(page, s.control.state(s.stage.bit()))
}

fn store_enabled(s: &OfStage, input: Input<'_>) -> Result {
    s.control.switch(s.stage.bit(), input.bool()?)
}

fn reset_stage(s: &OfStage, input: Input<'_>) -> Result {
    expect_one(input)?;
    s.control.core.reset_stage(s.stage);
    Ok(())
}

/// What every stage has once, and what it has for each CPU as well.
static STAGE: [Attribute<OfStage>; 2] = [
    Attribute::root_rw(c"enable", show_enabled, store_enabled),
    Attribute::wo(c"reset", reset_stage),
];
static COUNT: [Attribute<OfStage>; 1] =
    [Attribute::root_ro(c"count", |s, page| s.show_count(page))];

// What only some have.

static SOFTIRQ_ENTRY: [Attribute<OfStage>; 1] = [Attribute::root_ro(c"ksoftirqd", |s, page| {
    s.show(page, s.stage.other(0))
})];

static SOFTIRQ_CONTEXT: [Attribute<OfStage>; 3] = [
    Attribute::root_ro(c"irq_exit", |s, page| s.show(page, s.stage.other(0))),
    Attribute::root_ro(c"do_softirq", |s, page| s.show(page, s.stage.other(1))),
    Attribute::root_ro(c"ksoftirqd", |s, page| s.show(page, s.stage.other(2))),
];

static POLL: [Attribute<OfStage>; 2] = [
    Attribute::root_ro(c"work", |s, page| s.show(page, s.stage.other(0))),
    Attribute::root_ro(c"full", |s, page| s.show(page, s.stage.other(1))),
];

static PROTOCOL: [Attribute<OfStage>; 1] = [Attribute::root_ro(c"v6", |s, page| {
    s.show(page, s.stage.other(0))
})];

static NETFILTER: [Attribute<OfStage>; 2] = [
    Attribute::root_ro(c"drop", |s, page| s.show(page, s.stage.other(0))),
    Attribute::root_ro(c"stolen", |s, page| s.show(page, s.stage.other(1))),
];

static SOCK_QUEUE: [Attribute<OfStage>; 2] = [
    Attribute::root_ro(c"udp", |s, page| s.show(page, s.stage.other(0))),
    Attribute::root_ro(c"tcp", |s, page| s.show(page, s.stage.other(1))),
];

static TARGETS: [Attribute<OfStage>; 1] = [Attribute::root_ro(c"targets", |s, page| {
    s.show_targets(page)
})];

static DROP: [Attribute<OfStage>; 1] = [Attribute::root_ro(c"reasons", |s, page| {
    s.show_reasons(page)
})];

/// What a stage has besides.
fn besides(stage: Stage) -> &'static [Attribute<OfStage>] {
    match stage {
        Stage::SoftirqEntry => &SOFTIRQ_ENTRY,
        Stage::SoftirqContext => &SOFTIRQ_CONTEXT,
        Stage::PollBacklog | Stage::PollDevice | Stage::PollThreaded => &POLL,
        Stage::RpsIpi | Stage::Enqueue => &TARGETS,
        Stage::Ip | Stage::Tcp | Stage::Udp => &PROTOCOL,
        Stage::Netfilter => &NETFILTER,
        Stage::SockQueue => &SOCK_QUEUE,
        Stage::Drop => &DROP,
        Stage::Xmit
        | Stage::NetifRx
        | Stage::SoftirqRaise
        | Stage::SoftirqExit
        | Stage::Deliver
        | Stage::Wakeup => &[],
    }
}

// --- latencies ---------------------------------------------------------------------

/// A latency, on one CPU or on all.
struct OfLatency {
    control: Arc<Control>,
    latency: Latency,
    cpu: Option<CpuId>,
}

impl OfLatency {
    fn waits(&self) -> &crate::core::Waits {
        self.control.core.waits(self.latency)
    }

    /// All buckets in a line, from 0 ns on.
    fn show_buckets(&self, page: &mut Page<'_>) -> Result {
        for (place, bucket) in Log2::all().enumerate() {
            let space = if place == 0 { "" } else { " " };
            page.emit(fmt!("{}{}", space, self.waits().bucket(bucket, self.cpu)))?;
        }
        page.emit(fmt!("\n"))
    }
}

static LATENCY: [Attribute<OfLatency>; 2] = [
    Attribute::root_rw(
        c"enable",
        |l, page| show_state(page, l.control.state(l.latency.bit())),
        |l, input| l.control.switch(l.latency.bit(), input.bool()?),
    ),
    Attribute::wo(c"reset", |l, input| {
        expect_one(input)?;
        l.control.core.reset_latency(l.latency);
        Ok(())
    }),
];

/// Of all CPUs, and of each.
static TIMES: [Attribute<OfLatency>; 4] = [
    Attribute::root_ro(c"count", |l, page| show(page, l.waits().count(l.cpu))),
    Attribute::root_ro(c"sum_ns", |l, page| show(page, l.waits().sum(l.cpu))),
    Attribute::root_ro(c"max_ns", |l, page| show(page, l.waits().max(l.cpu))),
    Attribute::root_ro(c"log2_ns", |l, page| l.show_buckets(page)),
];

static UNMATCHED: [Attribute<Control>; 1] = [Attribute::root_ro(c"count", |c, page| {
    show(page, c.core.unmatched.sum(Unused::Packets))
})];

// --- the tree ------------------------------------------------------------------------

fn cpu_name(cpu: CpuId) -> Result<CString> {
    CString::try_from_fmt(fmt!("cpu{}", cpu.as_u32()))
}

/// Makes `/sys/kernel/rsoftnet/`.
pub(crate) fn make(ctx: ModuleCtx, control: &Arc<Control>) -> Result<Dir> {
    let top = Dir::under_kernel(ctx, c"rsoftnet", &TOP, control.clone())?;
    top.report(c"snapshot", control.clone(), snapshot::make)?;
    top.child(c"filter", &FILTER, control.clone())?;

    let log = top.child(c"log", &LOG_FILES, control.clone())?;
    log.report(c"events", control.clone(), log_text::make)?;

    let of = |cpu| {
        let control = control.clone();
        Arc::new(Backlog { control, cpu }, GFP_KERNEL)
    };
    let backlog = top.child_of(c"backlog", &[&MARKS_SWITCH, &BACKLOG], of(None)?)?;
    for cpu in possible_cpus() {
        backlog.child_of(&cpu_name(cpu)?, &[&ONLINE, &BACKLOG], of(Some(cpu))?)?;
    }

    let stages = top.child(c"stage", &STAGES, control.clone())?;
    for &stage in Stage::ALL {
        let of = |cpu| {
            Arc::new(
                OfStage {
                    control: control.clone(),
                    stage,
                    cpu,
                },
                GFP_KERNEL,
            )
        };
        let dir = stages.child_of(stage.name(), &[&STAGE, &COUNT, besides(stage)], of(None)?)?;
        for cpu in possible_cpus() {
            dir.child_of(&cpu_name(cpu)?, &[&COUNT, besides(stage)], of(Some(cpu))?)?;
        }
    }

    let latencies = top.child(c"latency", &LATENCIES, control.clone())?;
    latencies.child(c"unmatched", &UNMATCHED, control.clone())?;
    for &latency in Latency::ALL {
        let of = |cpu| {
            Arc::new(
                OfLatency {
                    control: control.clone(),
                    latency,
                    cpu,
                },
                GFP_KERNEL,
            )
        };
        let dir = latencies.child_of(latency.name(), &[&LATENCY, &TIMES], of(None)?)?;
        for cpu in possible_cpus() {
            dir.child_of(&cpu_name(cpu)?, &[&TIMES], of(Some(cpu))?)?;
        }
    }
    Ok(top)
}
