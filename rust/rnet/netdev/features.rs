// SPDX-License-Identifier: GPL-2.0

//! What a device can do for the stack.

use core::ops::{
    BitAnd,
    BitOr,
    Not, //
};

use net_bindings as nb;

/// A set of offloads and properties: what `ethtool -k` shows. C type: `netdev_features_t`,
/// [`include/linux/netdev_features.h`](srctree/include/linux/netdev_features.h).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Features(u64);

macro_rules! features {
    ($($(#[$meta:meta])* $name:ident = $raw:ident),+ $(,)?) => {
        impl Features {
            $(
                $(#[$meta])*
                pub const $name: Self = Self(nb::$raw);
            )+
        }
    };
}

features! {
    /// Scatter/gather: packets in several pieces.
    SG = NETIF_F_SG,
    /// Packets whose pieces are packets (`frag_list`).
    FRAGLIST = NETIF_F_FRAGLIST,
    /// Checksums of any protocol on transmit.
    HW_CSUM = NETIF_F_HW_CSUM,
    /// Checksums verified on receive.
    RXCSUM = NETIF_F_RXCSUM,
    /// SCTP's CRC32c on transmit.
    SCTP_CRC = NETIF_F_SCTP_CRC,
    /// Memory above 4 GiB.
    HIGHDMA = NETIF_F_HIGHDMA,
    /// VLAN devices cannot be stacked on this one.
    VLAN_CHALLENGED = NETIF_F_VLAN_CHALLENGED,
    /// Packets are sent back to the host.
    LOOPBACK = NETIF_F_LOOPBACK,
    /// Every segmentation that the stack can also do in software.
    GSO_SOFTWARE = NETIF_F_GSO_SOFTWARE,
    /// TCP segmentation over IPv4.
    TSO = NETIF_F_TSO,
    /// TCP segmentation over IPv6.
    TSO6 = NETIF_F_TSO6,
    /// The hash of the flow on receive.
    RXHASH = NETIF_F_RXHASH,
    /// VLAN tags are put in on transmit.
    VLAN_TX = NETIF_F_HW_VLAN_CTAG_TX,
    /// VLAN tags are taken out on receive.
    VLAN_RX = NETIF_F_HW_VLAN_CTAG_RX,
    /// Only frames of VLANs that are configured come in.
    VLAN_FILTER = NETIF_F_HW_VLAN_CTAG_FILTER,
    /// Damaged frames come in, too.
    RXALL = NETIF_F_RXALL,
    /// Packets are steered to the CPU of the thread that receives them; also filters of a NIC.
    NTUPLE = NETIF_F_NTUPLE,
    /// UDP segmentation: datagrams of one length out of one packet (USO).
    UDP_SEGMENTATION = NETIF_F_GSO_UDP_L4,
    /// Segments of one packet may have IPv4 identifications that do not count up.
    TSO_MANGLEID = NETIF_F_TSO_MANGLEID,
    /// Segmentation where the stack has prepared all headers that the device does not know, the
    /// same ones for each segment: see [`Self::TUNNELS`].
    GSO_PARTIAL = NETIF_F_GSO_PARTIAL,
    /// Segmentation of what is in a GRE tunnel.
    GSO_GRE = NETIF_F_GSO_GRE,
    /// Segmentation of what is in a GRE tunnel with a checksum.
    GSO_GRE_CSUM = NETIF_F_GSO_GRE_CSUM,
    /// Segmentation of what is in an IP tunnel over IPv4.
    GSO_IPXIP4 = NETIF_F_GSO_IPXIP4,
    /// Segmentation of what is in an IP tunnel over IPv6.
    GSO_IPXIP6 = NETIF_F_GSO_IPXIP6,
    /// Segmentation of what is in a UDP tunnel (VXLAN, Geneve).
    GSO_UDP_TUNNEL = NETIF_F_GSO_UDP_TUNNEL,
    /// Segmentation of what is in a UDP tunnel with a checksum.
    GSO_UDP_TUNNEL_CSUM = NETIF_F_GSO_UDP_TUNNEL_CSUM,
}

impl Features {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// Segmentation of what is in any tunnel.
    pub const TUNNELS: Self = Self::GSO_GRE
        .with(Self::GSO_GRE_CSUM)
        .with(Self::GSO_IPXIP4)
        .with(Self::GSO_IPXIP6)
        .with(Self::GSO_UDP_TUNNEL)
        .with(Self::GSO_UDP_TUNNEL_CSUM);

    /// What the device has to read headers of TCP, UDP or SCTP for on transmit.
    pub const TX_HEADERS: Self = Self::HW_CSUM
        .with(Self::SCTP_CRC)
        .with(Self::UDP_SEGMENTATION)
        .with(Self::TSO)
        .with(Self::TSO6);

    /// Whether all of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together, in constants.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// From [`bits`](Self::bits), for a driver that keeps them in an atomic.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set as a number.
    pub const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    pub(crate) const fn as_raw(self) -> u64 {
        self.0
    }
}

impl BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitAnd for Features {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Features {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_features)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let both = Features::SG | Features::HW_CSUM;
        assert!(both.contains(Features::SG) && both.contains(Features::HW_CSUM));
        assert!(both.contains(Features::EMPTY) && both.contains(both));
        assert!(!Features::SG.contains(both));
        assert!(both & !Features::SG == Features::HW_CSUM);
        assert!(both & Features::TSO == Features::EMPTY);
        assert!(Features::SG.with(Features::HW_CSUM) == both);
        assert!(Features::from_raw(both.as_raw()) == both);
    }

    #[test]
    fn software_segmentation_has_tcp() {
        assert!(Features::GSO_SOFTWARE.contains(Features::TSO | Features::TSO6));
        assert!(!Features::GSO_SOFTWARE.contains(Features::SG));
    }
}
