// SPDX-License-Identifier: GPL-2.0

//! The log as a text. The format is in `Documentation/ABI/testing/sysfs-kernel-rsoftnet`.

use rnet::{
    prelude::*,
    sysfs::Text,
    trace::ReasonNo, //
};

use crate::{
    control::Control,
    function_probes::from,
    log::{
        Entry,
        What, //
    },
};

/// The number of a packet in this text: addresses are nobody's business.
fn number(packets: &mut KVVec<u64>, packet: u64) -> Result<usize> {
    let known = packets.iter().position(|known| *known == packet);
    let place = match known {
        Some(place) => place,
        None => {
            packets.push(packet, GFP_KERNEL)?;
            packets.len().wrapping_sub(1)
        }
    };
    Ok(place.wrapping_add(1))
}

fn packet(text: &mut Text, entry: &Entry, packets: &mut KVVec<u64>) -> Result {
    text.emit(fmt!(
        " packet {} dev {} len {} protocol {} mark {}",
        number(packets, entry.who)?,
        entry.ifindex,
        entry.len,
        entry.protocol,
        entry.mark
    ))
}

fn line(text: &mut Text, entry: &Entry, packets: &mut KVVec<u64>) -> Result {
    text.emit(fmt!(
        "event {} cpu{} {}",
        entry.time,
        entry.cpu,
        entry.what.name()
    ))?;
    match entry.what {
        What::Xmit | What::NetifRx | What::Deliver | What::Ip | What::Tcp | What::Udp => {
            packet(text, entry, packets)?;
        }
        What::Enqueue => {
            packet(text, entry, packets)?;
            text.emit(fmt!(" target cpu{}", entry.more))?;
        }
        What::Drop => {
            packet(text, entry, packets)?;
            let reason = ReasonNo::all().find(|reason| u64::from(reason.number()) == entry.more);
            let name = reason
                .and_then(ReasonNo::name)
                .and_then(|name| name.to_str().ok());
            text.emit(fmt!(" reason {}", name.unwrap_or("?")))?;
        }
        What::RpsIpi | What::RpsAnswer => text.emit(fmt!(" target cpu{}", entry.more))?,
        What::SoftirqRaise | What::SoftirqExit => {}
        What::SoftirqEntry => text.emit(fmt!(
            " context {}",
            match entry.more {
                from::IRQ_EXIT => "irq_exit",
                from::DO_SOFTIRQ => "do_softirq",
                from::KSOFTIRQD => "ksoftirqd",
                _ => "-",
            }
        ))?,
        What::PollBacklog | What::PollDevice | What::PollThreaded => text.emit(fmt!(
            " dev {} work {} budget {}",
            entry.ifindex,
            entry.more >> 32,
            entry.more & 0xffff_ffff
        ))?,
        What::Netfilter => text.emit(fmt!(
            " verdict {}",
            match entry.more {
                0 => "accept",
                1 => "drop",
                _ => "stolen",
            }
        ))?,
        What::SockQueue | What::Wakeup => text.emit(fmt!(" socket {}", entry.who))?,
    }
    text.emit(fmt!("\n"))
}

pub(crate) fn make(control: &Control, text: &mut Text) -> Result {
    let log = &control.logger.log;
    let mut packets = KVVec::new();
    text.emit(fmt!("rsoftnet-log 1\nlost {}\n", log.lost()))?;
    for entry in log.iter().filter_map(Entry::unpack) {
        line(text, &entry, &mut packets)?;
    }
    text.emit(fmt!("end\n"))
}
