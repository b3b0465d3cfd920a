// SPDX-License-Identifier: GPL-2.0

//! Short texts for C: cut to what fits, with a NUL behind it.

use core::fmt::Write;

/// At most `N - 1` bytes and a NUL.
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    pub(crate) fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    /// All of it, with zeros behind the text.
    pub(crate) fn bytes(&self) -> &[u8; N] {
        &self.bytes
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for &byte in text.as_bytes() {
            // The last byte stays NUL.
            if self.len >= N.wrapping_sub(1) {
                break;
            }
            if let Some(to) = self.bytes.get_mut(self.len) {
                *to = byte;
            }
            self.len = self.len.wrapping_add(1);
        }
        Ok(())
    }
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_text)]
mod tests {
    use super::*;

    #[test]
    fn cut_with_a_nul() {
        let mut text = Text::<4>::new();
        assert!(text.write_str("ab").is_ok() && text.write_str("cdef").is_ok());
        assert!(text.bytes() == b"abc\0");
    }
}
