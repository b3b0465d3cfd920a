// SPDX-License-Identifier: GPL-2.0

//! `rsoftnet top`.

use std::{
    io::{
        self,
        IsTerminal,
        Write, //
    },
    sync::atomic::Ordering,
    thread,
    time::{
        Duration,
        Instant, //
    },
};

use anyhow::Result;

use crate::{
    app,
    rates::{
        percentile,
        Rates, //
    },
    tree::{
        Changed,
        Tree, //
    },
    Ended,
};

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    /// Seconds between two looks
    #[arg(short, long, default_value_t = 1.0, value_parser = seconds)]
    interval: f64,
    /// Ends after so many
    #[arg(short, long)]
    count: Option<u64>,
    /// Prints a line of JSON for each
    #[arg(long)]
    json: bool,
    /// Prints text, also to a terminal
    #[arg(long, conflicts_with = "json")]
    plain: bool,
    /// Switches on the stages that probe functions as well (ip, udp, ...), which cost more
    #[arg(long, conflicts_with = "look_only")]
    functions: bool,
    /// Switches nothing on: shows what is on already
    #[arg(long)]
    look_only: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.05..=3600.0).contains(&value) => Ok(value),
        _ => Err("from 0.05 to 3600".to_owned()),
    }
}

const FUNCTIONS: [&str; 7] = [
    "enqueue",
    "softirq_context",
    "ip",
    "netfilter",
    "tcp",
    "udp",
    "sock_queue",
];

fn switch_on(changed: &mut Changed<'_>, tree: &Tree, functions: bool) -> Result<()> {
    // One by one, so that those that somebody else has switched on stay on in the end.
    let seen = tree.snapshot()?;
    for stage in seen
        .stages
        .iter()
        .filter(|s| !FUNCTIONS.contains(&s.name.as_str()))
    {
        changed.set(&format!("stage/{}/enable", stage.name), "1")?;
    }
    for latency in &seen.latencies {
        changed.set(&format!("latency/{}/enable", latency.name), "1")?;
    }
    changed.set("backlog/enable", "1")?;
    if functions {
        for name in FUNCTIONS {
            changed.set(&format!("stage/{name}/enable"), "1")?;
        }
    }
    Ok(())
}

/// Waits, but not when the program is asked to end.
fn wait_until(end: Instant, ended: &Ended) -> bool {
    while !ended.load(Ordering::Relaxed) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
    false
}

fn text(rates: &Rates, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{:<16} {:>12}", "a second", "all")?;
    for cpu in 0..rates.cpus() {
        write!(out, " {:>10}", format!("cpu{cpu}"))?;
    }
    writeln!(out)?;
    for stage in rates.stages.iter().filter(|stage| stage.enabled) {
        write!(out, "{:<16} {:>12.0}", stage.name, stage.per_second)?;
        for cpu in 0..rates.cpus() {
            write!(out, " {:>10.0}", rates.per_second(stage, cpu))?;
        }
        writeln!(out)?;
    }
    for (name, count) in &rates.reasons {
        writeln!(out, "  dropped {count}: {name}")?;
    }
    writeln!(
        out,
        "{:<16} {:>12} {:>10} {:>10} {:>10} {:>10}",
        "ns", "count", "mean", "50 % <=", "99 % <=", "max ever"
    )?;
    for latency in rates.latencies.iter().filter(|latency| latency.enabled) {
        let times = &latency.all;
        writeln!(
            out,
            "{:<16} {:>12} {:>10} {:>10} {:>10} {:>10}",
            latency.name,
            times.count,
            times.sum_ns.checked_div(times.count).unwrap_or(0),
            percentile(times, 50),
            percentile(times, 99),
            times.max_ns
        )?;
    }
    writeln!(out)?;
    out.flush()
}

fn print(tree: &Tree, options: &Options, ended: &Ended) -> Result<()> {
    let interval = Duration::from_secs_f64(options.interval);
    let mut next = Instant::now();
    let mut before = tree.snapshot()?;
    let mut left = options.count.unwrap_or(u64::MAX);
    while left > 0 {
        next += interval;
        if !wait_until(next, ended) {
            break;
        }
        let now = tree.snapshot()?;
        let rates = Rates::between(&before, &now);
        let mut out = io::stdout().lock();
        let printed = if options.json {
            serde_json::to_writer(&mut out, &rates)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(out))
                .and_then(|()| out.flush())
        } else {
            text(&rates, &mut out)
        };
        match printed {
            // Whoever read it has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            printed => printed?,
        }
        before = now;
        left -= 1;
    }
    Ok(())
}

/// Shows until it is asked to end.
pub fn run(options: &Options, ended: &Ended) -> Result<()> {
    let tree = Tree::open()?;
    let mut changed = Changed::new(&tree);
    if !options.look_only {
        switch_on(&mut changed, &tree, options.functions)?;
    }
    if options.json || options.plain || !io::stdout().is_terminal() {
        print(&tree, options, ended)
    } else {
        let interval = Duration::from_secs_f64(options.interval);
        app::run(&tree, interval, options.count, ended)
    }
}
