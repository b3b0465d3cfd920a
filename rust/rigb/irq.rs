// SPDX-License-Identifier: GPL-2.0

//! Interrupts.

use kernel::sync::atomic::Relaxed;
use rnet::nic::{
    Cause,
    Mode,
    Nic, //
};

use crate::{
    port::Port,
    regs::*, //
};

/// What is not about a queue.
fn heed(nic: &Nic<'_>, icr: Icr) {
    if icr.has(Icr::DOUTSYNC) {
        nic.recover();
    }
    if icr.has(Icr::LSC) {
        nic.service_now();
    }
}

impl Port {
    /// All of them on.
    pub(crate) fn switch_on(&self, nic: &Nic<'_>) {
        let io = nic.io();
        if nic.interrupt_mode() == Mode::MsiX {
            let all = self.vectors.load(Relaxed);
            io.write(Eiac::new(all));
            io.write(Eiam::new(self.queue_vectors.load(Relaxed)));
            io.write(Eims::new(all));
            io.write(Ims::new((Icr::LSC | Icr::DOUTSYNC).get()));
        } else {
            let causes = Icr::LSC | Icr::DOUTSYNC | Icr::RXDMT0 | Icr::RXT0;
            io.write(Ims::new(causes.with(Icr::TXDW, !self.emulated).get()));
        }
    }

    /// All of them off.
    pub(crate) fn switch_off(&self, nic: &Nic<'_>) {
        let io = nic.io();
        io.write(Eiam::new(0));
        io.write(Eimc::new(!0));
        io.write(Eiac::new(0));
        io.write(Imc::new(!0));
        let _ = io.flush();
    }

    /// That of a vector of queues on, after they were polled.
    pub(crate) fn switch_on_again(&self, nic: &Nic<'_>, vector: u32) {
        if nic.interrupt_mode() != Mode::MsiX {
            self.switch_on(nic);
        } else if !self.emulated {
            // QEMU has not switched it off: it does not know EIAM.
            nic.io().write(Eims::new(1u32 << (vector & 0x1f)));
        }
    }

    /// The vector of everything else has interrupted.
    pub(crate) fn other(&self, nic: &Nic<'_>) {
        self.others.add(1, Relaxed);
        let Ok(icr) = nic.io().read::<Icr>() else {
            return;
        };
        heed(nic, icr);
        if let (false, Some(other)) = (self.emulated, nic.other_vector()) {
            nic.io().write(Eims::new(1u32 << (other & 0x1f)));
        }
    }

    /// The only vector has interrupted.
    pub(crate) fn any(&self, nic: &Nic<'_>) -> Cause {
        let Ok(icr) = nic.io().read::<Icr>() else {
            return Cause::NotOurs;
        };
        if icr.get() == 0 || (nic.interrupt_mode() == Mode::Intx && !icr.has(Icr::ASSERTED)) {
            return Cause::NotOurs;
        }
        heed(nic, icr);
        let queues = (Icr::TXDW | Icr::RXDMT0 | Icr::RXT0).get();
        if icr.get() & queues == 0 {
            return Cause::Other;
        }
        nic.io().write(Imc::new(!0));
        Cause::Queues
    }
}
