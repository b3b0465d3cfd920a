// SPDX-License-Identifier: GPL-2.0

//! The protocols that packets are counted by.

use rnet::skb::IpProtocol;

/// Numbers of the IANA, as in IP headers. C names: `IPPROTO_*`.
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

rnet::counters! {
    /// What a packet is counted as.
    pub(crate) enum Protocol {
        Ipv4Tcp,
        Ipv4Udp,
        Ipv4Icmp,
        Ipv4Sctp,
        Ipv4Other,
        Ipv6Tcp,
        Ipv6Udp,
        Ipv6Icmp,
        Ipv6Sctp,
        Ipv6Other,
        Other,
    }
}

impl Protocol {
    /// By the field in the IP header.
    #[inline(always)]
    pub(crate) fn of(ip: IpProtocol) -> Self {
        ip.look_up(&TABLE)
    }
}

/// Every number, for a packet to be looked up in one step.
static TABLE: [Protocol; IpProtocol::COUNT] = {
    let mut table = [Protocol::Other; IpProtocol::COUNT];
    let mut number = 0;
    while number <= u8::MAX as u16 {
        let byte = number as u8;
        table[IpProtocol::v4(byte).index()] = match byte {
            TCP => Protocol::Ipv4Tcp,
            UDP => Protocol::Ipv4Udp,
            ICMP => Protocol::Ipv4Icmp,
            SCTP => Protocol::Ipv4Sctp,
            _ => Protocol::Ipv4Other,
        };
        table[IpProtocol::v6(byte).index()] = match byte {
            TCP => Protocol::Ipv6Tcp,
            UDP => Protocol::Ipv6Udp,
            ICMPV6 => Protocol::Ipv6Icmp,
            SCTP => Protocol::Ipv6Sctp,
            _ => Protocol::Ipv6Other,
        };
        number += 1;
    }
    table
};
