// SPDX-License-Identifier: GPL-2.0

//! Which frames come in.
//!
//! Receive control and the tables of multicast addresses are written under the address lock only,
//! so there is one writer. VLANs come under RTNL.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use rnet::{
    mmio::{
        Mmio,
        RegisterArray, //
    },
    nic::AddressFilter,
    prelude::*, //
};

use crate::regs::*;

/// Addresses beside the device's own that the chip compares exactly.
const EXACT: usize = 23;

/// What the chip's tables hold, to write only what changes, and to write all of it after a reset.
pub(crate) struct Tables {
    multicast: KVec<Atomic<u32>>,
    vlans: KVec<Atomic<u32>>,
    /// Whether frames are to come in at all.
    receiving: Atomic<u32>,
}

fn table() -> Result<KVec<Atomic<u32>>> {
    let mut table = KVec::with_capacity(128, GFP_KERNEL)?;
    for _ in 0..128 {
        table.push(Atomic::new(0), GFP_KERNEL)?;
    }
    Ok(table)
}

impl Tables {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            multicast: table()?,
            vlans: table()?,
            receiving: Atomic::new(0),
        })
    }

    /// The tables of a chip that was reset are empty: writes what they held.
    pub(crate) fn restore(&self, io: &Mmio) {
        for (index, word) in self.vlans.iter().enumerate() {
            io.write_index(index, Vfta::new(word.load(Relaxed)));
        }
        for (index, word) in self.multicast.iter().enumerate() {
            io.write_index(index, Mta::new(word.load(Relaxed)));
        }
    }

    /// The device's own address.
    pub(crate) fn own_address(io: &Mmio, addr: [u8; 6]) {
        exact(io, 0, Some(addr));
    }

    /// Lets frames of a VLAN in, or not.
    pub(crate) fn set_vlan(&self, io: &Mmio, vid: u16, on: bool) {
        let index = usize::from(vid >> 5);
        let bit = 1u32 << (vid & 31);
        if let Some(word) = self.vlans.get(index) {
            let old = word.load(Relaxed);
            let new = if on { old | bit } else { old & !bit };
            word.store(new, Relaxed);
            io.write_index(index, Vfta::new(new));
        }
    }

    /// Starts or stops receiving. Under the address lock.
    pub(crate) fn receive(
        &self,
        io: &Mmio,
        filter: &AddressFilter<'_>,
        features: Features,
        on: bool,
    ) {
        self.receiving.store(u32::from(on), Relaxed);
        self.apply(io, filter, features);
    }

    /// Writes the filter. Under the address lock.
    pub(crate) fn apply(&self, io: &Mmio, filter: &AddressFilter<'_>, features: Features) {
        let mut rctl = Rctl::BAM | Rctl::SECRC | Rctl::LPE;
        rctl = rctl.with(Rctl::EN, self.receiving.load(Relaxed) != 0);
        if filter.promiscuous() {
            rctl = rctl | Rctl::UPE | Rctl::MPE;
        } else {
            rctl = rctl.with(Rctl::VFE, features.contains(Features::VLAN_FILTER));
            rctl = rctl.with(Rctl::MPE, filter.all_multicast());
            let mut count = 0usize;
            filter.for_each_unicast(|addr| {
                count = count.saturating_add(1);
                if count <= EXACT {
                    exact(io, count, Some(addr));
                }
            });
            // More than the chip compares: all of them come in, and the stack looks.
            rctl = rctl.with(Rctl::UPE, count > EXACT);
            for index in count.saturating_add(1)..=EXACT {
                exact(io, index, None);
            }
            self.hash_multicast(io, filter);
        }
        rctl = rctl.with(Rctl::SBP, features.contains(Features::RXALL));
        io.write(rctl);
    }

    fn hash_multicast(&self, io: &Mmio, filter: &AddressFilter<'_>) {
        let mut wanted = [0u32; 128];
        filter.for_each_multicast(|[.., low, high]| {
            let hash = (u32::from(low) >> 4) | (u32::from(high) << 4);
            if let Some(word) = wanted.get_mut((hash >> 5 & 0x7f) as usize) {
                *word |= 1 << (hash & 31);
            }
        });
        for (index, (word, new)) in self.multicast.iter().zip(wanted).enumerate() {
            if word.load(Relaxed) != new {
                word.store(new, Relaxed);
                io.write_index(index, Mta::new(new));
            }
        }
    }
}

/// Writes one of the addresses that are compared exactly.
fn exact(io: &Mmio, index: usize, addr: Option<[u8; 6]>) {
    let [a, b, c, d, e, f] = addr.unwrap_or([0; 6]);
    let low = u32::from_le_bytes([a, b, c, d]);
    let high = u32::from_le_bytes([e, f, 0, 0]);
    let valid = if addr.is_some() { RahLow::AV.get() } else { 0 };
    match index.checked_sub(RalLow::LEN) {
        None => {
            io.write_index(index, RalLow::new(low));
            io.write_index(index, RahLow::new(high | valid));
        }
        Some(index) => {
            io.write_index(index, RalHigh::new(low));
            io.write_index(index, RahHigh::new(high | valid));
        }
    }
}
