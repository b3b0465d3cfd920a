// SPDX-License-Identifier: GPL-2.0

//! Whose code carries a device's packets.

use kernel::fmt;
use net_bindings as nb;

use super::Device;

/// What `%ps` prints at most: a symbol and the module that it is in. C macro: `KSYM_SYMBOL_LEN`,
/// less the offset and the build id.
const SYMBOL_LEN: usize = 512 + 64;

/// The name of a module. C macro: `MODULE_NAME_LEN`.
const NAME_LEN: usize = 64;

/// The module that a device's transmit function is in. Made by [`Device::xmit_owner`].
pub struct XmitOwner {
    name: [u8; NAME_LEN],
    len: usize,
}

impl XmitOwner {
    /// From what `%ps` prints: `function` or `function [module]`.
    fn from_symbol(symbol: &[u8]) -> Self {
        let inside = symbol
            .strip_suffix(b"]")
            .and_then(|rest| rest.rsplit(|&byte| byte == b'[').next())
            .filter(|name| name.len() < symbol.len() - 1 && !name.is_empty())
            .unwrap_or(b"kernel");
        let mut name = [0; NAME_LEN];
        let mut len = 0;
        for (to, &from) in name.iter_mut().zip(inside) {
            *to = from;
            len += 1;
        }
        Self { name, len }
    }

    fn bytes(&self) -> &[u8] {
        self.name.get(..self.len).unwrap_or(&[])
    }
}

/// The module's name; `kernel` for what is built in.
impl fmt::Display for XmitOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.bytes() {
            core::fmt::Write::write_char(f, char::from(byte))?;
        }
        Ok(())
    }
}

impl Device {
    /// Whose transmit function the device calls now: what the symbol table says about its address,
    /// not what any driver believes. Process context.
    pub fn xmit_owner(&self) -> XmitOwner {
        let mut symbol = [0u8; SYMBOL_LEN];
        // SAFETY: Valid device. Its table stays until a grace period of tasks after it was put in
        // another's place, and nothing sleeps here. At most the buffer's length is written.
        let len = unsafe {
            nb::netdev_xmit_symbol(self.as_raw(), symbol.as_mut_ptr().cast(), SYMBOL_LEN)
        };
        let len = usize::try_from(len).unwrap_or(0);
        XmitOwner::from_symbol(symbol.get(..len).unwrap_or(&[]))
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_xmit_owner)]
mod tests {
    use super::*;

    fn owner(symbol: &[u8]) -> XmitOwner {
        XmitOwner::from_symbol(symbol)
    }

    #[test]
    fn built_in() {
        assert!(owner(b"loopback_xmit").bytes() == b"kernel");
        assert!(owner(b"0xffffffff81000000").bytes() == b"kernel");
        assert!(owner(b"").bytes() == b"kernel");
    }

    #[test]
    fn module() {
        assert!(owner(b"veth_xmit [veth]").bytes() == b"veth");
        assert!(owner(b"_RNvXs4_Nt [not this] [rlo]").bytes() == b"rlo");
    }

    #[test]
    fn nonsense() {
        assert!(owner(b"]").bytes() == b"kernel");
        assert!(owner(b"x []").bytes() == b"kernel");
        assert!(owner(b"no start]").bytes() == b"kernel");
        assert!(owner(b"[").bytes() == b"kernel");
        let long = [b'a'; 200];
        let mut symbol = [b'a'; 204];
        symbol[1] = b'[';
        symbol[203] = b']';
        assert!(owner(&symbol).bytes().len() == NAME_LEN);
        assert!(owner(&long).bytes() == b"kernel");
    }
}
