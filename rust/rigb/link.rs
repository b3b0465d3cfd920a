// SPDX-License-Identifier: GPL-2.0

//! The link: what it is, and what it is wanted to be.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use rnet::{
    nic::{
        LinkModes,
        LinkSettings,
        LinkWanted,
        Nic,
        Pause, //
    },
    prelude::*, //
};

use crate::{
    hw::{
        phy,
        Hw, //
    },
    port::Port,
    regs::*, //
};

/// The speeds that the chip can negotiate.
const SPEEDS: LinkModes = LinkModes::T10_HALF
    .with(LinkModes::T10_FULL)
    .with(LinkModes::T100_HALF)
    .with(LinkModes::T100_FULL)
    .with(LinkModes::T1000_FULL);

/// All that the chip can do.
const SUPPORTED: LinkModes = SPEEDS
    .with(LinkModes::AUTONEG)
    .with(LinkModes::TP)
    .with(LinkModes::PAUSE)
    .with(LinkModes::ASYM_PAUSE);

/// In `Link::forced`.
const FULL: u32 = 1 << 31;

/// What the link is wanted to be, and as it was last seen. Written under RTNL, but for what is seen.
pub(crate) struct Link {
    /// STATUS as the service has seen it, or 0 for no link, or one that has to be looked at anew.
    seen: Atomic<u32>,
    /// What the other end offered when the link came up, as the PHY has it.
    partner: Atomic<u32>,
    /// The speeds that are offered.
    offered: Atomic<u64>,
    /// 0 to negotiate, else the speed in Mbit/s, and [`FULL`].
    forced: Atomic<u32>,
    pause_autoneg: Atomic<bool>,
    pause_obeyed: Atomic<bool>,
    pause_sent: Atomic<bool>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            seen: Atomic::new(0),
            partner: Atomic::new(0),
            offered: Atomic::new(SPEEDS.bits()),
            forced: Atomic::new(0),
            pause_autoneg: Atomic::new(true),
            pause_obeyed: Atomic::new(true),
            pause_sent: Atomic::new(true),
        }
    }

    fn offered(&self) -> LinkModes {
        LinkModes::from_bits(self.offered.load(Relaxed))
    }

    pub(crate) fn pause(&self) -> Pause {
        Pause {
            autoneg: self.pause_autoneg.load(Relaxed),
            obeyed: self.pause_obeyed.load(Relaxed),
            sent: self.pause_sent.load(Relaxed),
        }
    }

    fn store_pause(&self, pause: Pause) {
        self.pause_autoneg.store(pause.autoneg, Relaxed);
        self.pause_obeyed.store(pause.obeyed, Relaxed);
        self.pause_sent.store(pause.sent, Relaxed);
    }

    /// PAUSE as it is offered (IEEE 802.3, annex 28B).
    fn offered_pause(&self) -> LinkModes {
        match (self.pause().obeyed, self.pause().sent) {
            (true, true) => LinkModes::PAUSE,
            (true, false) => LinkModes::PAUSE.with(LinkModes::ASYM_PAUSE),
            (false, true) => LinkModes::ASYM_PAUSE,
            (false, false) => LinkModes::default(),
        }
    }

    /// Tells MAC and PHY what is wanted. Process context. The service has to look at the link then.
    pub(crate) fn apply(&self, hw: &Hw<'_>) -> Result {
        self.seen.store(0, Relaxed);
        let forced = self.forced.load(Relaxed);
        if forced == 0 {
            return self.offer(hw);
        }
        let full = forced & FULL != 0;
        let fast = forced & !FULL == 100;
        hw.io.update::<Ctrl>(|ctrl| {
            ctrl.with(Ctrl::SPEED, false)
                .with(Ctrl::SPEED_100, fast)
                .with(Ctrl::FD, full)
                .with(Ctrl::FRCSPD | Ctrl::FRCDPX | Ctrl::SLU, true)
        })?;
        hw.with_phy(|phy| {
            if hw.emulated {
                // QEMU has a link only once it has negotiated.
                phy.write(phy::BMCR, phy::BMCR_AUTONEG | phy::BMCR_RESTART)?;
            }
            let speed = if fast { phy::BMCR_100 } else { 0 };
            let duplex = if full { phy::BMCR_FULL } else { 0 };
            phy.write(phy::BMCR, speed | duplex)
        })?;
        self.set_flow_control(hw, full, None)
    }

    /// Begins to negotiate.
    fn offer(&self, hw: &Hw<'_>) -> Result {
        self.seen.store(0, Relaxed);
        hw.io.update::<Ctrl>(|ctrl| {
            ctrl.with(Ctrl::FRCSPD | Ctrl::FRCDPX, false)
                .with(Ctrl::SLU, true)
        })?;
        let offered = self.offered().with(self.offered_pause());
        let gigabit = if offered.contains(LinkModes::T1000_FULL) {
            phy::GIGABIT_FULL
        } else {
            0
        };
        hw.with_phy(|phy| {
            phy.write(phy::ADVERTISE, word(offered) | phy::ADVERTISE_802_3)?;
            phy.write(phy::GIGABIT, gigabit)?;
            let bmcr = phy.read(phy::BMCR)? & !phy::BMCR_POWER_DOWN;
            phy.write(phy::BMCR, bmcr | phy::BMCR_AUTONEG | phy::BMCR_RESTART)
        })
    }

    /// Negotiates anew. Errors: `EINVAL` where the link is forced.
    pub(crate) fn negotiate(&self, hw: &Hw<'_>) -> Result {
        if self.forced.load(Relaxed) != 0 {
            return Err(EINVAL);
        }
        self.offer(hw)
    }

    /// Does what a user wants. When it fails, all is as before.
    pub(crate) fn set(&self, hw: &Hw<'_>, wanted: LinkWanted) -> Result {
        let (offered, forced) = match wanted {
            LinkWanted::Negotiate(modes) => {
                let extra = LinkModes::from_bits(modes.bits() & !SUPPORTED.bits());
                if modes.common(SPEEDS) == LinkModes::default() || extra != LinkModes::default() {
                    return Err(EINVAL);
                }
                (modes.common(SPEEDS), 0)
            }
            // There is no gigabit over copper without negotiation.
            LinkWanted::Forced {
                speed: 1000,
                full_duplex: true,
            } => (LinkModes::T1000_FULL, 0),
            LinkWanted::Forced {
                speed: speed @ (10 | 100),
                full_duplex,
            } => (self.offered(), speed | if full_duplex { FULL } else { 0 }),
            LinkWanted::Forced { .. } => return Err(EINVAL),
        };
        let before = (self.offered.load(Relaxed), self.forced.load(Relaxed));
        self.offered.store(offered.bits(), Relaxed);
        self.forced.store(forced, Relaxed);
        self.apply(hw).inspect_err(|_| {
            self.offered.store(before.0, Relaxed);
            self.forced.store(before.1, Relaxed);
        })
    }

    /// Sets PAUSE. When it fails, all is as before.
    pub(crate) fn set_pause(&self, hw: &Hw<'_>, pause: Pause) -> Result {
        let forced = self.forced.load(Relaxed) != 0;
        if pause.autoneg && forced {
            return Err(EINVAL);
        }
        let before = self.pause();
        if pause == before {
            return Ok(());
        }
        self.store_pause(pause);
        let done = if forced {
            self.apply(hw)
        } else {
            self.offer(hw)
        };
        done.inspect_err(|_| self.store_pause(before))
    }

    /// Has PAUSE frames obeyed and sent, as wanted or as negotiated with `partner`.
    fn set_flow_control(&self, hw: &Hw<'_>, full: bool, partner: Option<LinkModes>) -> Result {
        let pause = self.pause();
        let (obeyed, sent) = match partner {
            _ if !full => (false, false),
            Some(partner) if pause.autoneg => resolve(self.offered_pause(), partner),
            _ => (pause.obeyed, pause.sent),
        };
        hw.io
            .update::<Ctrl>(|ctrl| ctrl.with(Ctrl::RFCE, obeyed).with(Ctrl::TFCE, sent))?;
        Ok(())
    }
}

/// Whether PAUSE frames are obeyed, and whether they are sent (IEEE 802.3, table 28B-3).
fn resolve(own: LinkModes, partner: LinkModes) -> (bool, bool) {
    let has = |modes: LinkModes| {
        (
            modes.contains(LinkModes::PAUSE),
            modes.contains(LinkModes::ASYM_PAUSE),
        )
    };
    match (has(own), has(partner)) {
        ((true, false), (true, _)) => (true, true),
        ((true, true), (true, _)) | ((true, true), (false, true)) => (true, false),
        ((false, true), (true, true)) => (false, true),
        _ => (false, false),
    }
}

impl Port {
    /// Looks at the link and tells the stack when it has changed. In the service.
    pub(crate) fn check_link(&self, nic: &Nic<'_>) -> Result {
        let status = nic.io().read::<Status>()?;
        let seen = if status.has(Status::LU) {
            status.get() & 0xc3
        } else {
            0
        };
        let up = seen != 0;
        if self.link.seen.load(Relaxed) == seen && nic.dev().carrier_ok() == up {
            return Ok(());
        }
        self.link.seen.store(seen, Relaxed);
        if !up {
            pr_info!("{}: link down\n", nic.dev());
            nic.dev().carrier_off();
            return Ok(());
        }
        let full = status.has(Status::FD);
        let hw = self.hw(nic);
        // What ethtool shows of it until the link changes again.
        let partner = hw.with_phy(|phy| phy.read(phy::PARTNER)).unwrap_or(0);
        self.link.partner.store(partner.into(), Relaxed);
        self.link
            .set_flow_control(&hw, full, Some(modes(partner)))?;
        pr_info!(
            "{}: link up, {} Mbit/s, {} duplex\n",
            nic.dev(),
            speed(status),
            if full { "full" } else { "half" }
        );
        nic.dev().carrier_on();
        Ok(())
    }

    /// What ethtool shows.
    pub(crate) fn settings(&self, nic: &Nic<'_>) -> Result<LinkSettings> {
        let status = nic.io().read::<Status>()?;
        let autoneg = self.link.forced.load(Relaxed) == 0;
        let up = status.has(Status::LU) && nic.dev().carrier_ok();
        let partner = if up && autoneg {
            modes(self.link.partner.load(Relaxed) as u16)
        } else {
            LinkModes::default()
        };
        let offered = self.link.offered().with(self.link.offered_pause());
        Ok(LinkSettings {
            speed: up.then_some(speed(status)),
            full_duplex: status.has(Status::FD),
            autoneg,
            phy: 1,
            supported: SUPPORTED,
            advertising: if autoneg {
                offered.with(LinkModes::AUTONEG).with(LinkModes::TP)
            } else {
                LinkModes::TP
            },
            partner,
        })
    }
}

/// In Mbit/s.
fn speed(status: Status) -> u32 {
    if status.has(Status::SPEED_1000) {
        1000
    } else if status.has(Status::SPEED_100) {
        100
    } else {
        10
    }
}

/// Bits of a word that PHYs negotiate with, and what they mean.
const WORD: [(u16, LinkModes); 6] = [
    (1 << 5, LinkModes::T10_HALF),
    (1 << 6, LinkModes::T10_FULL),
    (1 << 7, LinkModes::T100_HALF),
    (1 << 8, LinkModes::T100_FULL),
    (phy::PAUSE, LinkModes::PAUSE),
    (phy::ASYM_PAUSE, LinkModes::ASYM_PAUSE),
];

/// The modes in such a word.
fn modes(word: u16) -> LinkModes {
    WORD.into_iter()
        .filter(|(bit, _)| word & bit != 0)
        .fold(LinkModes::default(), |all, (_, mode)| all.with(mode))
}

/// The word of these modes.
fn word(modes: LinkModes) -> u16 {
    WORD.into_iter()
        .filter(|(_, mode)| modes.contains(*mode))
        .fold(0, |word, (bit, _)| word | bit)
}
