// SPDX-License-Identifier: GPL-2.0

//! The link.

use kernel::sync::atomic::Relaxed;
use rnet::{
    nic::Nic,
    prelude::*, //
};

use crate::{
    port::Port,
    regs::*, //
};

impl Port {
    /// Looks at the link and tells the stack when it has changed.
    pub(crate) fn check_link(&self, nic: &Nic<'_>) -> Result {
        let io = nic.io();
        let status = io.read::<Status>()?;
        let seen = if status.has(Status::LU) {
            status.get() & 0xc3
        } else {
            0
        };
        let up = seen != 0;
        if self.link.load(Relaxed) == seen && nic.dev().carrier_ok() == up {
            return Ok(());
        }
        self.link.store(seen, Relaxed);
        if !up {
            pr_info!("{}: link down\n", nic.dev());
            nic.dev().carrier_off();
            return Ok(());
        }
        let speed = if status.has(Status::SPEED_1000) {
            1000
        } else if status.has(Status::SPEED_100) {
            100
        } else {
            10
        };
        let duplex = if status.has(Status::FD) {
            "full"
        } else {
            "half"
        };
        pr_info!(
            "{}: link up, {} Mbit/s, {} duplex\n",
            nic.dev(),
            speed,
            duplex
        );
        nic.dev().carrier_on();
        Ok(())
    }
}
