// SPDX-License-Identifier: GPL-2.0

//! Rings, interrupts and the choice of queues, as the chip is told them.

use kernel::time::{
    delay::fsleep,
    Delta, //
};
use rnet::{
    mmio::{
        Mmio,
        RegisterArray, //
    },
    nic::{
        Load,
        Mode,
        Nic,
        Rings,
        Rss, //
    },
    prelude::*,
    ring::{
        RingAddress,
        RX_BUFFER, //
    },
};

use crate::regs::*;

/// How many queues the chip has.
pub(crate) const QUEUES: usize = 16;

/// The packet buffer for received frames, in bytes.
const PACKET_BUFFER: u32 = 64 << 10;

const USEC_PER_SEC: u64 = 1_000_000;

/// So many frames are to share an interrupt.
const SHARE: u64 = 8;

/// An entry of the vector table is valid.
const IVAR_VALID: u32 = 0x80;

/// Tells the chip all rings, and switches them on. Nothing is received before RCTL says so.
pub(crate) fn start(io: &Mmio, rings: &Rings, rss: &Rss) -> Result {
    let many = rings.pairs().len() > 1;
    for (queue, pair) in rings.pairs().iter().enumerate() {
        start_tx(io, queue, pair.tx)?;
        start_rx(io, queue, pair.rx, many)?;
    }
    // The FCS is in it.
    io.write(Rlpml::new(rings.max_frame().saturating_add(4)));
    // PAUSE is sent while there still is room for two frames, or a tenth.
    let high = PACKET_BUFFER
        .saturating_sub(rings.max_frame().saturating_mul(2))
        .min(PACKET_BUFFER / 10 * 9)
        & !0xf;
    io.write(Fcrth::new(high));
    io.write(Fcrtl::new(high.saturating_sub(16)));
    io.write(Tctl::EN | Tctl::PSP | Tctl::CT_COLD | Tctl::RTLC);
    spread(io, rss);
    Ok(())
}

fn halves(ring: RingAddress) -> (u32, u32) {
    (ring.dma as u32, (ring.dma >> 32) as u32)
}

fn start_tx(io: &Mmio, queue: usize, ring: RingAddress) -> Result {
    let (low, high) = halves(ring);
    io.write_index(queue, Txdctl::new(0));
    io.write_index(queue, Tdlen::new(ring.bytes));
    io.write_index(queue, Tdbal::new(low));
    io.write_index(queue, Tdbah::new(high));
    io.write_index(queue, Tdh::new(0));
    io.write_index(queue, Tdt::new(0));
    io.write_index(queue, Txdctl::THRESHOLDS | Txdctl::ENABLE);
    wait_enabled(|| Ok(io.read_index::<Txdctl>(queue)?.has(Txdctl::ENABLE)))
}

fn start_rx(io: &Mmio, queue: usize, ring: RingAddress, many: bool) -> Result {
    let (low, high) = halves(ring);
    io.write_index(queue, Rxdctl::new(0));
    io.write_index(queue, Rdlen::new(ring.bytes));
    io.write_index(queue, Rdbal::new(low));
    io.write_index(queue, Rdbah::new(high));
    io.write_index(queue, Rdh::new(0));
    io.write_index(queue, Rdt::new(0));
    // The size is in KiB. With one queue, PAUSE frames may hold the sender up instead of a drop.
    let srrctl = Srrctl::new(RX_BUFFER >> 10).with(Srrctl::DROP_EN, many) | Srrctl::ONE_BUFFER;
    io.write_index(queue, srrctl);
    io.write_index(queue, Rxdctl::THRESHOLDS | Rxdctl::ENABLE);
    wait_enabled(|| Ok(io.read_index::<Rxdctl>(queue)?.has(Rxdctl::ENABLE)))
}

/// The chip takes its time to switch a queue on; before that, its tail must not be written.
fn wait_enabled(mut enabled: impl FnMut() -> Result<bool>) -> Result {
    for _ in 0..10 {
        if enabled()? {
            return Ok(());
        }
        fsleep(Delta::from_millis(1));
    }
    Err(ETIMEDOUT)
}

/// Switches all rings off, and waits until the chip has ended what it was doing.
pub(crate) fn stop(io: &Mmio, queues: usize) {
    io.write(Tctl::PSP);
    for queue in 0..queues {
        io.write_index(queue, Txdctl::new(0));
        io.write_index(queue, Rxdctl::new(0));
    }
    let _ = io.flush();
    fsleep(Delta::from_millis(10));
}

/// The next four of `bytes` as a register holds them, the first one lowest.
fn word(bytes: &mut impl Iterator<Item = u8>) -> u32 {
    u32::from_le_bytes(core::array::from_fn(|_| bytes.next().unwrap_or(0)))
}

/// Received frames are spread over the queues by their hash.
pub(crate) fn spread(io: &Mmio, rss: &Rss) {
    let mut key = rss.key();
    for index in 0..Rssrk::LEN {
        io.write_index(index, Rssrk::new(word(&mut key)));
    }
    let mut table = rss.table().map(|queue| queue as u8 & 0xf);
    for index in 0..Reta::LEN {
        io.write_index(index, Reta::new(word(&mut table)));
    }
    io.write(Rxcsum::IPOFL | Rxcsum::TUOFL | Rxcsum::CRCOFL | Rxcsum::PCSD);
    let mrqc = Mrqc::RSS | Mrqc::FIELDS;
    io.write(
        mrqc.with(Mrqc::UDP4, rss.udp_ports(false))
            .with(Mrqc::UDP6, rss.udp_ports(true)),
    );
}

/// How far apart interrupts should be under a load, in microseconds.
pub(crate) fn interval(emulated: bool, load: &Load) -> u32 {
    let (shortest, longest) = match (emulated, load.bytes > 512) {
        (false, _) => (50, 50),
        // QEMU sends a second message for each that it holds back, and both are exits of a virtual
        // machine: many frames have to share them.
        (true, false) => (200, 800),
        // Large frames come in bundles anyway.
        (true, true) => return 0,
    };
    let gap = USEC_PER_SEC.checked_div(load.rate).unwrap_or(USEC_PER_SEC);
    // Who waits for an answer is to get it at once; and where not even two frames come in that time,
    // each would wait in vain.
    if !load.one_way || gap > longest / 2 {
        return 0;
    }
    gap.saturating_mul(SHARE).clamp(shortest, longest) as u32
}

/// Says which vector is whose. Sent packets interrupt only with `transmit`. Returns the vectors of
/// queues, as a mask.
pub(crate) fn route(nic: &Nic<'_>, rings: &Rings, transmit: bool) -> u32 {
    let io = nic.io();
    if nic.interrupt_mode() != Mode::MsiX {
        io.write(Gpie::new(0));
        return 0;
    }
    io.write(Gpie::MSIX_MODE | Gpie::PBA | Gpie::EIAME | Gpie::NSICR);
    let mut ivar = [0u32; 8];
    let mut mask = 0u32;
    for (queue, pair) in rings.pairs().iter().enumerate() {
        let entry = IVAR_VALID | (pair.vector & 0x1f);
        // Receive in the first byte, transmit in the second; the upper half is for queues from 8.
        let shift = if queue < 8 { 0 } else { 16 };
        if let Some(word) = ivar.get_mut(queue & 7) {
            let sent = if transmit { entry << 8 } else { 0 };
            *word |= (entry | sent) << shift;
        }
        mask |= 1u32 << (pair.vector & 0x1f);
    }
    for (index, word) in ivar.into_iter().enumerate() {
        io.write_index(index, Ivar::new(word));
    }
    if let Some(other) = nic.other_vector() {
        io.write(IvarMisc::new((IVAR_VALID | (other & 0x1f)) << 8));
    }
    mask
}
