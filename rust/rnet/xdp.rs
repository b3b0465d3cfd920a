// SPDX-License-Identifier: GPL-2.0

//! XDP: programs that see a frame before the stack does.
//!
//! The layer does for a NIC what its driver would do: [`nic::Driver`](crate::nic::Driver) says what
//! a descriptor of a frame looks like, and that is all. A device of another kind takes programs with
//! [`netdev::Driver::set_xdp`](crate::netdev::Driver::set_xdp).
//!
//! C header: [`include/net/xdp.h`](srctree/include/net/xdp.h)

use core::{
    marker::PhantomData,
    ptr::{
        null_mut,
        NonNull, //
    },
};

use kernel::sync::atomic::{
    Atomic,
    Full, //
};
use net_bindings as nb;

use crate::rtnl::Rtnl;

/// What a device says that it can: programs with all their answers, and frames that others send
/// through it; both also with frames in several pieces.
pub(crate) const FEATURES: u32 = nb::netdev_xdp_act_NETDEV_XDP_ACT_BASIC
    | nb::netdev_xdp_act_NETDEV_XDP_ACT_RX_SG
    | nb::netdev_xdp_act_NETDEV_XDP_ACT_REDIRECT
    | nb::netdev_xdp_act_NETDEV_XDP_ACT_NDO_XMIT
    | nb::netdev_xdp_act_NETDEV_XDP_ACT_NDO_XMIT_SG;

/// A reference to a program. C type: `struct bpf_prog`.
///
/// # Invariants
///
/// A program, of which this value owns a reference.
pub struct Program(NonNull<nb::bpf_prog>);

// SAFETY: References to programs belong to no thread.
unsafe impl Send for Program {}
// SAFETY: See above.
unsafe impl Sync for Program {}

impl Program {
    /// Another reference. `None` for null.
    ///
    /// # Safety
    ///
    /// `prog` must be null or a program that somebody holds a reference to.
    pub(crate) unsafe fn get(prog: *mut nb::bpf_prog) -> Option<Self> {
        let prog = NonNull::new(prog)?;
        // SAFETY: By the requirement.
        unsafe { nb::bpf_prog_inc(prog.as_ptr()) };
        // INVARIANT: Just taken.
        Some(Self(prog))
    }

    /// Whether it takes frames in several pieces (`BPF_F_XDP_HAS_FRAGS`).
    pub(crate) fn takes_pieces(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { nb::bpf_prog_takes_pieces(self.0.as_ptr()) }
    }

    fn into_raw(self) -> *mut nb::bpf_prog {
        let raw = self.0.as_ptr();
        core::mem::forget(self);
        raw
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. Freed after a grace period, if it was the last.
        unsafe { nb::bpf_prog_put(self.0.as_ptr()) };
    }
}

/// The program of a device, which is exchanged while frames come in.
///
/// # Invariants
///
/// Null, or a program of which this value owns a reference.
pub struct Slot(Atomic<*mut nb::bpf_prog>);

impl Slot {
    /// Without a program.
    pub(crate) fn new() -> Self {
        Self(Atomic::new(null_mut()))
    }

    /// Puts a program there, or takes it away. Frames that are with the one before go on with it.
    /// Process context.
    pub fn set(&self, program: Option<Program>) {
        let new = program.map_or(null_mut(), Program::into_raw);
        let old = self.0.xchg(new, Full);
        if let Some(old) = NonNull::new(old) {
            // INVARIANT: It was ours, and nobody finds it any more.
            drop(Program(old));
        }
    }

    /// Whether there is one.
    pub fn is_set(&self) -> bool {
        // SAFETY: Valid for reads.
        !unsafe { nb::read_once_ptr(self.0.as_ptr().cast()) }.is_null()
    }

    /// Whether there is one that takes no frames in several pieces. Under RTNL, with which programs
    /// are exchanged.
    pub(crate) fn needs_one_piece(&self, _rtnl: &Rtnl) -> bool {
        // SAFETY: By the type invariant; it is not exchanged now.
        unsafe {
            let program = nb::read_once_ptr(self.0.as_ptr().cast()).cast::<nb::bpf_prog>();
            !program.is_null() && !nb::bpf_prog_takes_pieces(program)
        }
    }

    /// The program, for frames that come in now.
    ///
    /// # Safety
    ///
    /// With softirqs off, and not to be used once they are on again: programs are freed after a
    /// grace period.
    #[inline]
    pub(crate) unsafe fn load(&self) -> Option<NonNull<nb::bpf_prog>> {
        // SAFETY: Valid for reads.
        NonNull::new(unsafe { nb::read_once_ptr(self.0.as_ptr().cast()) }.cast())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.set(None);
    }
}

/// A frame that is not a packet of the stack: on its way out of a device. Dropping it gives the
/// memory back to where it came from. C type: `struct xdp_frame`.
///
/// # Invariants
///
/// A frame that this value owns.
pub struct Frame(NonNull<nb::xdp_frame>);

// SAFETY: A frame belongs to whoever owns it, not to a thread.
unsafe impl Send for Frame {}

impl Frame {
    /// # Safety
    ///
    /// `frame` must be one that the caller owns and gives away.
    #[inline]
    pub(crate) unsafe fn from_raw(frame: NonNull<nb::xdp_frame>) -> Self {
        // INVARIANT: By the requirement.
        Self(frame)
    }

    /// Its length in bytes. C function: `xdp_get_frame_len()`.
    #[allow(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&self) -> u32 {
        // SAFETY: By the type invariant.
        unsafe { nb::xdp_frame_len(self.0.as_ptr()) }
    }

    /// Makes it `len` bytes long, with zeros behind. False if it has no room for them.
    pub(crate) fn pad_to(&mut self, len: u32) -> bool {
        // SAFETY: By the type invariant; nobody else sees it.
        self.len() >= len || unsafe { nb::xdp_frame_pad(self.0.as_ptr(), len) }
    }

    /// How many pieces of memory it has.
    #[inline]
    pub(crate) fn pieces(&self) -> u32 {
        // SAFETY: By the type invariant.
        unsafe { nb::xdp_frame_pieces(self.0.as_ptr()) }
    }

    /// Where one of them lies, and how long it is in bytes. `piece` must be below
    /// [`pieces`](Self::pieces), else it is one of no bytes.
    #[inline]
    pub(crate) fn piece(&self, piece: u32) -> (*mut core::ffi::c_void, u32) {
        if piece >= self.pieces() {
            return (null_mut(), 0);
        }
        let mut len = 0;
        // SAFETY: By the type invariant; it has this piece.
        let data = unsafe { nb::xdp_frame_piece(self.0.as_ptr(), piece, &mut len) };
        (data, len)
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut nb::xdp_frame {
        self.0.as_ptr()
    }

    #[inline]
    pub(crate) fn into_raw(self) -> *mut nb::xdp_frame {
        let raw = self.0.as_ptr();
        core::mem::forget(self);
        raw
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant. Any context.
        unsafe { nb::xdp_return_frame(self.0.as_ptr()) };
    }
}

/// Frames that another device, or a program, wants to send through this one. What is not taken out
/// stays the caller's, who drops it.
///
/// # Invariants
///
/// `frames` are `left` frames of the caller's.
pub struct Frames<'a> {
    frames: *mut *mut nb::xdp_frame,
    left: u32,
    taken: u32,
    _lent: PhantomData<&'a ()>,
}

impl Frames<'_> {
    /// # Safety
    ///
    /// `frames` must be `n` frames that are given away one after the other, as they are taken.
    pub(crate) unsafe fn new(frames: *mut *mut nb::xdp_frame, n: u32) -> Self {
        // INVARIANT: By the requirement.
        Self {
            frames,
            left: n,
            taken: 0,
            _lent: PhantomData,
        }
    }

    /// How many were taken.
    pub fn taken(&self) -> u32 {
        self.taken
    }

    /// Gives one back that cannot be sent now, to be the next again.
    pub fn put_back(&mut self, frame: Frame) {
        let Some(taken) = self.taken.checked_sub(1) else {
            return;
        };
        self.taken = taken;
        self.left = self.left.wrapping_add(1);
        // SAFETY: One was taken from in front of `frames`; its place gets one that is the caller's
        // again.
        unsafe {
            self.frames = self.frames.sub(1);
            *self.frames = frame.into_raw();
        }
    }
}

impl Iterator for Frames<'_> {
    type Item = Frame;

    #[inline]
    fn next(&mut self) -> Option<Frame> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: By the type invariant there is another one, which is given away now.
        let frame = unsafe {
            let frame = *self.frames;
            self.frames = self.frames.add(1);
            Frame::from_raw(NonNull::new(frame)?)
        };
        self.taken = self.taken.wrapping_add(1);
        Some(frame)
    }
}
