// SPDX-License-Identifier: GPL-2.0

//! Registers and EEPROM: `ethtool -d`, `-e`.

use kernel::{
    error::from_result,
    ffi::{
        c_int,
        c_void, //
    },
};
use net_bindings as nb;

use super::{
    Driver,
    Table, //
};

impl<D: Driver> Table<D> {
    pub(super) unsafe extern "C" fn get_regs_len(_dev: *mut nb::net_device) -> c_int {
        D::DUMP.wrapping_mul(4) as c_int
    }

    pub(super) unsafe extern "C" fn get_regs(
        dev: *mut nb::net_device,
        regs: *mut nb::ethtool_regs,
        out: *mut c_void,
    ) {
        // SAFETY: In the callback; `regs` is the caller's own, and the core has made room for as
        // much as `get_regs_len()` says, zeroed and aligned.
        let (core, out) = unsafe {
            (*regs).version = 1;
            let out = core::slice::from_raw_parts_mut(out.cast::<u32>(), D::DUMP);
            (Self::enter(dev).0, out)
        };
        core.driver().dump(&core.nic(), out);
    }

    pub(super) unsafe extern "C" fn get_eeprom_len(dev: *mut nb::net_device) -> c_int {
        // SAFETY: In the callback.
        let (core, _rtnl) = unsafe { Self::enter(dev) };
        core.driver().eeprom_words().wrapping_mul(2) as c_int
    }

    /// The core has compared offset and length with `get_eeprom_len()`.
    pub(super) unsafe extern "C" fn get_eeprom(
        dev: *mut nb::net_device,
        eeprom: *mut nb::ethtool_eeprom,
        out: *mut u8,
    ) -> c_int {
        // SAFETY: In the callback; `eeprom` is the caller's own, and there is room for `len` bytes.
        let (core, offset, out) = unsafe {
            let eeprom = &mut *eeprom;
            // What has to be said to write; nothing can be written.
            eeprom.magic = 0;
            let out = core::slice::from_raw_parts_mut(out, eeprom.len as usize);
            (Self::enter(dev).0, eeprom.offset, out)
        };
        from_result(|| {
            let nic = core.nic();
            let mut word = [0; 2];
            for (at, place) in (offset..).zip(out) {
                // Both bytes of a word are read at once, and that takes long.
                if at & 1 == 0 || at == offset {
                    word = core.driver().eeprom_word(&nic, at >> 1)?.to_le_bytes();
                }
                let [low, high] = word;
                *place = if at & 1 == 0 { low } else { high };
            }
            Ok(0)
        })
    }
}
