// SPDX-License-Identifier: GPL-2.0

// What a callback works with ends with it: it cannot become part of what lives on.
// error: - lifetime may not live long enough

use rnet::{
    nic::Nic,
    prelude::*, //
};

include!("../skeleton.rs");

pub fn keep(nic: &Nic<'_>) -> Result<KBox<Nic<'static>>> {
    Ok(KBox::new(*nic, GFP_KERNEL)?) //~
}
