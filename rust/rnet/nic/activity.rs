// SPDX-License-Identifier: GPL-2.0

//! What the interrupt vectors do, which ethtool has no place for: the directory
//! `/sys/class/net/<name>/<driver>/`.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};

use crate::{
    stats::Count,
    sysfs::{
        Attribute,
        Page, //
    },
};

/// The files, in a directory with the name of the driver. Documented in
/// `Documentation/ABI/testing/sysfs-class-net-rigb`.
pub(crate) static FILES: [Attribute<Activity>; 6] = [
    Attribute::ro(c"interrupts", |this, page| {
        this.list(page, |vector| vector.interrupts.get())
    }),
    Attribute::ro(c"interval_us", |this, page| {
        this.list(page, |vector| vector.usecs.load(Relaxed).into())
    }),
    Attribute::ro(c"polls", |this, page| {
        this.list(page, |vector| vector.polls.get())
    }),
    Attribute::ro(c"polls_full", |this, page| {
        this.list(page, |vector| vector.full.get())
    }),
    Attribute::ro(c"other_interrupts", |this, page| {
        page.emit(fmt!("{}\n", this.other.get()))
    }),
    Attribute::ro(c"recoveries", |this, page| {
        page.emit(fmt!("{}\n", this.recoveries.get()))
    }),
];

/// Of one vector that serves queues.
pub(super) struct VectorActivity {
    /// In hard interrupt, of which there is one at a time.
    pub(super) interrupts: Count,
    /// These two by the NAPI.
    pub(super) polls: Count,
    pub(super) full: Count,
    /// How far interrupts are held apart, in microseconds.
    pub(super) usecs: Atomic<u32>,
}

/// Of all vectors that the device can have. It lives as long as the network device, so numbers never
/// go back.
pub(crate) struct Activity {
    vectors: KVec<Arc<VectorActivity>>,
    /// In hard interrupt.
    pub(super) other: Count,
    /// Under RTNL.
    pub(super) recoveries: Count,
}

impl Activity {
    /// Errors: `ENOMEM`.
    pub(crate) fn new(vectors: u32) -> Result<Arc<Self>> {
        let mut all = KVec::new();
        for _ in 0..vectors {
            let vector = VectorActivity {
                interrupts: Count::default(),
                polls: Count::default(),
                full: Count::default(),
                usecs: Atomic::new(0),
            };
            all.push(Arc::new(vector, GFP_KERNEL)?, GFP_KERNEL)?;
        }
        Ok(Arc::new(
            Self {
                vectors: all,
                other: Count::default(),
                recoveries: Count::default(),
            },
            GFP_KERNEL,
        )?)
    }

    pub(super) fn vector(&self, index: u32) -> Option<&Arc<VectorActivity>> {
        self.vectors.get(index as usize)
    }

    /// A number for each vector, in a line.
    fn list(&self, page: &mut Page<'_>, get: fn(&VectorActivity) -> u64) -> Result {
        for (place, vector) in self.vectors.iter().enumerate() {
            let gap = if place == 0 { "" } else { " " };
            page.emit(fmt!("{}{}", gap, get(vector)))?;
        }
        page.emit(fmt!("\n"))
    }
}
