// SPDX-License-Identifier: GPL-2.0

//! What wakes the machine.

use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use net_bindings as nb;

/// A set of events that wake the machine: `ethtool -s <name> wol`. C constants: `WAKE_*`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Wake(u32);

impl Wake {
    /// Nothing.
    pub const NOTHING: Self = Self(0);
    /// A link that comes or goes ("p").
    pub const PHY: Self = Self(nb::WAKE_PHY);
    /// A frame for the device's own address ("u").
    pub const UNICAST: Self = Self(nb::WAKE_UCAST);
    /// A multicast frame that passes the filter ("m").
    pub const MULTICAST: Self = Self(nb::WAKE_MCAST);
    /// A broadcast frame ("b").
    pub const BROADCAST: Self = Self(nb::WAKE_BCAST);
    /// A frame with the device's address sixteen times over ("g").
    pub const MAGIC: Self = Self(nb::WAKE_MAGIC);

    /// Both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The events that are in both sets.
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    pub(super) const fn as_raw(self) -> u32 {
        self.0
    }
}

/// What can be set, and what is. Written under RTNL.
pub(super) struct WakeSetting {
    can: Wake,
    now: Atomic<u32>,
}

impl WakeSetting {
    /// What a driver says, for a device that can signal it to the machine.
    ///
    /// # Safety
    ///
    /// `dev` must be a device that is there.
    pub(super) unsafe fn new((can, first): (Wake, Wake), dev: *mut nb::device) -> Self {
        // SAFETY: By the requirement. Process context.
        let can = if unsafe { nb::device_can_wakeup(dev) } {
            can
        } else {
            Wake::NOTHING
        };
        let first = first.common(can);
        // SAFETY: By the requirement. Where it fails, nothing wakes the machine.
        unsafe { nb::device_set_wakeup_enable(dev, first != Wake::NOTHING) };
        Self {
            can,
            now: Atomic::new(first.0),
        }
    }

    pub(super) fn can(&self) -> Wake {
        self.can
    }

    pub(super) fn get(&self) -> Wake {
        Wake(self.now.load(Relaxed))
    }

    /// # Safety
    ///
    /// `dev` must be the bound device that this belongs to.
    pub(super) unsafe fn set(&self, dev: *mut nb::device, wake: Wake) -> Result {
        // SAFETY: By the requirement. Process context.
        let result = to_result(unsafe { nb::device_set_wakeup_enable(dev, wake != Wake::NOTHING) });
        // Already enabled.
        if !matches!(result, Err(err) if err == EEXIST) {
            result?;
        }
        self.now.store(wake.0, Relaxed);
        Ok(())
    }
}
