// SPDX-License-Identifier: GPL-2.0

// A device that was held may go once it is let go.
// error: E0505 cannot move out of `hold` because it is borrowed

use rnet::{
    netdev::Hold,
    prelude::*, //
};

include!("../skeleton.rs");

pub fn after(hold: Hold) -> u32 {
    let dev: &Device = &hold;
    drop(hold); //~
    dev.mtu()
}
