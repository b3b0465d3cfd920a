// SPDX-License-Identifier: GPL-2.0

//! A frame that has come in.

use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};

use net_bindings as nb;

use super::rx::RxRing;
use crate::{
    dma::Descriptor,
    nic::Nic,
    skb::DropReason, //
};

/// A descriptor for received frames.
#[allow(clippy::len_without_is_empty)]
pub trait RxDescriptor: Descriptor {
    /// Offers the device a buffer of [`RX_BUFFER`](super::RX_BUFFER) bytes.
    fn post(dma: u64) -> Self;

    /// How many bytes the device says that it has written into this buffer.
    fn len(&self) -> u32;

    /// Whether the frame ends in this buffer.
    fn is_last(&self) -> bool;

    /// Whether the device says that the frame is damaged.
    fn is_bad(&self) -> bool;
}

/// A received frame, with what the device said about it. Dropping it frees and counts it.
///
/// # Invariants
///
/// `skb` is a packet with an Ethernet header in its linear part, owned by this value.
pub struct RxPacket<'a, D: RxDescriptor> {
    skb: NonNull<nb::sk_buff>,
    desc: D,
    ring: &'a RxRing<D>,
}

impl<'a, D: RxDescriptor> RxPacket<'a, D> {
    /// # Safety
    ///
    /// `skb` must fulfil the type invariant; only in the poll function of the ring's NAPI.
    #[inline]
    pub(super) unsafe fn new(skb: NonNull<nb::sk_buff>, desc: D, ring: &'a RxRing<D>) -> Self {
        // INVARIANT: By the requirement of this function.
        Self { skb, desc, ring }
    }

    /// What the device wrote into the last descriptor of the frame.
    #[inline]
    pub fn descriptor(&self) -> D {
        self.desc
    }

    /// The length of the frame in bytes.
    #[allow(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::skb_len(self.skb.as_ptr()) }
    }

    /// The device has verified the checksum of the transport header. C value:
    /// `CHECKSUM_UNNECESSARY`.
    #[inline]
    pub fn checksum_verified(&mut self) {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::skb_csum_unnecessary(self.skb.as_ptr()) };
    }

    /// The device's hash of the flow; `ports` says whether ports are in it. C function:
    /// `skb_set_hash()`.
    #[inline]
    pub fn hash(&mut self, hash: u32, ports: bool) {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::skb_set_hash(self.skb.as_ptr(), hash, ports) };
    }

    /// The VLAN tag that the device has taken out of the frame. C function:
    /// `__vlan_hwaccel_put_tag()`.
    #[inline]
    pub fn vlan_tag(&mut self, tci: u16) {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::skb_put_vlan_tag(self.skb.as_ptr(), tci) };
    }

    /// The count of the device's clock when the frame came in. C function: `skb_hwtstamps()`.
    pub fn stamp(&mut self, nic: &Nic<'_>, cycles: u64) {
        // SAFETY: Valid by the type invariant.
        unsafe { nb::skb_set_hwtstamp(self.skb.as_ptr(), nic.time_of(cycles)) };
    }

    /// Counts a frame whose checksum the device found to be wrong: the stack looks again.
    #[inline]
    pub fn count_checksum_error(&self) {
        self.ring.stats.checksum_errors.add(1);
    }

    /// Hands the frame to the stack. C functions: `eth_type_trans()`, `napi_gro_receive()`.
    #[inline]
    pub fn deliver(self) {
        self.ring.stats.packets.add(1);
        self.ring.stats.bytes.add(self.len().into());
        let this = ManuallyDrop::new(self);
        // SAFETY: Ours by the type invariant, and given away. We are in the poll function of this
        // NAPI, of this device.
        unsafe {
            nb::skb_rx_prepare(
                this.skb.as_ptr(),
                this.ring.netdev.as_ptr(),
                this.ring.queue,
            );
            nb::napi_gro_receive(this.ring.napi.as_ptr(), this.skb.as_ptr());
        }
    }
}

impl<D: RxDescriptor> Drop for RxPacket<'_, D> {
    fn drop(&mut self) {
        self.ring.stats.dropped.add(1);
        // SAFETY: Ours by the type invariant.
        unsafe {
            nb::dev_kfree_skb_any_reason(self.skb.as_ptr(), DropReason::NOT_SPECIFIED.as_raw())
        };
    }
}
