// SPDX-License-Identifier: GPL-2.0

//! Polling instead of interrupts: `struct napi_struct`.
//!
//! The layer owns the NAPIs of a device, one for each interrupt vector: it polls, counts the budget,
//! completes each poll exactly once (never at a budget of 0, never when the budget is used up) and
//! lets the driver switch the interrupt on again after that.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use core::marker::PhantomData;

/// How many frames a poll may still receive. Whoever receives takes from it; it cannot be made,
/// filled up or kept.
pub struct Budget<'a> {
    left: u32,
    used: u32,
    _poll: PhantomData<&'a mut ()>,
}

impl Budget<'_> {
    /// What the core gave to a poll function, not below 0.
    #[inline]
    pub(crate) fn new(budget: u32) -> Self {
        Self {
            left: budget,
            used: 0,
            _poll: PhantomData,
        }
    }

    /// Whether a frame may be received.
    #[inline]
    pub fn has_credit(&self) -> bool {
        self.left != 0
    }

    /// Uses one up.
    #[inline]
    pub(crate) fn take(&mut self) {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            self.used = self.used.wrapping_add(1);
        }
    }

    /// How many were used up.
    #[inline]
    pub(crate) fn used(&self) -> u32 {
        self.used
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_budget)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_given() {
        let mut budget = Budget::new(2);
        assert!(budget.has_credit());
        budget.take();
        budget.take();
        assert!(!budget.has_credit());
        budget.take();
        assert_eq!(budget.used(), 2);
    }

    #[test]
    fn none_for_netpoll() {
        assert!(!Budget::new(0).has_credit());
    }
}
