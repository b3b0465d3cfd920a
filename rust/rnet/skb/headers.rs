// SPDX-License-Identifier: GPL-2.0

//! Where the headers of a packet are that is about to be sent.

use net_bindings as nb;

use crate::netdev::Features;

/// What `ndo_features_check` is told of a packet: enough to say which offloads the device can do
/// for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// Where the network header begins, in bytes.
    pub network_offset: u32,
    /// From there to the transport header whose checksum the device is to write, in bytes. In a
    /// tunnel the inner one, so that all headers between are in it.
    pub network_len: u32,
    /// Whether this is a tunnel whose inner headers are known.
    pub encapsulated: bool,
}

impl Headers {
    /// With `ndo_features_check` the core leaves out its own check: no checksums behind several tags.
    ///
    /// # Safety
    ///
    /// `skb` must be valid, and in the core's transmit path.
    #[inline(always)]
    pub(crate) unsafe fn tags_checked(skb: *mut nb::sk_buff, features: u64) -> u64 {
        /// # Safety
        ///
        /// As for the function around it.
        #[cold]
        #[inline(never)]
        unsafe fn tagged(skb: *mut nb::sk_buff, features: u64) -> u64 {
            // SAFETY: By the requirement of the function around it.
            unsafe { nb::vlan_features_check(skb, features) }
        }
        // SAFETY: By the requirement.
        unsafe {
            if nb::skb_vlan_tagged(skb) {
                tagged(skb, features)
            } else {
                features
            }
        }
    }

    /// # Safety
    ///
    /// `skb` must be valid, with a checksum to be written.
    #[inline]
    pub(crate) unsafe fn of(skb: *const nb::sk_buff) -> Self {
        // SAFETY: By the requirement.
        let (network, start, encapsulated) = unsafe {
            (
                nb::skb_network_offset(skb),
                nb::skb_csum_start_offset(skb),
                nb::skb_encapsulation(skb),
            )
        };
        Self {
            // What is before the packet's start is nowhere near: a negative number is a large one.
            network_offset: network as u32,
            network_len: start.wrapping_sub(network) as u32,
            encapsulated,
        }
    }

    /// Removes from `features` what cannot be done for a device that can be told offsets of up to
    /// `max_network` and `max_transport` bytes.
    ///
    /// In a tunnel the IPv4 identifications of segments are not counted up, which only packets
    /// bear that must not be fragmented.
    #[inline]
    pub fn within(&self, features: Features, max_network: u32, max_transport: u32) -> Features {
        if self.network_offset > max_network {
            return features & !(Features::TX_HEADERS | Features::VLAN_TX);
        }
        if self.network_len > max_transport {
            return features & !Features::TX_HEADERS;
        }
        if self.encapsulated && !features.contains(Features::TSO_MANGLEID) {
            return features & !Features::TSO;
        }
        features
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_headers)]
mod tests {
    use super::*;

    const ALL: Features = Features::TX_HEADERS
        .with(Features::SG)
        .with(Features::VLAN_TX)
        .with(Features::TSO_MANGLEID);

    fn headers(network_offset: u32, network_len: u32, encapsulated: bool) -> Headers {
        Headers {
            network_offset,
            network_len,
            encapsulated,
        }
    }

    #[test]
    fn at_the_limits() {
        assert!(headers(127, 511, false).within(ALL, 127, 511) == ALL);
        let far = headers(128, 20, false).within(ALL, 127, 511);
        assert!(far == Features::SG | Features::TSO_MANGLEID);
        let long = headers(14, 512, false).within(ALL, 127, 511);
        assert!(long == far | Features::VLAN_TX);
        let nowhere = headers(u32::MAX, u32::MAX, false).within(ALL, 127, 511);
        assert!(nowhere == far);
    }

    #[test]
    fn in_a_tunnel() {
        let tunnel = headers(14, 70, true);
        assert!(tunnel.within(ALL, 127, 511) == ALL);
        let counted = ALL & !Features::TSO_MANGLEID;
        assert!(tunnel.within(counted, 127, 511) == counted & !Features::TSO);
        assert!(headers(14, 70, false).within(counted, 127, 511) == counted);
    }
}
