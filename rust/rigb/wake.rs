// SPDX-License-Identifier: GPL-2.0

//! Waking the machine.

use rnet::{
    nic::{
        Nic,
        Wake, //
    },
    prelude::*, //
};

use crate::{
    hw::Hw,
    port::Port,
    regs::*, //
};

/// The word of the EEPROM that says whether the second port may wake the machine, and the bit in it.
const NVM_CONTROL_B: u32 = 0x14;
const NVM_APM: u16 = 1 << 10;

const ALL: Wake = Wake::PHY
    .with(Wake::UNICAST)
    .with(Wake::MULTICAST)
    .with(Wake::BROADCAST)
    .with(Wake::MAGIC);

impl Hw<'_> {
    /// What can wake the machine.
    pub(crate) fn wakes(&self) -> Result<Wake> {
        let can = match self.function()? {
            0 => true,
            1 => self.nvm(NVM_CONTROL_B)? & NVM_APM != 0,
            _ => false,
        };
        Ok(if can { ALL } else { Wake::NOTHING })
    }

    /// Says what wakes the machine.
    fn wake_on(&self, wake: Wake) {
        let io = self.io;
        let wufc = Wufc::new(0)
            .with(Wufc::LNKC, wake.contains(Wake::PHY))
            .with(Wufc::EX, wake.contains(Wake::UNICAST))
            .with(Wufc::MC, wake.contains(Wake::MULTICAST))
            .with(Wufc::BC, wake.contains(Wake::BROADCAST))
            .with(Wufc::MAG, wake.contains(Wake::MAGIC));
        let any = wake != Wake::NOTHING;
        io.write(Wus::new(!0));
        if any {
            let _ = io.update::<Ctrl>(|ctrl| ctrl | Ctrl::ADVD3WUC);
        }
        io.write(Wuc::new(0).with(Wuc::PME_EN, any));
        io.write(wufc);
        let _ = io.flush();
    }
}

impl Port {
    /// Readies a port that is down for sleep.
    pub(crate) fn fall_asleep(&self, nic: &Nic<'_>, wake: Wake) {
        let io = nic.io();
        if wake != Wake::NOTHING {
            // Frames are looked at, and go nowhere: there is no ring.
            let all = wake.contains(Wake::MULTICAST);
            let features = self.features();
            nic.with_filter(|filter| self.tables.receive(io, filter, features, true));
            if all {
                let _ = io.update::<Rctl>(|rctl| rctl | Rctl::MPE);
            }
        }
        self.hw(nic).wake_on(wake);
        if wake == Wake::NOTHING {
            self.hw(nic).release();
        }
    }
}
