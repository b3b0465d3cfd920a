// SPDX-License-Identifier: GPL-2.0

//! Standard statistics: `ethtool -S DEV --groups`, `ethtool -I -a`.

use net_bindings as nb;

use super::{
    Driver,
    Table, //
};

macro_rules! group {
    (
        $(#[$meta:meta])* $name:ident($raw:ident)
        { $($(#[$fmeta:meta])* $set:ident = $field:ident),+ $(,)? }
    ) => {
        $(#[$meta])*
        pub struct $name<'a>(&'a mut nb::$raw);

        impl $name<'_> {
            $(
                $(#[$fmeta])*
                pub fn $set(&mut self, val: u64) -> &mut Self {
                    self.0.__bindgen_anon_1.__bindgen_anon_1.$field = val;
                    self
                }
            )+
        }
    };
}

group! {
    /// What a MAC counts (IEEE 802.3, 30.3.1.1). What is not set is not shown. C type:
    /// `struct ethtool_eth_mac_stats`.
    MacStats(ethtool_eth_mac_stats) {
        /// Frames sent.
        sent = FramesTransmittedOK,
        /// Frames sent after one collision.
        single_collision = SingleCollisionFrames,
        /// Frames sent after several collisions.
        multiple_collisions = MultipleCollisionFrames,
        /// Frames received.
        received = FramesReceivedOK,
        /// Frames with a wrong FCS.
        fcs_errors = FrameCheckSequenceErrors,
        /// Frames that are no whole number of bytes.
        alignment_errors = AlignmentErrors,
        /// Bytes sent.
        sent_bytes = OctetsTransmittedOK,
        /// Frames that had to wait for the medium.
        deferred = FramesWithDeferredXmissions,
        /// Collisions that came late.
        late_collisions = LateCollisions,
        /// Frames given up after too many collisions.
        aborted = FramesAbortedDueToXSColls,
        /// Frames sent without a carrier.
        carrier_errors = CarrierSenseErrors,
        /// Bytes received.
        received_bytes = OctetsReceivedOK,
        /// Multicast frames sent.
        sent_multicast = MulticastFramesXmittedOK,
        /// Broadcast frames sent.
        sent_broadcast = BroadcastFramesXmittedOK,
        /// Multicast frames received.
        received_multicast = MulticastFramesReceivedOK,
        /// Broadcast frames received.
        received_broadcast = BroadcastFramesReceivedOK,
        /// Frames whose length field is wrong.
        length_errors = InRangeLengthErrors,
        /// Frames that were too long.
        too_long = FrameTooLongErrors,
    }
}

group! {
    /// What a MAC counts of control frames (IEEE 802.3, 30.3.3). C type:
    /// `struct ethtool_eth_ctrl_stats`.
    CtrlStats(ethtool_eth_ctrl_stats) {
        /// Sent.
        sent = MACControlFramesTransmitted,
        /// Received.
        received = MACControlFramesReceived,
        /// Received, and unknown.
        unknown = UnsupportedOpcodesReceived,
    }
}

group! {
    /// Frames by size (RFC 2819). C type: `struct ethtool_rmon_stats`.
    RmonStats(ethtool_rmon_stats) {
        /// Too short.
        undersize = undersize_pkts,
        /// Too long.
        oversize = oversize_pkts,
        /// Too short and damaged.
        fragments = fragments,
        /// Too long and damaged.
        jabbers = jabbers,
    }
}

impl RmonStats<'_> {
    /// Received, of 64, 65 to 127, 128 to 255, 256 to 511, 512 to 1023 bytes, and of more.
    pub fn received(&mut self, counts: [u64; 6]) -> &mut Self {
        self.0.__bindgen_anon_1.__bindgen_anon_1.hist = Self::filled(counts);
        self
    }

    /// Sent, in the same order.
    pub fn sent(&mut self, counts: [u64; 6]) -> &mut Self {
        self.0.__bindgen_anon_1.__bindgen_anon_1.hist_tx = Self::filled(counts);
        self
    }

    /// What is behind the ranges is not looked at.
    fn filled<const N: usize>(counts: [u64; 6]) -> [u64; N] {
        let mut all = [0; N];
        for (to, count) in all.iter_mut().zip(counts) {
            *to = count;
        }
        all
    }
}

group! {
    /// PAUSE frames. C type: `struct ethtool_pause_stats`.
    PauseStats(ethtool_pause_stats) {
        /// Sent.
        sent = tx_pause_frames,
        /// Received.
        received = rx_pause_frames,
    }
}

impl<D: Driver> Table<D> {
    const fn range(low: u16, high: u16) -> nb::ethtool_rmon_hist_range {
        nb::ethtool_rmon_hist_range { low, high }
    }

    /// The ranges of [`RmonStats`]; the last one ends the list.
    const RANGES: &'static [nb::ethtool_rmon_hist_range; 7] = &[
        Self::range(0, 64),
        Self::range(65, 127),
        Self::range(128, 255),
        Self::range(256, 511),
        Self::range(512, 1023),
        // With header, a tag and the FCS.
        Self::range(1024, (D::LIMITS.mtu.1 + 22) as u16),
        Self::range(0, 0),
    ];

    pub(super) unsafe extern "C" fn get_eth_mac_stats(
        dev: *mut nb::net_device,
        out: *mut nb::ethtool_eth_mac_stats,
    ) {
        // SAFETY: In the callback; `out` is the caller's own.
        let ((core, _rtnl), out) = unsafe { (Self::enter(dev), &mut *out) };
        core.driver().mac_stats(&mut MacStats(out));
    }

    pub(super) unsafe extern "C" fn get_eth_ctrl_stats(
        dev: *mut nb::net_device,
        out: *mut nb::ethtool_eth_ctrl_stats,
    ) {
        // SAFETY: In the callback; `out` is the caller's own.
        let ((core, _rtnl), out) = unsafe { (Self::enter(dev), &mut *out) };
        core.driver().ctrl_stats(&mut CtrlStats(out));
    }

    pub(super) unsafe extern "C" fn get_rmon_stats(
        dev: *mut nb::net_device,
        out: *mut nb::ethtool_rmon_stats,
        ranges: *mut *const nb::ethtool_rmon_hist_range,
    ) {
        // SAFETY: In the callback; `out` and `ranges` are the caller's own.
        let ((core, _rtnl), out) = unsafe {
            *ranges = Self::RANGES.as_ptr();
            (Self::enter(dev), &mut *out)
        };
        core.driver().rmon_stats(&mut RmonStats(out));
    }

    pub(super) unsafe extern "C" fn get_pause_stats(
        dev: *mut nb::net_device,
        out: *mut nb::ethtool_pause_stats,
    ) {
        // SAFETY: In the callback; `out` is the caller's own.
        let ((core, _rtnl), out) = unsafe { (Self::enter(dev), &mut *out) };
        core.driver().pause_stats(&mut PauseStats(out));
    }
}
