// SPDX-License-Identifier: GPL-2.0

//! Which device a driver is given by name.

use core::ptr::NonNull;

use kernel::{
    error::to_result,
    fmt,
    prelude::*,
    str::CStr, //
};
use net_bindings as nb;

/// Where a PCI device sits. Shown as `0000:01:00.0`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Address {
    domain: u32,
    bus: u8,
    devfn: u8,
}

impl Address {
    /// Reads `[domain:]bus:device.function`, all of it hexadecimal, as `lspci` shows it. Any
    /// context. Errors: `EINVAL`.
    ///
    /// # Examples
    ///
    /// ```ignore
    /// let address = pci::Address::parse(b"01:00.0")?;
    /// ```
    pub fn parse(text: &[u8]) -> Result<Self> {
        let (rest, function) = split(text, b'.').ok_or(EINVAL)?;
        let (rest, device) = split(rest, b':').ok_or(EINVAL)?;
        let (domain, bus) = match split(rest, b':') {
            Some((domain, bus)) => (hex(domain, u32::MAX)?, bus),
            None => (0, rest),
        };
        let (bus, device, function) = (hex(bus, 0xff)?, hex(device, 0x1f)?, hex(function, 7)?);
        Ok(Self {
            domain,
            bus: bus as u8,
            devfn: (device << 3 | function) as u8,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04x}:{:02x}:{:02x}.{}",
            self.domain,
            self.bus,
            self.devfn >> 3,
            self.devfn & 7
        )
    }
}

/// What is before and behind the last `mark`.
fn split(text: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|&byte| byte == mark)?;
    let (before, after) = text.split_at_checked(at)?;
    Some((before, after.get(1..)?))
}

/// A number of at most eight digits.
fn hex(text: &[u8], max: u32) -> Result<u32> {
    if text.is_empty() || text.len() > 8 {
        return Err(EINVAL);
    }
    let mut value = 0u32;
    for &byte in text {
        let digit = char::from(byte).to_digit(16).ok_or(EINVAL)?;
        value = value << 4 | digit;
    }
    if value > max {
        return Err(EINVAL);
    }
    Ok(value)
}

/// A reference to a device.
struct Found(NonNull<nb::pci_dev>);

impl Found {
    fn new(address: Address) -> Option<Self> {
        let domain = i32::try_from(address.domain).ok()?;
        // SAFETY: No requirement; takes a reference to what it finds. Process context.
        let found = unsafe {
            nb::pci_get_domain_bus_and_slot(domain, address.bus.into(), address.devfn.into())
        };
        NonNull::new(found).map(Self)
    }

    fn device(&self) -> *mut nb::device {
        // SAFETY: We have a reference.
        unsafe { nb::pci_dev_device(self.0.as_ptr()) }
    }

    /// Says which driver may have the device; an empty name: any.
    fn set_override(&self, name: &CStr) -> Result {
        // SAFETY: We have a reference to the device; the name is copied.
        to_result(unsafe { nb::device_set_driver_override(self.device(), name.as_char_ptr()) })
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        // SAFETY: Our reference, given back once.
        unsafe { nb::pci_dev_put(self.0.as_ptr()) };
    }
}

/// Gives the device at `address` to `driver`, whose name is `name`. What is said in
/// `driver_override` for that is taken back: it is heeded only while a driver is looked for.
///
/// # Safety
///
/// `driver` must be registered, with this name, and stay so meanwhile.
pub(super) unsafe fn bind(driver: *mut nb::pci_driver, name: &CStr, address: Address) -> Result {
    let found = Found::new(address).ok_or(ENODEV)?;
    // SAFETY: We have a reference to the device.
    if unsafe { nb::device_has_driver_override(found.device()) } {
        return Err(EBUSY);
    }
    found.set_override(name)?;
    // SAFETY: By the requirement of this function, and we have a reference to the device. Process
    // context, no locks held.
    let result = to_result(unsafe { nb::pci_driver_attach(driver, found.device()) });
    found.set_override(c"")?;
    result
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_pci_address)]
mod tests {
    use super::*;

    fn is(text: &[u8], domain: u32, bus: u8, devfn: u8) -> bool {
        Address::parse(text).is_ok_and(|a| (a.domain, a.bus, a.devfn) == (domain, bus, devfn))
    }

    #[test]
    fn with_and_without_a_domain() {
        assert!(is(b"0000:01:00.0", 0, 1, 0));
        assert!(is(b"01:00.0", 0, 1, 0));
        assert!(is(b"10000:ff:1F.7", 0x10000, 0xff, 0xff));
        assert!(is(b"a:2.3", 0, 10, 0x13));
    }

    #[test]
    fn nonsense() {
        for text in [
            &b""[..],
            b".",
            b":.",
            b"00:00",
            b"00.0",
            b"0:100:00.0",
            b"0:00:20.0",
            b"0:00:00.8",
            b"0:00:00.0 ",
            b"-1:00:00.0",
            b"0:0:00:00.0",
            b"123456789:00:00.0",
        ] {
            assert!(Address::parse(text).is_err());
        }
    }
}
