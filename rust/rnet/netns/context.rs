// SPDX-License-Identifier: GPL-2.0

//! What proves that a namespace and what belongs to it stay in memory.

use kernel::sync::rcu;

use crate::rtnl::Rtnl;

/// Only the layer says what proves a context.
pub(crate) mod sealed {
    pub trait Sealed {}
}

/// Proof of an RCU read side: a guard, or a callback that runs in one.
pub trait RcuRead: sealed::Sealed {}

impl sealed::Sealed for rcu::Guard {}
impl RcuRead for rcu::Guard {}

/// Proof that a device cannot leave its namespace, or that the namespace it leaves stays in memory:
/// RTNL, or an RCU read side.
pub trait NetRead: sealed::Sealed {}

impl sealed::Sealed for Rtnl {}
impl NetRead for Rtnl {}
impl<R: RcuRead> NetRead for R {}
