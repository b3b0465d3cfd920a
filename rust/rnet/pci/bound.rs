// SPDX-License-Identifier: GPL-2.0

//! A device that is bound to a driver, from probe to removal.

use core::ptr::NonNull;

use kernel::prelude::*;
use net_bindings as nb;

use super::{
    power::MaySleep,
    Probe,
    Resources, //
};
use crate::{
    module::ModuleCtx,
    netdev::{
        Builder,
        Registration, //
    },
    netns::Net,
    nic::{
        stat_ops,
        Activity,
        Core,
        Driver,
        PtpClock,
        FILES, //
    },
    rtnl,
    sysfs::Group, //
    xdp,
};

/// What the PCI device's driver data points to.
///
/// # Invariants
///
/// The data of the network device points to `resources` until [`Resources::release_user`], which is
/// waited for before they end.
pub(super) struct Bound<D: Driver> {
    /// Before the network device, whose data it uses.
    clock: Option<KBox<PtpClock<D>>>,
    netdev: Option<Registration<Core<D>>>,
    /// Before the resources: whoever unbinds the device has it awake.
    _may_sleep: Option<MaySleep>,
    resources: KBox<Resources>,
}

impl<D: Driver> Bound<D> {
    /// Binds a device.
    ///
    /// # Safety
    ///
    /// In probe of `pdev`; the value must be dropped when it is removed.
    pub(super) unsafe fn new(pdev: NonNull<nb::pci_dev>, ctx: ModuleCtx) -> Result<Self> {
        let () = Core::<D>::CHECK;
        let limits = D::LIMITS;
        let queues = limits.queues.min(online_cpus());
        // SAFETY: By the requirement of this function.
        let resources = unsafe { Resources::new(pdev, D::NAME, &limits, queues)? };
        let resources = KBox::new(resources, GFP_KERNEL)?;
        let driver = D::probe(&Probe::new(resources.device(), resources.io()))?;
        let identity = driver.identity();
        let builder = Builder::<Core<D>>::ethernet_queues(c"eth%d", limits.queues)?
            .mtu_range(limits.mtu.0, limits.mtu.1)
            .features(identity.features)
            .hw_features(identity.hw_features)
            .vlan_features(identity.vlan_features)
            .tunnel_features(identity.tunnel_features, identity.partial_features);
        let activity = Activity::new(limits.queues)?;
        let files = Group::new(D::NAME, &FILES, activity.clone());
        let builder = match identity.address {
            Some(addr) => builder.address(addr),
            None => {
                pr_warn!(
                    "{}: no valid MAC address in the device: a random one\n",
                    resources.device().name()
                );
                builder.random_address()
            }
        };
        let builder = builder.sysfs_group(files)?;
        let netdev = NonNull::new(builder.as_raw()).ok_or(EINVAL)?;
        // SAFETY: A device of our own, not registered; its parent outlives it.
        unsafe {
            nb::netdev_set_parent(netdev.as_ptr(), nb::pci_dev_device(pdev.as_ptr()));
            nb::netdev_set_watchdog(netdev.as_ptr(), 4000);
            nb::netdev_add_unicast_flt(netdev.as_ptr());
            nb::netif_set_affinity_auto(netdev.as_ptr());
            if D::HAS_XDP_DESCRIPTOR {
                nb::netdev_set_xdp_features(netdev.as_ptr(), xdp::FEATURES);
            }
            nb::netdev_set_stat_ops(netdev.as_ptr(), stat_ops::Table::<D>::OPS);
            // The driver says when there is a link.
            nb::netif_carrier_off(netdev.as_ptr());
        }
        // SAFETY: The data is of this device, and the resources are waited for.
        let data =
            unsafe { Core::new(driver, netdev, NonNull::from(&*resources), activity, queues) };
        let mut this = Self {
            clock: None,
            netdev: None,
            _may_sleep: None,
            resources,
        };
        // Last: the core may open the device at once.
        this.netdev = Some(builder.register(ctx, Net::init_net(), data)?);
        this.clock = this.register_clock();
        // SAFETY: Nothing fails after this.
        this._may_sleep = Some(unsafe { MaySleep::new(this.resources.dma()) });
        Ok(this)
    }

    /// The clock of the device, if it has one. Without it the device works all the same.
    fn register_clock(&self) -> Option<KBox<PtpClock<D>>> {
        let core = NonNull::from(self.core()?);
        // SAFETY: The data stays until the network device is unregistered, and that is after the
        // clock, in `drop()`.
        match unsafe { PtpClock::new(core) } {
            Ok(clock) => clock,
            Err(err) => {
                pr_warn!(
                    "{}: no PTP clock: {:?}\n",
                    self.resources.device().name(),
                    err
                );
                None
            }
        }
    }

    /// The data of the network device.
    pub(super) fn core(&self) -> Option<&Core<D>> {
        self.netdev.as_ref().map(Registration::data)
    }

    pub(super) fn netdev(&self) -> Option<&Registration<Core<D>>> {
        self.netdev.as_ref()
    }

    pub(super) fn resources(&self) -> &Resources {
        &self.resources
    }
}

impl<D: Driver> Drop for Bound<D> {
    fn drop(&mut self) {
        self.clock = None;
        if let Some(netdev) = self.netdev.take() {
            let core = netdev.data();
            core.retire();
            netdev.unregister();
            // Whoever else ends it does that under RTNL: it has ended when RTNL was free.
            drop(rtnl::lock());
            core.driver().remove(&core.nic());
        }
        self.resources.wait_unused();
    }
}

/// How many CPUs are on line. C function: `num_online_cpus()`.
fn online_cpus() -> u32 {
    // SAFETY: No requirement.
    unsafe { nb::num_online_cpus() }.max(1)
}
