// SPDX-License-Identifier: GPL-2.0

//! The files of the backlog, which show what the kernel keeps: nothing has to be enabled.

use kernel::cpu::CpuId;
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

use crate::files::show;

/// Of one CPU, or of all.
pub(crate) struct Backlog(pub(crate) Option<CpuId>);

impl Backlog {
    fn sum(&self, of: impl Fn(&Softnet) -> u64) -> u64 {
        match self.0 {
            Some(cpu) => of(&Softnet::read(cpu)),
            None => {
                possible_cpus().fold(0, |sum: u64, cpu| sum.wrapping_add(of(&Softnet::read(cpu))))
            }
        }
    }

    fn show(&self, page: &mut Page<'_>, of: impl Fn(&Softnet) -> u32) -> Result {
        show(page, self.sum(|s| u64::from(of(s))))
    }
}

pub(crate) static BACKLOG: [Attribute<Backlog>; 10] = [
    Attribute::root_ro(c"input_qlen", |b, page| b.show(page, Softnet::input_qlen)),
    Attribute::root_ro(c"process_qlen", |b, page| {
        b.show(page, Softnet::process_qlen)
    }),
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

pub(crate) static BACKLOG_CPU: [Attribute<Backlog>; 11] = [
    Attribute::root_ro(c"online", |b, page| {
        show(page, b.0.is_some_and(is_online).into())
    }),
    Attribute::root_ro(c"input_qlen", |b, page| b.show(page, Softnet::input_qlen)),
    Attribute::root_ro(c"process_qlen", |b, page| {
        b.show(page, Softnet::process_qlen)
    }),
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
