// SPDX-License-Identifier: GPL-2.0

//! The clock of the chip, and stamps of packets.
//!
//! There is room for one stamp of a packet that was sent, and for one of a frame that came in: the
//! next is not stamped before that has been read.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use rnet::{
    mmio::Mmio,
    nic::{
        adjusted,
        Clock,
        ClockTable,
        Nic, //
    },
    prelude::*,
    stamps::{
        StampConfig,
        StampFilter, //
    },
};

use crate::{
    port::Port,
    regs::*, //
};

pub(crate) const CLOCK: ClockTable<Port> = ClockTable::new();

/// What the chip adds every 16 nanoseconds: as many cycles of 2^-19 nanoseconds.
const INCREMENT: u32 = 16 << 19;

/// Which of the filters by type, and by port, is for PTP.
const FILTER: usize = 3;

const ETH_P_1588: u32 = 0x88f7;
const UDP: u32 = 17;
/// Where PTP's events go, in network order.
const EVENTS: u32 = 319u16.swap_bytes() as u32;

/// What is known about the stamps of frames that came in.
pub(crate) struct Received {
    emulated: bool,
    on: Atomic<bool>,
    /// How many were read.
    read: Atomic<u32>,
    /// How many were when the service last found one; 0 if it did not.
    found: Atomic<u32>,
}

impl Received {
    pub(crate) fn new(emulated: bool) -> Self {
        Self {
            emulated,
            on: Atomic::new(false),
            read: Atomic::new(1),
            found: Atomic::new(0),
        }
    }

    /// The upper half of the stamp, after which the chip has room for the next.
    fn high(&self, io: &Mmio) -> Option<u32> {
        let high = io.read::<Rxstmph>().ok()?.get();
        if self.emulated {
            // QEMU waits for this one to be read.
            io.read::<Rxsatrh>().ok()?;
        }
        Some(high)
    }

    /// The stamp that the chip has, and forgets.
    #[cold]
    pub(crate) fn take(&self, io: &Mmio) -> Option<u64> {
        if !io.read::<Tsyncrxctl>().ok()?.has(Tsyncrxctl::VALID) {
            return None;
        }
        let low = io.read::<Rxstmpl>().ok()?.get();
        let high = self.high(io)?;
        // Never 0.
        self.read
            .store(self.read.load(Relaxed).wrapping_add(2), Relaxed);
        Some(u64::from(high) << 32 | u64::from(low))
    }

    /// Has the chip forget a stamp that nobody has read since this was last called, as its frame
    /// was dropped, by the chip or by a program: no other would be stamped any more.
    pub(crate) fn service(&self, io: &Mmio) {
        if !self.on.load(Relaxed) {
            return;
        }
        let read = self.read.load(Relaxed);
        match io.read::<Tsyncrxctl>() {
            Ok(ctl) if ctl.has(Tsyncrxctl::VALID) => {
                if self.found.xchg(read, Relaxed) == read {
                    let _ = self.high(io);
                    self.found.store(0, Relaxed);
                }
            }
            _ => self.found.store(0, Relaxed),
        }
    }
}

impl Clock for Port {
    const FRACTION: u32 = 19;
    /// 24 bits hold less than twice the increment.
    const MAX_ADJUST: u32 = 999_999_881;
    const FILTERS: &'static [StampFilter] = &[
        StampFilter::V1_SYNC,
        StampFilter::V1_DELAY_REQ,
        StampFilter::V2_EVENT,
    ];

    fn read_clock(&self, nic: &Nic<'_>, latched: &mut dyn FnMut()) -> Result<u64> {
        // Reading the lower half fixes the upper one.
        let low = nic.io().read::<Systiml>()?.get();
        latched();
        let high = nic.io().read::<Systimh>()?.get();
        Ok(u64::from(high) << 32 | u64::from(low))
    }

    fn tune_clock(&self, nic: &Nic<'_>, scaled_ppm: isize) {
        let increment = adjusted(INCREMENT, scaled_ppm).min(0xff_ffff) as u32;
        nic.io()
            .write(Timinca::new(increment) | Timinca::EVERY_16NS);
    }

    fn set_stamps(&self, nic: &Nic<'_>, wanted: StampConfig) -> Result<StampConfig> {
        let (received, kind, message) = match wanted.received {
            StampFilter::NONE => (StampFilter::NONE, Tsyncrxctl::new(0), 0),
            StampFilter::V1_SYNC => (wanted.received, Tsyncrxctl::V1, 0),
            StampFilter::V1_DELAY_REQ => (wanted.received, Tsyncrxctl::V1, 1),
            v2 if v2.is_in_v2_event() => (StampFilter::V2_EVENT, Tsyncrxctl::V2_EVENT, 0),
            _ => return Err(ERANGE),
        };
        let io = nic.io();
        let on = received != StampFilter::NONE;
        let ethernet = received == StampFilter::V2_EVENT;
        io.write(Tsynctxctl::new(0).with(Tsynctxctl::ENABLED, wanted.sent));
        io.write(kind.with(Tsyncrxctl::ENABLED, on));
        io.write(Tsyncrxcfg::new(message));
        let etqf = Etqf::new(ETH_P_1588) | Etqf::ENABLE | Etqf::STAMP;
        io.write_index(FILTER, if ethernet { etqf } else { Etqf::new(0) });
        if on {
            io.write_index(FILTER, Imir::new(EVENTS));
            io.write_index(FILTER, Imirext::ANY_SIZE | Imirext::ANY_FLAGS);
            io.write_index(FILTER, Spqf::new(EVENTS));
            let any = Ftqf::ANY_SOURCE | Ftqf::ANY_TARGET | Ftqf::ANY_VF;
            io.write_index(FILTER, Ftqf::new(UDP) | any | Ftqf::STAMP);
        } else {
            io.write_index(FILTER, Ftqf::NOTHING);
        }
        io.flush()?;
        self.received.on.store(on, Relaxed);
        // What was stamped before is nobody's.
        io.read::<Txstmph>()?;
        self.received.high(io).ok_or(ENODEV)?;
        Ok(StampConfig {
            sent: wanted.sent,
            received,
        })
    }

    fn sent_stamp(&self, nic: &Nic<'_>) -> Option<u64> {
        let io = nic.io();
        if !io.read::<Tsynctxctl>().ok()?.has(Tsynctxctl::VALID) {
            return None;
        }
        let low = io.read::<Txstmpl>().ok()?.get();
        let high = io.read::<Txstmph>().ok()?.get();
        Some(u64::from(high) << 32 | u64::from(low))
    }
}
