// SPDX-License-Identifier: GPL-2.0

//! Which packets a device stamps with the time.
//!
//! C header: [`include/linux/net_tstamp.h`](srctree/include/linux/net_tstamp.h)

use kernel::prelude::*;
use net_bindings as nb;

/// Which received frames are stamped. C type: `enum hwtstamp_rx_filters`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StampFilter(u32);

impl StampFilter {
    /// None. C value: `HWTSTAMP_FILTER_NONE`.
    pub const NONE: Self = Self(nb::hwtstamp_rx_filters_HWTSTAMP_FILTER_NONE);
    /// All. C value: `HWTSTAMP_FILTER_ALL`.
    pub const ALL: Self = Self(nb::hwtstamp_rx_filters_HWTSTAMP_FILTER_ALL);
    /// Sync of PTP version 1, over UDP. C value: `HWTSTAMP_FILTER_PTP_V1_L4_SYNC`.
    pub const V1_SYNC: Self = Self(nb::hwtstamp_rx_filters_HWTSTAMP_FILTER_PTP_V1_L4_SYNC);
    /// Delay_Req of PTP version 1, over UDP. C value: `HWTSTAMP_FILTER_PTP_V1_L4_DELAY_REQ`.
    pub const V1_DELAY_REQ: Self =
        Self(nb::hwtstamp_rx_filters_HWTSTAMP_FILTER_PTP_V1_L4_DELAY_REQ);
    /// All events of PTP version 2, over Ethernet and UDP. C value:
    /// `HWTSTAMP_FILTER_PTP_V2_EVENT`.
    pub const V2_EVENT: Self = Self(nb::hwtstamp_rx_filters_HWTSTAMP_FILTER_PTP_V2_EVENT);

    /// Whether it is about PTP version 2, so that [`V2_EVENT`](Self::V2_EVENT) has all of it.
    pub fn is_in_v2_event(self) -> bool {
        (nb::hwtstamp_rx_filters_HWTSTAMP_FILTER_PTP_V2_L4_EVENT
            ..=nb::hwtstamp_rx_filters_HWTSTAMP_FILTER_PTP_V2_DELAY_REQ)
            .contains(&self.0)
    }

    /// As a bit of a set.
    pub(crate) const fn bit(self) -> u32 {
        1u32.wrapping_shl(self.0)
    }
}

/// What a device stamps. C type: `struct kernel_hwtstamp_config`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StampConfig {
    /// Packets that are sent, if their sender wants it.
    pub sent: bool,
    /// Frames that are received.
    pub received: StampFilter,
}

impl StampConfig {
    /// Nothing.
    pub const NOTHING: Self = Self {
        sent: false,
        received: StampFilter::NONE,
    };

    /// What was asked for. Errors: `ERANGE` for stamps that the device would write into packets.
    pub(crate) fn from_raw(raw: &nb::kernel_hwtstamp_config) -> Result<Self> {
        let sent = match u32::try_from(raw.tx_type) {
            Ok(nb::hwtstamp_tx_types_HWTSTAMP_TX_OFF) => false,
            Ok(nb::hwtstamp_tx_types_HWTSTAMP_TX_ON) => true,
            _ => return Err(ERANGE),
        };
        let received = u32::try_from(raw.rx_filter).map_err(|_| ERANGE)?;
        Ok(Self {
            sent,
            received: StampFilter(received),
        })
    }

    pub(crate) fn fill(&self, raw: &mut nb::kernel_hwtstamp_config) {
        raw.flags = 0;
        raw.tx_type = if self.sent {
            nb::hwtstamp_tx_types_HWTSTAMP_TX_ON as i32
        } else {
            nb::hwtstamp_tx_types_HWTSTAMP_TX_OFF as i32
        };
        raw.rx_filter = self.received.0 as i32;
    }
}
