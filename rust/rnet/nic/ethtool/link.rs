// SPDX-License-Identifier: GPL-2.0

//! The link: `ethtool` without options, `-s`, `-r`, `-a`, `-p`.

use kernel::{
    error::from_result,
    ffi::c_int,
    prelude::*, //
};
use net_bindings as nb;

use super::{
    Driver,
    Table, //
};
use crate::nic::{
    LinkModes,
    LinkWanted,
    Pause,
    Wake, //
};

impl<D: Driver> Table<D> {
    pub(super) unsafe extern "C" fn get_link_ksettings(
        dev: *mut nb::net_device,
        out: *mut nb::ethtool_link_ksettings,
    ) -> c_int {
        // SAFETY: In the callback; `out` is the caller's own, zeroed.
        let ((core, _rtnl), out) = unsafe { (Self::enter(dev), &mut *out) };
        from_result(|| {
            let link = core.driver().link_settings(&core.nic())?;
            out.base.speed = link.speed.unwrap_or(nb::SPEED_UNKNOWN as u32);
            out.base.duplex = match (link.speed, link.full_duplex) {
                (None, _) => nb::DUPLEX_UNKNOWN as u8,
                (_, true) => nb::DUPLEX_FULL as u8,
                (_, false) => nb::DUPLEX_HALF as u8,
            };
            out.base.autoneg = u8::from(link.autoneg);
            out.base.port = nb::PORT_TP as u8;
            out.base.phy_address = link.phy;
            let modes = &mut out.link_modes;
            for (to, from) in [
                (&mut modes.supported, link.supported),
                (&mut modes.advertising, link.advertising),
                (&mut modes.lp_advertising, link.partner),
            ] {
                if let Some(word) = to.first_mut() {
                    *word = from.bits() as usize;
                }
            }
            Ok(0)
        })
    }

    pub(super) unsafe extern "C" fn set_link_ksettings(
        dev: *mut nb::net_device,
        wanted: *const nb::ethtool_link_ksettings,
    ) -> c_int {
        // SAFETY: In the callback; `wanted` is the caller's own.
        let ((core, _rtnl), wanted) = unsafe { (Self::enter(dev), &*wanted) };
        from_result(|| {
            let nic = core.nic();
            if wanted.base.port != nb::PORT_TP as u8 {
                return Err(EINVAL);
            }
            if u32::from(wanted.base.eth_tp_mdix_ctrl) > nb::ETH_TP_MDI_INVALID
                && u32::from(wanted.base.eth_tp_mdix_ctrl) != nb::ETH_TP_MDI_AUTO
            {
                return Err(EOPNOTSUPP);
            }
            let wanted = if u32::from(wanted.base.autoneg) == nb::AUTONEG_ENABLE {
                let mut words = wanted.link_modes.advertising.iter();
                let first = words.next().copied().unwrap_or(0) as u64;
                if words.any(|&word| word != 0) {
                    return Err(EINVAL);
                }
                LinkWanted::Negotiate(LinkModes::from_bits(first))
            } else {
                LinkWanted::Forced {
                    speed: wanted.base.speed,
                    full_duplex: u32::from(wanted.base.duplex) == nb::DUPLEX_FULL,
                }
            };
            core.driver().set_link(&nic, wanted).map(|()| 0)
        })
    }

    pub(super) unsafe extern "C" fn nway_reset(dev: *mut nb::net_device) -> c_int {
        // SAFETY: In the callback.
        let (core, _rtnl) = unsafe { Self::enter(dev) };
        from_result(|| core.driver().negotiate(&core.nic()).map(|()| 0))
    }

    pub(super) unsafe extern "C" fn get_pauseparam(
        dev: *mut nb::net_device,
        out: *mut nb::ethtool_pauseparam,
    ) {
        // SAFETY: In the callback; `out` is the caller's own.
        let ((core, _rtnl), out) = unsafe { (Self::enter(dev), &mut *out) };
        let pause = core.driver().pause(&core.nic());
        out.autoneg = pause.autoneg.into();
        out.rx_pause = pause.obeyed.into();
        out.tx_pause = pause.sent.into();
    }

    pub(super) unsafe extern "C" fn set_pauseparam(
        dev: *mut nb::net_device,
        wanted: *mut nb::ethtool_pauseparam,
    ) -> c_int {
        // SAFETY: In the callback; `wanted` is the caller's own.
        let ((core, _rtnl), wanted) = unsafe { (Self::enter(dev), &*wanted) };
        let pause = Pause {
            autoneg: wanted.autoneg != 0,
            obeyed: wanted.rx_pause != 0,
            sent: wanted.tx_pause != 0,
        };
        from_result(|| core.driver().set_pause(&core.nic(), pause).map(|()| 0))
    }

    pub(super) unsafe extern "C" fn get_wol(
        dev: *mut nb::net_device,
        out: *mut nb::ethtool_wolinfo,
    ) {
        // SAFETY: In the callback; `out` is the caller's own, zeroed.
        let ((core, _rtnl), out) = unsafe { (Self::enter(dev), &mut *out) };
        out.supported = core.shared().wake().can().as_raw();
        out.wolopts = core.shared().wake().get().as_raw();
    }

    pub(super) unsafe extern "C" fn set_wol(
        dev: *mut nb::net_device,
        wanted: *mut nb::ethtool_wolinfo,
    ) -> c_int {
        // SAFETY: In the callback; `wanted` is the caller's own.
        let ((core, _rtnl), wanted) = unsafe { (Self::enter(dev), &*wanted) };
        from_result(|| {
            let wake = Wake::from_raw(wanted.wolopts);
            // The core has checked it, too.
            if !core.shared().wake().can().contains(wake) {
                return Err(EINVAL);
            }
            let shared = core.shared();
            // SAFETY: The device that the data belongs to, bound while that is there.
            unsafe { shared.wake().set(shared.dma().as_ptr(), wake)? };
            Ok(0)
        })
    }

    /// The core switches the light on and off once a second.
    pub(super) unsafe extern "C" fn set_phys_id(
        dev: *mut nb::net_device,
        state: nb::ethtool_phys_id_state,
    ) -> c_int {
        // SAFETY: In the callback.
        let (core, _rtnl) = unsafe { Self::enter(dev) };
        let light = match state {
            nb::ethtool_phys_id_state_ETHTOOL_ID_ACTIVE => return 1,
            nb::ethtool_phys_id_state_ETHTOOL_ID_ON => Some(true),
            nb::ethtool_phys_id_state_ETHTOOL_ID_OFF => Some(false),
            _ => None,
        };
        from_result(|| core.driver().light(&core.nic(), light).map(|()| 0))
    }
}
