// SPDX-License-Identifier: GPL-2.0

//! Interrupt vectors, owned by the layer.
//!
//! A driver never holds a vector: it could not keep it and its registration in one value, and a
//! leaked one would leave a handler in unloaded text. The layer allocates vectors when a device is
//! bound, requests them when it goes up and frees them when it goes down.
//!
//! C header: [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)

use core::{
    fmt::Write,
    ptr::NonNull, //
};

use kernel::{
    error::to_result,
    ffi::{
        c_int,
        c_void, //
    },
    fmt,
    prelude::*, //
};
use net_bindings as nb;

use crate::text::Text;

/// How interrupts are delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// A vector for each group of queues, and the last one for everything else.
    MsiX,
    /// One message for everything.
    Msi,
    /// One line, perhaps shared with other devices.
    Intx,
}

/// The vectors of a PCI device. C functions: `pci_alloc_irq_vectors()`, `pci_free_irq_vectors()`.
///
/// # Invariants
///
/// `pdev` is enabled and has `count` vectors, which belong to this value.
pub(crate) struct Vectors {
    pdev: NonNull<nb::pci_dev>,
    mode: Mode,
    count: u32,
}

// SAFETY: Vectors belong to no thread.
unsafe impl Send for Vectors {}
// SAFETY: Only read when shared.
unsafe impl Sync for Vectors {}

impl Vectors {
    /// Allocates one vector for each of up to `queues` groups of queues and one for everything
    /// else; else one message; else the line. Process context. Errors: what the PCI core says.
    ///
    /// # Safety
    ///
    /// `pdev` must be enabled, have no vectors, and stay bound while the returned value exists.
    pub(crate) unsafe fn new(pdev: NonNull<nb::pci_dev>, queues: u32) -> Result<Self> {
        let wanted = queues.max(1).saturating_add(1);
        let tries = [
            (Mode::MsiX, 2, wanted, nb::PCI_IRQ_MSIX),
            (Mode::Msi, 1, 1, nb::PCI_IRQ_MSI),
            (Mode::Intx, 1, 1, nb::PCI_IRQ_INTX),
        ];
        let mut err = ENODEV;
        for (mode, min, max, flag) in tries {
            // SAFETY: By the requirement of this function.
            let got = unsafe { nb::pci_alloc_irq_vectors(pdev.as_ptr(), min, max, flag) };
            match u32::try_from(got) {
                // INVARIANT: Just allocated.
                Ok(count) => return Ok(Self { pdev, mode, count }),
                Err(_) => err = Error::from_errno(got),
            }
        }
        Err(err)
    }

    /// How interrupts come.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// How many vectors can serve queues.
    pub(crate) fn for_queues(&self) -> u32 {
        match self.mode {
            Mode::MsiX => self.count.wrapping_sub(1).max(1),
            _ => 1,
        }
    }

    /// The number of the vector for everything else than queues, if it is not that of the queues.
    pub(crate) fn other(&self) -> Option<u32> {
        match self.mode {
            Mode::MsiX => Some(self.count.wrapping_sub(1)),
            _ => None,
        }
    }

    /// The kernel's interrupt number of a vector. C function: `pci_irq_vector()`.
    pub(crate) fn irq(&self, vector: u32) -> Result<u32> {
        // SAFETY: A device with vectors, by the type invariant; an invalid number is an error.
        let irq = unsafe { nb::pci_irq_vector(self.pdev.as_ptr(), vector) };
        u32::try_from(irq).map_err(|_| Error::from_errno(irq))
    }
}

impl Drop for Vectors {
    fn drop(&mut self) {
        // SAFETY: Ours by the type invariant; no handler is registered any more.
        unsafe { nb::pci_free_irq_vectors(self.pdev.as_ptr()) };
    }
}

/// A handler of an interrupt.
pub(crate) type Handler = unsafe extern "C" fn(c_int, *mut c_void) -> nb::irqreturn_t;

/// A requested interrupt. Dropping it waits until the handler has ended. C functions:
/// `request_irq()`, `free_irq()`.
///
/// # Invariants
///
/// `irq` is requested with `cookie`.
pub(crate) struct Line {
    irq: u32,
    cookie: *mut c_void,
    /// What `/proc/interrupts` calls it.
    _name: KBox<Text<32>>,
}

// SAFETY: May be freed by another task than requested it.
unsafe impl Send for Line {}

impl Line {
    /// Requests `irq`. Process context. Errors: what `request_irq()` says; `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `handler` must be safe to call with `cookie`, in hard interrupt context, at once and until
    /// the returned value is dropped.
    pub(crate) unsafe fn new(
        irq: u32,
        handler: Handler,
        shared: bool,
        cookie: *mut c_void,
        name: fmt::Arguments<'_>,
    ) -> Result<Self> {
        let mut text = KBox::new(Text::<32>::new(), GFP_KERNEL)?;
        text.write_fmt(name).map_err(|_| EINVAL)?;
        let flags = if shared { nb::IRQF_SHARED } else { 0 };
        // SAFETY: The handler may be called with the cookie, by the requirement of this function;
        // the name stays until the interrupt is freed.
        to_result(unsafe {
            nb::request_irq(
                irq,
                Some(handler),
                flags as usize,
                text.bytes().as_ptr().cast(),
                cookie,
            )
        })?;
        // INVARIANT: Just requested.
        Ok(Self {
            irq,
            cookie,
            _name: text,
        })
    }

    pub(crate) fn irq(&self) -> u32 {
        self.irq
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // SAFETY: Requested with this cookie. Process context, since it sleeps.
        unsafe { nb::free_irq(self.irq, self.cookie) };
    }
}
