// SPDX-License-Identifier: GPL-2.0

//! Self-tests, and registers for people.

use kernel::{
    str::CStr,
    sync::atomic::Relaxed,
    time::{
        delay::fsleep,
        Delta, //
    },
};
use rnet::{
    mmio::{
        Mmio,
        Register, //
    },
    nic::Nic,
    prelude::*, //
};

use crate::{
    hw::phy,
    port::Port,
    regs::*, //
};

/// What `ethtool -t` calls them.
pub(crate) const NAMES: &[&CStr] = &[
    c"Registers (offline)",
    c"EEPROM (offline)",
    c"PHY (on/offline)",
    c"Interrupt (online)",
    c"Link (on/offline)",
];

impl Port {
    /// One of [`NAMES`].
    pub(crate) fn test(&self, nic: &Nic<'_>, index: usize, offline: bool, up: bool) -> Result {
        let hw = self.hw(nic);
        match index {
            0 if offline => {
                hw.reset()?;
                registers(nic.io())
            }
            1 if offline => hw
                .nvm_valid()
                .and_then(|valid| valid.then_some(()).ok_or(EIO)),
            2 => {
                // All ones is what a PHY answers that is not there.
                let status = hw.with_phy(|phy| phy.read(phy::BMSR))?;
                (status != u16::MAX && status != 0).then_some(()).ok_or(EIO)
            }
            3 if !offline && up => self.interrupt_comes(nic),
            4 => self.link_is_there(nic, offline),
            _ => Ok(()),
        }
    }

    /// The vector of everything else is told to interrupt, and does. Without one there is nothing
    /// to try.
    fn interrupt_comes(&self, nic: &Nic<'_>) -> Result {
        let Some(other) = nic.other_vector() else {
            return Ok(());
        };
        let before = self.others.load(Relaxed);
        nic.io().write(Eics::new(1u32 << (other & 0x1f)));
        for _ in 0..100 {
            if self.others.load(Relaxed) != before {
                return Ok(());
            }
            fsleep(Delta::from_millis(1));
        }
        Err(ETIMEDOUT)
    }

    /// There is a link, or there is one soon after the reset of the tests before.
    fn link_is_there(&self, nic: &Nic<'_>, offline: bool) -> Result {
        if offline {
            self.link.apply(&self.hw(nic))?;
        }
        let tries = if offline { 400 } else { 1 };
        nic.io()
            .wait::<Status>(tries, Delta::from_millis(10), |status| {
                status.has(Status::LU)
            })
            .map(drop)
    }
}

/// Registers that hold whatever is written to them do so.
fn registers(io: &Mmio) -> Result {
    for pattern in [0x5a5a_5a5a_u32, 0xa5a5_a5a5, 0, u32::MAX] {
        for index in [0usize, 63, 127] {
            io.write_index(index, Mta::new(pattern));
            io.write_index(index, Vfta::new(pattern));
        }
        io.write(Fcttv::new(pattern & 0xffff));
        io.write_index(0, Tdbah::new(pattern));
        io.write_index(0, Rdbah::new(pattern));
        let mut same = io.read::<Fcttv>()?.get() == pattern & 0xffff
            && io.read_index::<Tdbah>(0)?.get() == pattern
            && io.read_index::<Rdbah>(0)?.get() == pattern;
        for index in [0usize, 63, 127] {
            same &= io.read_index::<Mta>(index)?.get() == pattern;
            same &= io.read_index::<Vfta>(index)?.get() == pattern;
        }
        if !same {
            return Err(EIO);
        }
    }
    Ok(())
}

/// What `ethtool -d` shows, by offset: nothing that reading changes. The rings of 16 queues follow,
/// head and tail of the receive ring, then of the transmit ring.
const FIXED: [usize; 24] = [
    Ctrl::OFFSET,
    Status::OFFSET,
    CtrlExt::OFFSET,
    Mdic::OFFSET,
    Fcal::OFFSET,
    Fcah::OFFSET,
    Fct::OFFSET,
    Fcttv::OFFSET,
    Fcrtl::OFFSET,
    Fcrth::OFFSET,
    Ims::OFFSET,
    Eims::OFFSET,
    Eiac::OFFSET,
    Eiam::OFFSET,
    Gpie::OFFSET,
    IvarMisc::OFFSET,
    Rctl::OFFSET,
    Tctl::OFFSET,
    Rxcsum::OFFSET,
    Rlpml::OFFSET,
    Mrqc::OFFSET,
    Ledctl::OFFSET,
    SwFwSync::OFFSET,
    Eecd::OFFSET,
];

/// How many registers are shown.
pub(crate) const DUMPED: usize = FIXED.len() + 16 * 6;

/// Reads them; what cannot be read is 0.
pub(crate) fn dump(io: &Mmio, out: &mut [u32]) {
    let mut places = out.iter_mut();
    let mut put = |val: Result<u32, rnet::mmio::Gone>| {
        if let Some(place) = places.next() {
            *place = val.unwrap_or(0);
        }
    };
    for offset in FIXED {
        put(io.read_offset(offset));
    }
    for queue in 0..16 {
        put(io.read_index::<Rdh>(queue).map(Rdh::get));
        put(io.read_index::<Rdt>(queue).map(Rdt::get));
        put(io.read_index::<Rxdctl>(queue).map(Rxdctl::get));
        put(io.read_index::<Tdh>(queue).map(Tdh::get));
        put(io.read_index::<Tdt>(queue).map(Tdt::get));
        put(io.read_index::<Txdctl>(queue).map(Txdctl::get));
    }
}
