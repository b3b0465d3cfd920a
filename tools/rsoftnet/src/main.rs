// SPDX-License-Identifier: GPL-2.0

//! Shows the receive path of the network stack, as `rsoftnet.ko` sees it.
//!
//! `rsoftnet top` shows how often packets come by where, and how long they wait; `rsoftnet walk
//! ADDRESS` sends one packet and shows its way.

mod app;
mod draw;
mod events;
mod packet;
mod rates;
mod route;
mod snapshot;
mod top;
mod tree;
mod walk;

use std::{
    process::ExitCode,
    sync::{
        atomic::AtomicBool,
        Arc, //
    },
};

use clap::{
    Parser,
    Subcommand, //
};
use signal_hook::consts::{
    SIGHUP,
    SIGINT,
    SIGTERM, //
};

/// Shows the receive path of the network stack, from the files of rsoftnet.ko
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows stages and latencies, live, by CPU
    Top(top::Options),
    /// Sends one packet and shows its way, in order and with times
    Walk(walk::Options),
}

/// Becomes true when the program is asked to end: what it has switched on is switched off then.
type Ended = Arc<AtomicBool>;

fn catch_signals() -> anyhow::Result<Ended> {
    let ended = Ended::default();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, ended.clone())?;
    }
    Ok(ended)
}

fn run() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let ended = catch_signals()?;
    match args.command {
        Command::Top(options) => top::run(&options, &ended).map(|()| ExitCode::SUCCESS),
        Command::Walk(options) => walk::run(&options, &ended),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rsoftnet: {error:#}");
            ExitCode::from(2)
        }
    }
}
