// SPDX-License-Identifier: GPL-2.0

//! The chip: reset, semaphores, EEPROM, PHY. Nothing here knows of packets.

use kernel::time::{
    delay::fsleep,
    Delta, //
};
use rnet::{
    mmio::{
        Mmio,
        RegisterArray, //
    },
    pci,
    prelude::*, //
};

use crate::regs::*;

/// QEMU's subsystem: its model of the chip, whose quirks are dealt with only there.
const QEMU: pci::Id = pci::Id {
    vendor: 0x1af4,
    device: 0x1100,
};

/// The EEPROM, in the semaphores that the driver shares with the firmware.
const SYNC_EEPROM: u32 = 1 << 0;
/// The PHY of each port.
const SYNC_PHY: [u32; 4] = [1 << 1, 1 << 2, 1 << 5, 1 << 6];

/// The words of the EEPROM add up to this.
const NVM_SUM: u16 = 0xbaba;
const NVM_WORDS: u32 = 0x40;

/// Registers of the PHY (IEEE 802.3, clause 22).
pub(crate) mod phy {
    pub(crate) const BMCR: u32 = 0;
    pub(crate) const BMSR: u32 = 1;
    pub(crate) const BMCR_FULL: u16 = 1 << 8;
    pub(crate) const BMCR_POWER_DOWN: u16 = 1 << 11;
    pub(crate) const BMCR_100: u16 = 1 << 13;
    pub(crate) const BMCR_AUTONEG: u16 = 1 << 12;
    pub(crate) const BMCR_RESTART: u16 = 1 << 9;
    pub(crate) const ADVERTISE: u32 = 4;
    /// Frames as of IEEE 802.3.
    pub(crate) const ADVERTISE_802_3: u16 = 1;
    pub(crate) const PAUSE: u16 = 1 << 10;
    pub(crate) const ASYM_PAUSE: u16 = 1 << 11;
    pub(crate) const PARTNER: u32 = 5;
    pub(crate) const GIGABIT: u32 = 9;
    pub(crate) const GIGABIT_FULL: u16 = 1 << 9;
}

/// The chip of one port. Lent by the layer, like the registers.
pub(crate) struct Hw<'a> {
    pub(crate) io: &'a Mmio,
    /// This is QEMU's model, which needs no waiting for what it does at once.
    pub(crate) emulated: bool,
}

impl<'a> Hw<'a> {
    /// The chip that is being probed.
    pub(crate) fn of(pci: &'a pci::Probe<'_>) -> Self {
        Self {
            io: pci.io(),
            emulated: pci.device().subsystem() == QEMU,
        }
    }
}

impl Hw<'_> {
    /// The function of the chip that this port is.
    pub(crate) fn function(&self) -> Result<usize> {
        Ok(((self.io.read::<Status>()?.get() >> 2) & 3) as usize)
    }

    /// Resets the MAC, with interrupts and DMA off before and after. Process context.
    pub(crate) fn reset(&self) -> Result {
        let io = self.io;
        io.update::<Ctrl>(|ctrl| ctrl | Ctrl::GIO_MASTER_DISABLE)?;
        let idle = io.wait::<Status>(100, Delta::from_micros(100), |status| {
            !status.has(Status::GIO_MASTER)
        });
        if matches!(idle, Err(err) if err == ENODEV) {
            return Err(ENODEV);
        }
        io.write(Imc::new(!0));
        io.write(Eimc::new(!0));
        io.write(Rctl::new(0));
        io.write(Tctl::PSP);
        io.flush()?;
        fsleep(Delta::from_millis(10));
        io.update::<Ctrl>(|ctrl| ctrl | Ctrl::RST)?;
        fsleep(Delta::from_millis(1));
        // QEMU never says that it has read its EEPROM.
        if !self.emulated {
            let read = io.wait::<Eecd>(10, Delta::from_millis(1), |eecd| eecd.has(Eecd::AUTO_RD));
            if matches!(read, Err(err) if err == ENODEV) {
                return Err(ENODEV);
            }
        }
        io.write(Imc::new(!0));
        io.write(Eimc::new(!0));
        let _ = io.read::<Icr>()?;
        for index in 0..128 {
            io.write_index(index, Mta::new(0));
            io.write_index(index, Uta::new(0));
            io.write_index(index, Vfta::new(0));
        }
        // These outlive a reset, as whoever had the device before left them.
        for index in 0..Eitr::LEN {
            io.write_index(index, Eitr::new(0));
        }
        io.update::<CtrlExt>(|ext| ext.with(CtrlExt::LINK_MODE, false) | CtrlExt::DRV_LOAD)?;
        // What PAUSE frames look like, as the standard has it.
        io.write(Fcal::new(0x00c2_8001));
        io.write(Fcah::new(0x0100));
        io.write(Fct::new(0x8808));
        io.write(Fcttv::new(0xffff));
        Ok(())
    }

    /// Tells the firmware that no driver has the port.
    pub(crate) fn release(&self) {
        let _ = self
            .io
            .update::<CtrlExt>(|ext| ext.with(CtrlExt::DRV_LOAD, false));
    }

    /// The semaphore of the semaphores.
    fn lock_semaphore(&self) -> Result {
        let io = self.io;
        io.wait::<Swsm>(1000, Delta::from_micros(50), |swsm| !swsm.has(Swsm::SMBI))
            .map_err(busy)?;
        for _ in 0..1000 {
            io.update::<Swsm>(|swsm| swsm | Swsm::SWESMBI)?;
            if io.read::<Swsm>()?.has(Swsm::SWESMBI) {
                return Ok(());
            }
            fsleep(Delta::from_micros(50));
        }
        self.unlock_semaphore();
        Err(EBUSY)
    }

    fn unlock_semaphore(&self) {
        let _ = self
            .io
            .update::<Swsm>(|swsm| swsm.with(Swsm::SMBI, false).with(Swsm::SWESMBI, false));
    }

    /// Runs `work` while nobody else uses what `mask` stands for. Errors: `EBUSY` after a second.
    fn with_sync<R>(&self, mask: u32, work: impl FnOnce() -> Result<R>) -> Result<R> {
        let io = self.io;
        let mut taken = false;
        for _ in 0..200 {
            self.lock_semaphore()?;
            let sync = io.read::<SwFwSync>()?.get();
            taken = sync & (mask | (mask << 16)) == 0;
            if taken {
                io.write(SwFwSync::new(sync | mask));
            }
            self.unlock_semaphore();
            if taken {
                break;
            }
            fsleep(Delta::from_millis(5));
        }
        if !taken {
            return Err(EBUSY);
        }
        let result = work();
        if self.lock_semaphore().is_ok() {
            let _ = io.update::<SwFwSync>(|sync| SwFwSync::new(sync.get() & !mask));
            self.unlock_semaphore();
        }
        result
    }

    fn nvm_word(&self, word: u32) -> Result<u16> {
        self.io.write(Eerd::new((word << 2) | Eerd::START.get()));
        let eerd = self
            .io
            .wait::<Eerd>(2000, Delta::from_micros(5), |eerd| eerd.has(Eerd::DONE))?;
        Ok((eerd.get() >> 16) as u16)
    }

    /// Whether the EEPROM's checksum is right.
    pub(crate) fn nvm_valid(&self) -> Result<bool> {
        self.with_sync(SYNC_EEPROM, || {
            let mut sum = 0u16;
            for word in 0..NVM_WORDS {
                sum = sum.wrapping_add(self.nvm_word(word)?);
            }
            Ok(sum == NVM_SUM)
        })
    }

    /// The MAC address that the chip has read from its EEPROM for this port; `None` if it is none.
    pub(crate) fn address(&self) -> Result<Option<[u8; 6]>> {
        let [a, b, c, d] = self.io.read_index::<RalLow>(0)?.get().to_le_bytes();
        let [e, f, ..] = self.io.read_index::<RahLow>(0)?.get().to_le_bytes();
        let addr = [a, b, c, d, e, f];
        let valid = a & 1 == 0 && addr != [0; 6];
        Ok(valid.then_some(addr))
    }

    fn mdic(&self, command: u32) -> Result<u16> {
        const PHY: u32 = 1;
        self.io.write(Mdic::new(command | (PHY << 21)));
        let mdic = self
            .io
            .wait::<Mdic>(1000, Delta::from_micros(20), |mdic| mdic.has(Mdic::READY))?;
        if mdic.has(Mdic::ERROR) {
            return Err(EIO);
        }
        Ok(mdic.get() as u16)
    }

    /// Runs `work` while nobody else uses the port's PHY.
    pub(crate) fn with_phy<R>(&self, work: impl FnOnce(&Phy<'_, '_>) -> Result<R>) -> Result<R> {
        let mask = *SYNC_PHY.get(self.function()?).ok_or(EINVAL)?;
        self.with_sync(mask, || work(&Phy(self)))
    }

    /// The length of the EEPROM in words.
    pub(crate) fn nvm_words(&self) -> Result<u32> {
        // The chip knows it as a power of two, from 64 words on.
        let size = (self.io.read::<Eecd>()?.get() >> 11) & 0xf;
        Ok(1u32 << size.saturating_add(6).min(15))
    }

    /// A word of the EEPROM, whether or not it is there.
    pub(crate) fn nvm(&self, word: u32) -> Result<u16> {
        self.with_sync(SYNC_EEPROM, || self.nvm_word(word))
    }

    /// What the lights show.
    pub(crate) fn lights(&self) -> Result<u32> {
        Ok(self.io.read::<Ledctl>()?.get())
    }

    /// Has the four lights show something, or switches all of them on or off.
    pub(crate) fn light(&self, shown: u32, on: Option<bool>) -> Result {
        let mode = match on {
            None => shown,
            Some(true) => 0x0e0e_0e0e,
            Some(false) => 0x0f0f_0f0f,
        };
        self.io.write(Ledctl::new(mode));
        self.io.flush().map_err(Error::from)
    }
}

/// The PHY, while nobody else uses it.
pub(crate) struct Phy<'a, 'io>(&'a Hw<'io>);

impl Phy<'_, '_> {
    /// Reads a register.
    pub(crate) fn read(&self, reg: u32) -> Result<u16> {
        self.0.mdic(Mdic::OP_READ.get() | ((reg & 31) << 16))
    }

    /// Writes a register.
    pub(crate) fn write(&self, reg: u32, val: u16) -> Result {
        self.0
            .mdic(Mdic::OP_WRITE.get() | ((reg & 31) << 16) | u32::from(val))
            .map(drop)
    }
}

/// A semaphore that is not given back is somebody who does not answer.
fn busy(err: Error) -> Error {
    if err == ETIMEDOUT {
        EBUSY
    } else {
        err
    }
}
