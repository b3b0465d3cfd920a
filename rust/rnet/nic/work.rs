// SPDX-License-Identifier: GPL-2.0

//! What a NIC does in the background while it is bound.

use kernel::{
    container_of,
    prelude::*,
    types::Opaque, //
};
use net_bindings as nb;

use super::{
    core::Core,
    shared::Shared,
    Driver, //
};
use crate::rtnl;

/// A stuck transmit queue is looked for this often, in milliseconds, however rarely the driver wants
/// its service. Two looks without progress are enough.
const LOOK: u32 = 1000;

impl<D: Driver> Core<D> {
    /// Whether any transmit queue has packets and has not moved since this was last asked.
    ///
    /// # Safety
    ///
    /// In the service work.
    unsafe fn is_stuck(&self) -> bool {
        // SAFETY: The service is disabled and waited for before `running` changes.
        match unsafe { self.running() } {
            Some(running) if self.shared().dev().carrier_ok() => {
                let stuck = running
                    .queues
                    .iter()
                    .fold(false, |stuck, queues| queues.is_stuck() | stuck);
                // The partner may ask for silence as long as it likes.
                stuck && !(D::HAS_IS_PAUSED && self.driver().is_paused(&self.nic()))
            }
            _ => false,
        }
    }

    pub(super) unsafe extern "C" fn service_work(work: *mut nb::work_struct) {
        // SAFETY: Called for the work item in a `Core<D>`, which disables it before it ends.
        let this = unsafe {
            let work: *mut Opaque<nb::delayed_work> = nb::to_delayed_work(work).cast();
            let shared = container_of!(work, Shared, service);
            &*container_of!(shared, Self, shared)
        };
        let next = this.driver().service(&this.nic());
        // SAFETY: This is the service work.
        if unsafe { this.is_stuck() } {
            pr_warn!(
                "{}: a transmit queue does not move: starting again\n",
                this.shared().dev()
            );
            this.shared().recover();
        }
        this.shared().service_in(next.clamp(1, LOOK));
    }

    pub(super) unsafe extern "C" fn recovery_work(work: *mut nb::work_struct) {
        // SAFETY: Called for the work item in a `Core<D>`, which disables it before it ends.
        let this = unsafe {
            let work: *mut Opaque<nb::delayed_work> = nb::to_delayed_work(work).cast();
            let shared = container_of!(work, Shared, recovery);
            &*container_of!(shared, Self, shared)
        };
        let rtnl = rtnl::lock();
        // SAFETY: Under RTNL, which whoever changes it holds.
        if unsafe { this.running() }.is_none() || this.shared().io().is_gone() {
            return;
        }
        this.shared().activity().recoveries.add(1);
        this.down(&rtnl);
        this.distrust();
        match this.up(&rtnl) {
            Ok(()) => this.resume(),
            Err(err) => pr_err!(
                "{}: cannot be taken up again ({:?}): set it down and up\n",
                this.shared().dev(),
                err
            ),
        }
    }
}
