// SPDX-License-Identifier: GPL-2.0

//! Programs on the queues of a NIC, and frames that leave through it (XDP).

use core::{
    cell::Cell,
    ptr::NonNull, //
};

use kernel::prelude::*;
use net_bindings as nb;

use super::{
    core::{
        Config,
        Core, //
    },
    running::Queues,
    Driver, //
};
use crate::{
    netlink::ExtAck,
    ring::{
        Outcome,
        SendBack,
        Viewer,
        RX_BUFFER, //
    },
    rtnl::Rtnl,
    xdp::{
        Frame,
        Frames,
        Program, //
    },
};

/// A transmit queue, locked as the core locks it for a transmit callback.
struct Locked(NonNull<nb::netdev_queue>);

impl Locked {
    /// # Safety
    ///
    /// A queue of a device that stays registered while the returned value exists. Softirqs must be
    /// off, and the lock not held by this CPU.
    unsafe fn new(txq: NonNull<nb::netdev_queue>) -> Self {
        // SAFETY: By the requirement.
        unsafe { nb::netif_tx_lock_queue(txq.as_ptr()) };
        Self(txq)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: Locked in `new()`.
        unsafe { nb::netif_tx_unlock_queue(self.0.as_ptr()) };
    }
}

/// Sends frames back through the transmit queue beside the receive queue that they came in on. The
/// device is told when it is dropped.
pub(super) struct Back<'a, D: Driver> {
    queues: &'a Queues<D>,
    pending: Cell<bool>,
}

impl<'a, D: Driver> Back<'a, D> {
    /// # Safety
    ///
    /// In the poll function of the queues' NAPI, and not beyond.
    #[inline]
    pub(super) unsafe fn new(queues: &'a Queues<D>) -> Self {
        Self {
            queues,
            pending: Cell::new(false),
        }
    }

    fn lock(&self) -> Locked {
        // SAFETY: In a poll function, by the contract of `new()`: softirqs are off, and a transmit
        // callback of this CPU is not interrupted by one.
        unsafe { Locked::new(self.queues.txq()) }
    }
}

impl<D: Driver> SendBack for Back<'_, D> {
    fn send_back(&self, frame: Frame) -> bool {
        let _locked = self.lock();
        // SAFETY: The lock is held.
        let mut outcome = unsafe { self.queues.send_frame(frame) };
        if let Outcome::NoRoom(frame) = outcome {
            // The device may make room as soon as it is told, as emulated devices do.
            // SAFETY: The lock of the queue is still held.
            outcome = unsafe {
                if self.pending.replace(false) {
                    self.queues.start_frames();
                }
                self.queues.send_frame(frame)
            };
        }
        let sent = matches!(outcome, Outcome::Sent);
        self.pending.set(self.pending.get() || sent);
        sent
    }
}

impl<D: Driver> Drop for Back<'_, D> {
    #[inline]
    fn drop(&mut self) {
        if self.pending.get() {
            let _locked = self.lock();
            // SAFETY: The lock is held.
            unsafe { self.queues.start_frames() };
        }
    }
}

impl<D: Driver> Core<D> {
    /// The program of the device, if there is one.
    ///
    /// # Safety
    ///
    /// In a poll function, and not beyond.
    #[inline]
    pub(super) unsafe fn viewer<'a>(&self, back: &'a Back<'_, D>) -> Option<Viewer<'a>> {
        if !D::HAS_XDP_DESCRIPTOR {
            return None;
        }
        // SAFETY: By the requirement softirqs are off.
        let program = unsafe { self.shared().program().load() }?;
        // SAFETY: Loaded here, in a poll function.
        Some(unsafe { Viewer::new(program, back) })
    }

    /// Whether all frames of this configuration fit into one buffer.
    fn fits(config: &Config) -> bool {
        config.max_frame() <= RX_BUFFER
    }

    /// Exchanges the program; frames go on coming in.
    pub(super) fn exchange_program(
        &self,
        program: Option<Program>,
        extack: &ExtAck<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let one_piece = program.as_ref().is_some_and(|it| !it.takes_pieces());
        if one_piece && !Self::fits(&self.config(rtnl)) {
            return Err(extack.refuse(c"the MTU is too large for programs without frags"));
        }
        self.shared().program().set(program);
        Ok(())
    }

    /// Refuses an MTU that a program could not live with, with a line in the log.
    pub(super) fn check_program(&self, config: &Config, rtnl: &Rtnl) -> Result {
        if self.shared().program().needs_one_piece(rtnl) && !Self::fits(config) {
            crate::net_warn_ratelimited!(
                "{}: MTU {}: too large for the XDP program\n",
                self.shared().dev(),
                config.mtu
            );
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Sends frames of somebody else.
    pub(super) fn send_frames(&self, frames: &mut Frames<'_>) -> Result {
        // SAFETY: In `ndo_xdp_xmit`, an RCU read side: what is up is not freed before it ends.
        let running = unsafe { self.running() }.ok_or(ENETDOWN)?;
        // SAFETY: Preemption is off.
        let cpu = unsafe { nb::smp_processor_id() } as usize;
        let count = running.queues.len();
        let index = cpu.checked_rem(count).ok_or(ENETDOWN)?;
        let queues = running.queues.get(index).ok_or(ENETDOWN)?;
        // SAFETY: A queue of the device. Softirqs are off; the frames come from a poll function or
        // a program, not from a transmit callback.
        let _locked = unsafe { Locked::new(queues.txq()) };
        // Under the lock: after a queue was stopped to go down, nothing here starts it again.
        if !self.takes_frames() || !self.shared().dev().carrier_ok() {
            return Err(ENETDOWN);
        }
        while let Some(frame) = frames.next() {
            // SAFETY: The lock is held.
            if let Outcome::NoRoom(frame) = unsafe { queues.send_frame(frame) } {
                frames.put_back(frame);
                break;
            }
        }
        if frames.taken() > 0 {
            // SAFETY: The lock is held.
            unsafe { queues.start_frames() };
        }
        Ok(())
    }
}
