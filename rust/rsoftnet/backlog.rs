// SPDX-License-Identifier: GPL-2.0

//! The files of the backlog, which show what the kernel keeps: nothing has to be enabled.

use kernel::{
    cpu::CpuId,
    sync::Arc, //
};
use rnet::{
    percpu::{
        is_online,
        possible_cpus, //
    },
    prelude::*,
    softnet::Softnet,
    sysfs::{
        Attribute,
        Page, //
    }, //
};

use crate::{
    control::Control,
    core::Mark,
    files::{
        expect_one,
        show,
        show_state, //
    },
    stage::MARKS, //
};

/// Of one CPU, or of all.
pub(crate) struct Backlog {
    pub(crate) control: Arc<Control>,
    pub(crate) cpu: Option<CpuId>,
}

impl Backlog {
    fn sum(&self, of: impl Fn(&Softnet) -> u64) -> u64 {
        match self.cpu {
            Some(cpu) => of(&Softnet::read(cpu)),
            None => {
                possible_cpus().fold(0, |sum: u64, cpu| sum.wrapping_add(of(&Softnet::read(cpu))))
            }
        }
    }

    /// The largest of all CPUs, or that of one.
    fn show_mark(&self, page: &mut Page<'_>, mark: Mark) -> Result {
        let marks = &self.control.core.marks;
        let largest = || possible_cpus().map(|cpu| marks.read(mark, cpu)).max();
        show(
            page,
            match self.cpu {
                Some(cpu) => marks.read(mark, cpu),
                None => largest().unwrap_or(0),
            },
        )
    }

    fn show(&self, page: &mut Page<'_>, of: impl Fn(&Softnet) -> u32) -> Result {
        show(page, self.sum(|s| u64::from(of(s))))
    }
}

/// Once, and what only a CPU has.
pub(crate) static MARKS_SWITCH: [Attribute<Backlog>; 2] = [
    Attribute::root_rw(
        c"enable",
        |b, page| show_state(page, b.control.state(MARKS)),
        |b, input| b.control.switch(MARKS, input.bool()?),
    ),
    Attribute::wo(c"reset", |b, input| {
        expect_one(input)?;
        b.control.core.reset_marks();
        Ok(())
    }),
];
pub(crate) static ONLINE: [Attribute<Backlog>; 1] = [Attribute::root_ro(c"online", |b, page| {
    show(page, b.cpu.is_some_and(is_online).into())
})];

pub(crate) static BACKLOG: [Attribute<Backlog>; 12] = [
    Attribute::root_ro(c"input_qlen", |b, page| b.show(page, Softnet::input_qlen)),
    Attribute::root_ro(c"process_qlen", |b, page| {
        b.show(page, Softnet::process_qlen)
    }),
    Attribute::root_ro(c"input_high", |b, page| b.show_mark(page, Mark::Input)),
    Attribute::root_ro(c"process_high", |b, page| b.show_mark(page, Mark::Process)),
    Attribute::root_ro(c"enqueued", |b, page| b.show(page, Softnet::enqueued)),
    Attribute::root_ro(c"dequeued", |b, page| b.show(page, Softnet::dequeued)),
    Attribute::root_ro(c"processed", |b, page| b.show(page, Softnet::processed)),
    Attribute::root_ro(c"dropped", |b, page| b.show(page, Softnet::dropped)),
    Attribute::root_ro(c"time_squeeze", |b, page| {
        b.show(page, Softnet::time_squeeze)
    }),
    Attribute::root_ro(c"received_rps", |b, page| {
        b.show(page, Softnet::received_rps)
    }),
    Attribute::root_ro(c"flow_limit_count", |b, page| {
        b.show(page, Softnet::flow_limit_count)
    }),
    Attribute::root_ro(c"scheduled", |b, page| {
        b.show(page, |s| u32::from(s.scheduled()))
    }),
];
