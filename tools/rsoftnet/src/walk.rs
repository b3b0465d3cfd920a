// SPDX-License-Identifier: GPL-2.0

//! `rsoftnet walk`.

use std::{
    collections::HashMap,
    io::{
        self,
        Write, //
    },
    net::IpAddr,
    process::ExitCode,
    time::Duration,
};

use anyhow::{
    bail,
    Result, //
};
use nix::net::if_::if_nameindex;
use serde::Serialize;

use crate::{
    packet::{
        Packet,
        Way, //
    },
    route::{
        Step,
        Wanted,
        Who, //
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
    /// Where the packet goes: an address of this machine, or of another host (which is pinged)
    address: IpAddr,
    /// Prints JSON
    #[arg(long)]
    json: bool,
    /// Bytes of payload [default: an unusual number between 200 and 1100]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=60000))]
    payload: Option<u16>,
    /// How many seconds to wait for it
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Without the stages that probe functions (ip, udp, ...), which take longer than the others
    #[arg(long)]
    no_functions: bool,
}

/// What is printed.
#[derive(Serialize)]
struct Walk {
    address: IpAddr,
    /// "loopback" or "device".
    path: &'static str,
    /// The device that was given the packet.
    device: Option<String>,
    protocol: &'static str,
    payload: usize,
    arrived: bool,
    /// Whether the functions were probed, too.
    functions: bool,
    /// Events that the log had no place for any more.
    lost: u64,
    steps: Vec<Step>,
}

fn look(options: &Options, ended: &Ended) -> Result<Walk> {
    let tree = Tree::open()?;
    let packet = Packet::new(options.address, options.payload.map(usize::from))?;
    let filters = tree.snapshot()?.filters;
    if let Some((which, to)) = filters.iter().next() {
        bail!("only {to} is looked at: write an empty line to filter/{which} first");
    }
    let mut changed = Changed::new(&tree);
    let functions = !options.no_functions && changed.try_set("log/functions", "1")?;
    changed.set("log/enable", "1")?;
    tree.write("log/reset", "1")?;
    let outcome = packet.send(Duration::from_secs(options.timeout), ended)?;
    // The poll that has delivered it is not over yet where it runs on another CPU.
    std::thread::sleep(Duration::from_millis(20));
    // What is read has to be still there.
    changed.set("log/enable", "0")?;
    let log = tree.log()?;
    drop(changed);

    let devices: HashMap<_, _> = if_nameindex()?
        .iter()
        .map(|i| {
            (
                u64::from(i.index()),
                i.name().to_string_lossy().into_owned(),
            )
        })
        .collect();
    let steps = Wanted {
        mark: packet.mark,
        cookie: packet.cookie,
        answer: (packet.way == Way::Remote).then(|| (packet.ip_len(), packet.ether_type())),
        called_ns: outcome.called_ns,
        received_ns: outcome.received_ns,
        devices: &devices,
    }
    .steps(&log);
    let is_sent = |step: &&Step| step.stage == "xmit" && step.who == Who::Packet;
    Ok(Walk {
        address: options.address,
        path: match packet.way {
            Way::Local => "loopback",
            Way::Remote => "device",
        },
        device: steps
            .iter()
            .find(is_sent)
            .and_then(|step| step.device.clone()),
        protocol: packet.protocol(),
        payload: packet.payload,
        arrived: outcome.received_ns.is_some(),
        functions,
        lost: log.lost,
        steps,
    })
}

fn print(walk: &Walk, out: &mut impl Write) -> io::Result<()> {
    let device = walk.device.as_deref().unwrap_or("no device");
    writeln!(
        out,
        "{} through {device}: {} with {} bytes of payload{}",
        walk.address,
        walk.protocol,
        walk.payload,
        if walk.functions {
            ""
        } else {
            ", without functions"
        }
    )?;
    writeln!(out, "\n{:>9} {:>9}  cpu  stage", "ns", "more")?;
    for step in &walk.steps {
        let cpu = step.cpu.map_or("-".to_owned(), |cpu| cpu.to_string());
        let mark = match step.who {
            Who::Cpu => " ",
            Who::Answer => "<",
            _ => "*",
        };
        writeln!(
            out,
            "{:>9} {:>+9}  {cpu:>3} {mark}{:<14} {}",
            step.ns, step.more_ns, step.stage, step.text
        )?;
    }
    writeln!(
        out,
        "\n* the packet, < the answer to it; the others are what a CPU does meanwhile"
    )?;
    if walk.lost != 0 {
        writeln!(out, "{} earlier events were not kept", walk.lost)?;
    }
    if !walk.arrived {
        writeln!(out, "it has not arrived")?;
    }
    Ok(())
}

/// Sends the packet and shows its way. The exit status is 1 when it has not arrived.
pub fn run(options: &Options, ended: &Ended) -> Result<ExitCode> {
    let walk = look(options, ended)?;
    let mut out = io::stdout().lock();
    if options.json {
        serde_json::to_writer_pretty(&mut out, &walk)?;
        writeln!(out)?;
    } else {
        print(&walk, &mut out)?;
    }
    Ok(match walk.arrived {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(1),
    })
}
