// SPDX-License-Identifier: GPL-2.0

//! Answers to requests that came over netlink.
//!
//! C header: [`include/linux/netlink.h`](srctree/include/linux/netlink.h)

use core::marker::PhantomData;

use kernel::{
    prelude::*,
    str::CStr, //
};
use net_bindings as nb;

/// What a refusal says to the user beside its error number: `ip` and `ethtool` print it. Lent for
/// one callback. C type: `struct netlink_ext_ack`.
///
/// # Examples
///
/// ```ignore
/// if mtu > LONGEST {
///     return Err(extack.refuse(c"the device cannot receive so long frames"));
/// }
/// ```
///
/// # Invariants
///
/// Null, where the request did not come over netlink, or valid during `'a`.
pub struct ExtAck<'a>(*mut nb::netlink_ext_ack, PhantomData<&'a ()>);

impl ExtAck<'_> {
    /// # Safety
    ///
    /// `raw` must be null or valid during `'a`.
    pub(crate) unsafe fn from_raw(raw: *mut nb::netlink_ext_ack) -> Self {
        // INVARIANT: By the requirement.
        Self(raw, PhantomData)
    }

    /// Says why, and is the error: `EINVAL`. C macro: `NL_SET_ERR_MSG()`.
    pub fn refuse(&self, why: &'static CStr) -> Error {
        // SAFETY: By the type invariant; the text stays as long as the module, which is in a call
        // now.
        unsafe { nb::extack_set(self.0, why.as_char_ptr()) };
        EINVAL
    }
}
