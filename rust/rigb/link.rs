// SPDX-License-Identifier: GPL-2.0

//! The link.

use kernel::sync::atomic::Relaxed;
use rnet::{
    nic::{
        LinkModes,
        LinkSettings,
        Nic, //
    },
    prelude::*, //
};

use crate::{
    hw::phy,
    port::Port,
    regs::*, //
};

impl Port {
    /// Looks at the link and tells the stack when it has changed.
    pub(crate) fn check_link(&self, nic: &Nic<'_>) -> Result {
        let io = nic.io();
        let status = io.read::<Status>()?;
        let seen = if status.has(Status::LU) {
            status.get() & 0xc3
        } else {
            0
        };
        let up = seen != 0;
        if self.link.load(Relaxed) == seen && nic.dev().carrier_ok() == up {
            return Ok(());
        }
        self.link.store(seen, Relaxed);
        if !up {
            pr_info!("{}: link down\n", nic.dev());
            nic.dev().carrier_off();
            return Ok(());
        }
        let duplex = if status.has(Status::FD) {
            "full"
        } else {
            "half"
        };
        pr_info!(
            "{}: link up, {} Mbit/s, {} duplex\n",
            nic.dev(),
            speed(status),
            duplex
        );
        nic.dev().carrier_on();
        Ok(())
    }

    /// What ethtool shows.
    pub(crate) fn settings(&self, nic: &Nic<'_>) -> Result<LinkSettings> {
        let status = nic.io().read::<Status>()?;
        let (advertised, gigabit, partner) = self.hw(nic).with_phy(|phy| {
            Ok((
                phy.read(phy::ADVERTISE)?,
                phy.read(phy::GIGABIT)?,
                phy.read(phy::PARTNER)?,
            ))
        })?;
        let gigabit_modes = if gigabit & phy::GIGABIT_FULL != 0 {
            LinkModes::T1000_FULL
        } else {
            LinkModes::default()
        };
        let up = status.has(Status::LU);
        Ok(LinkSettings {
            speed: up.then_some(speed(status)),
            full_duplex: status.has(Status::FD),
            autoneg: true,
            phy: 1,
            supported: SUPPORTED,
            advertising: modes(advertised)
                .with(gigabit_modes)
                .with(LinkModes::AUTONEG)
                .with(LinkModes::TP),
            partner: if up {
                modes(partner)
            } else {
                LinkModes::default()
            },
        })
    }
}

/// All that the chip can do.
const SUPPORTED: LinkModes = LinkModes::T10_HALF
    .with(LinkModes::T10_FULL)
    .with(LinkModes::T100_HALF)
    .with(LinkModes::T100_FULL)
    .with(LinkModes::T1000_FULL)
    .with(LinkModes::AUTONEG)
    .with(LinkModes::TP)
    .with(LinkModes::PAUSE);

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

/// The modes in a word that PHYs negotiate with.
fn modes(word: u16) -> LinkModes {
    [
        (1 << 5, LinkModes::T10_HALF),
        (1 << 6, LinkModes::T10_FULL),
        (1 << 7, LinkModes::T100_HALF),
        (1 << 8, LinkModes::T100_FULL),
        (phy::PAUSE, LinkModes::PAUSE),
        (1 << 11, LinkModes::ASYM_PAUSE),
    ]
    .into_iter()
    .filter(|(bit, _)| word & bit != 0)
    .fold(LinkModes::default(), |all, (_, mode)| all.with(mode))
}
