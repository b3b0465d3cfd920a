// SPDX-License-Identifier: GPL-2.0

// The transmit path of a device is put back under RTNL only.
// error: E0308 mismatched types

use rnet::{
    netdev::{
        TxHook,
        TxOverride, //
    },
    prelude::*,
};

include!("../skeleton.rs");

pub fn give_back<H: TxHook>(hook: TxOverride<H>) {
    hook.restore(&()) //~
}
