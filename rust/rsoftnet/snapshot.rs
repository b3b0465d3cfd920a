// SPDX-License-Identifier: GPL-2.0

//! Everything of one moment as one text. The format is in
//! `Documentation/ABI/testing/sysfs-kernel-rsoftnet`.

use kernel::cpu::CpuId;
use rnet::{
    log2::Log2,
    percpu::{
        is_online,
        possible_cpus, //
    },
    prelude::*,
    softnet::Softnet,
    sysfs::Text,
    trace::{
        self,
        ReasonNo, //
    },
};

use crate::{
    control::Control,
    core::{
        Mark,
        Unused, //
    },
    filter,
    stage::{
        Latency,
        Stage,
        Target, //
    },
};

/// The counters of a stage: the count and the others.
type Values = [u64; 4];

/// The counters of all stages on one CPU.
struct OneCpu {
    cpu: CpuId,
    softnet: Softnet,
    marks: [u64; 2],
    /// By stage, the last one first: the count and the others.
    stages: KVec<Values>,
}

/// One line of counters: `name value` for each.
fn softnet_line(text: &mut Text, s: &Softnet, marks: &[u64; 2]) -> Result {
    let [input_high, process_high] = marks;
    text.emit(fmt!(
        " input_qlen {} process_qlen {} enqueued {} dequeued {} processed {} dropped {}",
        s.input_qlen(),
        s.process_qlen(),
        s.enqueued(),
        s.dequeued(),
        s.processed(),
        s.dropped()
    ))?;
    text.emit(fmt!(
        " time_squeeze {} received_rps {} flow_limit_count {} scheduled {}",
        s.time_squeeze(),
        s.received_rps(),
        s.flow_limit_count(),
        u8::from(s.scheduled())
    ))?;
    text.emit(fmt!(
        " input_high {} process_high {}\n",
        input_high,
        process_high
    ))
}

fn stage_line(text: &mut Text, stage: Stage, values: &Values) -> Result {
    let [count, others @ ..] = values;
    text.emit(fmt!(" count {}", count))?;
    for ((name, _), value) in stage.counts().others.iter().zip(others) {
        text.emit(fmt!(" {} {}", name, value))?;
    }
    text.emit(fmt!("\n"))
}

/// Reads the counters of all stages on all CPUs. A packet counts at its stages in their order: they
/// are read from the last to the first, so a packet that is seen at one is seen at those before.
fn collect(control: &Control) -> Result<KVec<OneCpu>> {
    let counts = &control.core.counts;
    let mut cpus = KVec::new();
    for cpu in possible_cpus() {
        let entry = OneCpu {
            cpu,
            softnet: Softnet::read(cpu),
            marks: [Mark::Input, Mark::Process].map(|mark| control.core.marks.read(mark, cpu)),
            stages: KVec::with_capacity(Stage::ALL.len(), GFP_KERNEL)?,
        };
        cpus.push(entry, GFP_KERNEL)?;
    }
    for stage in Stage::ALL.iter().rev() {
        for one in &mut cpus {
            let mut values: Values = [counts.read(stage.counts().count, one.cpu), 0, 0, 0];
            for (value, (_, other)) in values.iter_mut().skip(1).zip(stage.counts().others) {
                *value = counts.read(*other, one.cpu);
            }
            one.stages.push(values, GFP_KERNEL)?;
        }
    }
    Ok(cpus)
}

fn latency_line(
    text: &mut Text,
    control: &Control,
    latency: Latency,
    cpu: Option<CpuId>,
) -> Result {
    let waits = control.core.waits(latency);
    // The count is the sum of the buckets that are shown.
    let mut buckets: [u64; 40] = [0; 40];
    for (to, bucket) in buckets.iter_mut().zip(Log2::all()) {
        *to = waits.bucket(bucket, cpu);
    }
    let count = buckets
        .iter()
        .fold(0u64, |sum, bucket| sum.wrapping_add(*bucket));
    text.emit(fmt!(
        " count {} sum_ns {} max_ns {} log2_ns",
        count,
        waits.sum(cpu),
        waits.max(cpu)
    ))?;
    for bucket in buckets {
        text.emit(fmt!(" {}", bucket))?;
    }
    text.emit(fmt!("\n"))
}

pub(crate) fn make(control: &Control, text: &mut Text) -> Result {
    let time = trace::now();
    let on = control.core.on.get();
    let cpus = collect(control)?;

    text.emit(fmt!("rsoftnet 1\n"))?;
    text.emit(fmt!("time_ns {}\n", time))?;
    filter::describe(control, text)?;
    for one in &cpus {
        let cpu = one.cpu.as_u32();
        text.emit(fmt!(
            "backlog cpu{} online {}",
            cpu,
            u8::from(is_online(one.cpu))
        ))?;
        softnet_line(text, &one.softnet, &one.marks)?;
    }
    let places = (0..Stage::ALL.len()).rev();
    for (place, stage) in places.zip(Stage::ALL) {
        let name = stage.name().to_str().unwrap_or("?");
        let enabled = u8::from(on & stage.bit() != 0);
        let mut total: Values = [0; 4];
        for one in &cpus {
            for (sum, value) in total
                .iter_mut()
                .zip(one.stages.get(place).unwrap_or(&[0; 4]))
            {
                *sum = sum.wrapping_add(*value);
            }
        }
        text.emit(fmt!("stage {} all enable {}", name, enabled))?;
        stage_line(text, *stage, &total)?;
        for one in &cpus {
            let cpu = one.cpu.as_u32();
            text.emit(fmt!("stage {} cpu{} enable {}", name, cpu, enabled))?;
            stage_line(text, *stage, one.stages.get(place).unwrap_or(&[0; 4]))?;
        }
    }
    for reason in ReasonNo::all() {
        let count = control.core.reasons.sum(reason);
        if let (Some(name), true) = (reason.name(), count != 0) {
            text.emit(fmt!("reason {} {}\n", name.to_str().unwrap_or("?"), count))?;
        }
    }
    for stage in [Stage::RpsIpi, Stage::Enqueue] {
        for source in possible_cpus() {
            for target in possible_cpus() {
                let count = control.core.targets(stage).read(Target::of(target), source);
                if count != 0 {
                    text.emit(fmt!(
                        "target {} cpu{} cpu{} {}\n",
                        stage.name().to_str().unwrap_or("?"),
                        source.as_u32(),
                        target.as_u32(),
                        count
                    ))?;
                }
            }
        }
    }
    for latency in Latency::ALL {
        let name = latency.name().to_str().unwrap_or("?");
        let enabled = u8::from(on & latency.bit() != 0);
        text.emit(fmt!("latency {} all enable {}", name, enabled))?;
        latency_line(text, control, *latency, None)?;
        for cpu in possible_cpus() {
            text.emit(fmt!(
                "latency {} cpu{} enable {}",
                name,
                cpu.as_u32(),
                enabled
            ))?;
            latency_line(text, control, *latency, Some(cpu))?;
        }
    }
    let unmatched = control.core.unmatched.sum(Unused::Packets);
    text.emit(fmt!("unmatched {}\n", unmatched))?;
    text.emit(fmt!("end\n"))
}
