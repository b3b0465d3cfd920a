// SPDX-License-Identifier: GPL-2.0

//! What a probe can see of a packet.

use core::{
    marker::PhantomData,
    num::NonZeroU64,
    ptr::NonNull, //
};

use kernel::{
    prelude::*,
    str::CStr, //
};
use net_bindings as nb;

use crate::{
    identity::Id,
    netdev::Device,
    netns::Net,
    percpu::CounterSet, //
};

/// A packet that is somebody else's: to look at during the call.
///
/// # Invariants
///
/// `ptr` is valid during `'a`.
#[derive(Clone, Copy)]
pub struct PacketRef<'a> {
    ptr: NonNull<nb::sk_buff>,
    _call: PhantomData<&'a nb::sk_buff>,
}

/// Which packet it is, while it is one: the address may be that of another one later.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PacketId(NonZeroU64);

impl PacketId {
    #[inline(always)]
    pub(crate) fn as_u64(self) -> u64 {
        self.0.get()
    }

    /// As a number for [`Cells`](crate::percpu::Cells), to be compared with [`is`](Self::is).
    #[inline(always)]
    pub fn to_cell(self) -> u64 {
        self.0.get()
    }

    /// Whether a cell holds this packet.
    #[inline(always)]
    pub fn is(self, cell: u64) -> bool {
        self.0.get() == cell
    }
}

impl<'a> PacketRef<'a> {
    /// # Safety
    ///
    /// `ptr` must be valid during `'a`.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(ptr: *const nb::sk_buff) -> Self {
        Self {
            // INVARIANT: By the requirement of this function.
            // SAFETY: A valid pointer is not null.
            ptr: unsafe { NonNull::new_unchecked(ptr.cast_mut()) },
            _call: PhantomData,
        }
    }

    /// Which packet it is.
    #[inline(always)]
    pub fn id(&self) -> PacketId {
        // SAFETY: A `NonNull` is not zero.
        PacketId(unsafe { NonZeroU64::new_unchecked(self.ptr.as_ptr() as u64) })
    }

    /// Length in bytes. C member: `skb->len`.
    #[inline(always)]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::skb_len(self.ptr.as_ptr()) }
    }

    /// The mark that its sender has given it (`SO_MARK`), or a rule. C member: `skb->mark`.
    #[inline(always)]
    pub fn mark(&self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::skb_mark(self.ptr.as_ptr()) }
    }

    /// The protocol in it, such as 0x0800 for IPv4. C member: `skb->protocol`.
    #[inline(always)]
    pub fn protocol(&self) -> u16 {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::skb_protocol_host(self.ptr.as_ptr()) }
    }

    /// What the packet names as its device: only to be compared, since protocols use the member
    /// for other things once a packet is theirs. C member: `skb->dev`.
    #[inline(always)]
    pub fn device_id(&self) -> Id<Device> {
        // SAFETY: Valid by the type invariant.
        Id::of(unsafe { nb::skb_dev(self.ptr.as_ptr()) })
    }

    /// # Safety
    ///
    /// The packet must be between a device and the protocols, where `skb->dev` is a device that
    /// stays during `'a`.
    #[inline(always)]
    pub(super) unsafe fn device(&self) -> &'a Device {
        // SAFETY: By the requirement of this function.
        unsafe { Device::from_raw(nb::skb_dev(self.ptr.as_ptr())) }
    }
}

/// A socket that is somebody else's: to look at during the call.
///
/// # Invariants
///
/// `ptr` is valid during `'a`.
#[derive(Clone, Copy)]
pub struct SocketRef<'a> {
    ptr: NonNull<nb::sock>,
    _call: PhantomData<&'a nb::sock>,
}

impl SocketRef<'_> {
    /// # Safety
    ///
    /// `ptr` must be valid during `'a`.
    #[inline(always)]
    pub(super) unsafe fn from_raw(ptr: *const nb::sock) -> Self {
        Self {
            // INVARIANT: By the requirement of this function.
            // SAFETY: A valid pointer is not null.
            ptr: unsafe { NonNull::new_unchecked(ptr.cast_mut()) },
            _call: PhantomData,
        }
    }

    /// The namespace that the socket is in. C function: `sock_net()`.
    #[inline(always)]
    pub fn net_id(&self) -> Id<Net> {
        // SAFETY: Valid by the type invariant.
        Id::of(unsafe { nb::sock_net(self.ptr.as_ptr()) })
    }

    /// The number that `getsockopt(SO_COOKIE)` has given the socket; 0 if nobody has asked yet. C
    /// member: `sk->sk_cookie`.
    #[inline(always)]
    pub fn cookie(&self) -> u64 {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::sock_cookie(self.ptr.as_ptr()) }
    }
}

/// Why the kernel dropped a packet: one of the kernel's own reasons, or one of a module's, which are
/// all the same here. C type: `enum skb_drop_reason`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReasonNo(u32);

const REASONS: u32 = nb::skb_drop_reason_SKB_DROP_REASON_MAX;

impl ReasonNo {
    #[inline(always)]
    pub(super) fn from_raw(raw: nb::skb_drop_reason) -> Self {
        Self(if raw < REASONS { raw } else { REASONS })
    }

    /// All of them, the last being those of modules.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=REASONS).map(Self)
    }

    /// Its number in the running kernel, or one above all of them for those of modules.
    #[inline(always)]
    pub fn number(self) -> u32 {
        self.0
    }

    /// Its name, as `dropwatch` and the tracepoint show it; `None` for a number without one. C
    /// variable: `drop_reasons_by_subsys`.
    pub fn name(self) -> Option<&'static CStr> {
        if self.0 >= REASONS {
            return Some(c"OTHER_SUBSYSTEM");
        }
        let mut names = core::ptr::null();
        // SAFETY: The list of the kernel's own reasons is constant and stays.
        let count = unsafe { nb::drop_reasons(&mut names) };
        if self.0 >= count {
            return None;
        }
        // SAFETY: `names` has `count` members.
        let name = unsafe { *names.add(self.0 as usize) };
        if name.is_null() {
            return None;
        }
        // SAFETY: A string constant of the kernel.
        Some(unsafe { CStr::from_char_ptr(name) })
    }
}

impl CounterSet for ReasonNo {
    const LEN: usize = REASONS as usize + 1;

    #[inline(always)]
    fn index(self) -> usize {
        self.0 as usize
    }
}
