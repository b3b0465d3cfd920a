// SPDX-License-Identifier: GPL-2.0

//! What is said about a link.

/// A set of link modes: speeds, duplex, and what else is negotiated. C type: a bitmap of
/// `enum ethtool_link_mode_bit_indices`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkModes(u64);

impl LinkModes {
    /// 10 Mbit/s, half duplex.
    pub const T10_HALF: Self = Self(1 << 0);
    /// 10 Mbit/s, full duplex.
    pub const T10_FULL: Self = Self(1 << 1);
    /// 100 Mbit/s, half duplex.
    pub const T100_HALF: Self = Self(1 << 2);
    /// 100 Mbit/s, full duplex.
    pub const T100_FULL: Self = Self(1 << 3);
    /// 1000 Mbit/s, full duplex.
    pub const T1000_FULL: Self = Self(1 << 5);
    /// Negotiation.
    pub const AUTONEG: Self = Self(1 << 6);
    /// Twisted pair.
    pub const TP: Self = Self(1 << 7);
    /// PAUSE frames, both ways.
    pub const PAUSE: Self = Self(1 << 13);
    /// PAUSE frames, one way.
    pub const ASYM_PAUSE: Self = Self(1 << 14);

    /// Both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The modes that are in both sets.
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// From [`bits`](Self::bits): of the first 64 link modes.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set as a number: bits of the first 64 link modes.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// A link and what it could be: what `ethtool` without options shows. C type:
/// `struct ethtool_link_ksettings`.
#[derive(Clone, Copy, Default)]
pub struct LinkSettings {
    /// The speed in Mbit/s; `None` without a link.
    pub speed: Option<u32>,
    /// Whether the link is full duplex.
    pub full_duplex: bool,
    /// Whether it is negotiated.
    pub autoneg: bool,
    /// The address of the PHY.
    pub phy: u8,
    /// What the device can do.
    pub supported: LinkModes,
    /// What it offers to its partner.
    pub advertising: LinkModes,
    /// What the partner offers.
    pub partner: LinkModes,
}

/// What a user wants of a link: `ethtool -s`.
#[derive(Clone, Copy)]
pub enum LinkWanted {
    /// To offer these modes to the partner.
    Negotiate(LinkModes),
    /// This, whatever the partner says.
    Forced {
        /// In Mbit/s.
        speed: u32,
        /// Whether both may send at the same time.
        full_duplex: bool,
    },
}

/// How PAUSE frames are used: `ethtool -a`. C type: `struct ethtool_pauseparam`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Whether that is negotiated; the rest is what is offered then.
    pub autoneg: bool,
    /// Whether those that come in are obeyed.
    pub obeyed: bool,
    /// Whether they are sent.
    pub sent: bool,
}
