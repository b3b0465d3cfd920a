// SPDX-License-Identifier: GPL-2.0

// A bit of one register is not one of another.
// error: E0308 mismatched types

use rnet::{
    mmio::Mmio,
    prelude::*, //
};

include!("../skeleton.rs");

rnet::registers! {
    /// One.
    pub One @ 0x0 {
        /// A bit.
        ON = 1,
    }
    /// Another.
    pub Other @ 0x4 {
        /// A bit.
        UP = 1,
    }
}

pub fn mix(io: &Mmio) -> Result {
    io.update::<One>(|one| one | Other::UP)?; //~
    Ok(())
}
