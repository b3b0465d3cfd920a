// SPDX-License-Identifier: GPL-2.0

//! What the chip takes over from the stack.

use rnet::{
    nic::Identity,
    prelude::*, //
};

use crate::desc;

/// Offloads that can be switched.
const SWITCHABLE: Features = Features::SG
    .with(Features::TX_HEADERS)
    .with(Features::RXCSUM)
    .with(Features::RXHASH)
    .with(Features::VLAN_TX)
    .with(Features::VLAN_RX)
    .with(Features::VLAN_FILTER)
    .with(Features::RXALL);

/// What is in a tunnel: the chip is told that all headers before the inner transport header are one
/// network header.
const IN_TUNNELS: Features = Features::GSO_PARTIAL.with(Features::TUNNELS);

/// What the stack is told.
pub(crate) fn identity(address: Option<[u8; 6]>, emulated: bool) -> Identity {
    let mut all = SWITCHABLE;
    let mut off = Features::RXALL;
    let mut inner = Features::EMPTY;
    let mut stacked = Features::SG | Features::TX_HEADERS | Features::HIGHDMA;
    if emulated {
        // QEMU's model makes fragments of IP out of datagrams that are to be cut.
        off = off | Features::UDP_SEGMENTATION;
        stacked = stacked & !Features::UDP_SEGMENTATION;
        // It looks for the headers itself and sees only the outer ones.
    } else {
        all = all | IN_TUNNELS;
        stacked = stacked | Features::TSO_MANGLEID | IN_TUNNELS;
        inner = stacked;
    }
    Identity {
        address,
        features: (all & !off) | Features::HIGHDMA,
        hw_features: all,
        vlan_features: stacked,
        tunnel_features: inner,
        partial_features: if emulated {
            Features::EMPTY
        } else {
            Features::TUNNELS
        },
    }
}

/// What cannot be had together.
pub(crate) fn fix(wanted: Features) -> Features {
    // The chip puts tags in only where it takes them out.
    if wanted.contains(Features::VLAN_RX) {
        wanted
    } else {
        wanted & !Features::VLAN_TX
    }
}

/// How far the network header may be from the start of the frame, in bytes.
pub(crate) const fn max_network(emulated: bool) -> u32 {
    if emulated {
        // QEMU looks for the headers behind one tag at most.
        14 + 4
    } else {
        desc::MAX_NETWORK
    }
}
