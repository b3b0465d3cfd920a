// SPDX-License-Identifier: GPL-2.0

//! A type for each register.

/// The value of a 32-bit register. Made by [`registers!`](crate::registers).
pub trait Bits: Copy {
    /// The value of a register that was read.
    fn from_bits(bits: u32) -> Self;

    /// The value to write.
    fn bits(self) -> u32;
}

/// A register at a fixed place. Made by [`registers!`](crate::registers).
pub trait Register: Bits {
    /// The offset in the region, in bytes; a multiple of 4.
    const OFFSET: usize;
}

/// One of several registers of the same kind. Made by [`registers!`](crate::registers).
pub trait RegisterArray: Bits {
    /// How many there are.
    const LEN: usize;

    /// The offset of the first, in bytes.
    const BASE: usize;

    /// From one to the next, in bytes.
    const STRIDE: usize;

    /// The offset of element `index`, in bytes; `None` if there is no such element.
    #[inline]
    fn offset(index: usize) -> Option<usize> {
        if index >= Self::LEN {
            return None;
        }
        Some(Self::BASE.wrapping_add(index.wrapping_mul(Self::STRIDE)))
    }
}

/// Declares registers, with the bits that have names.
///
/// # Examples
///
/// ```ignore
/// rnet::registers! {
///     /// Device control.
///     pub Ctrl @ 0x0000 {
///         /// Resets the device.
///         RST = 1 << 26,
///     }
///     /// Tail of a receive ring.
///     pub Rdt * 16 @ 0xc018 + 0x40 {}
/// }
///
/// io.update::<Ctrl>(|ctrl| ctrl | Ctrl::RST)?;
/// io.write_index(3, Rdt::new(17));
/// ```
#[macro_export]
macro_rules! registers {
    () => {};
    (
        $(#[$meta:meta])* $vis:vis $name:ident @ $offset:literal
        { $($(#[$bmeta:meta])* $bit:ident = $val:expr),* $(,)? }
        $($rest:tt)*
    ) => {
        $crate::__register_type!($(#[$meta])* $vis $name { $($(#[$bmeta])* $bit = $val,)* });
        impl $crate::mmio::Register for $name {
            const OFFSET: usize = const {
                assert!($offset % 4 == 0, "registers are aligned");
                $offset
            };
        }
        $crate::registers! { $($rest)* }
    };
    (
        $(#[$meta:meta])* $vis:vis $name:ident * $len:literal @ $base:literal + $stride:literal
        { $($(#[$bmeta:meta])* $bit:ident = $val:expr),* $(,)? }
        $($rest:tt)*
    ) => {
        $crate::__register_type!($(#[$meta])* $vis $name { $($(#[$bmeta])* $bit = $val,)* });
        impl $crate::mmio::RegisterArray for $name {
            const LEN: usize = $len;
            const BASE: usize = const {
                assert!($base % 4 == 0, "registers are aligned");
                $base
            };
            const STRIDE: usize = const {
                assert!($stride % 4 == 0, "registers are aligned");
                $stride
            };
        }
        $crate::registers! { $($rest)* }
    };
}

/// The type of a register's value.
#[doc(hidden)]
#[macro_export]
macro_rules! __register_type {
    (
        $(#[$meta:meta])* $vis:vis $name:ident
        { $($(#[$bmeta:meta])* $bit:ident = $val:expr,)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        $vis struct $name(u32);

        #[allow(dead_code)]
        impl $name {
            $($(#[$bmeta])* $vis const $bit: Self = Self($val);)*

            /// A value without a name.
            #[inline]
            $vis const fn new(bits: u32) -> Self {
                Self(bits)
            }

            /// The whole value.
            #[inline]
            $vis const fn get(self) -> u32 {
                self.0
            }

            /// Whether all bits of `other` are set.
            #[inline]
            $vis const fn has(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// With the bits of `other` set if `on`, else cleared.
            #[inline]
            $vis const fn with(self, other: Self, on: bool) -> Self {
                Self(if on { self.0 | other.0 } else { self.0 & !other.0 })
            }
        }

        impl $crate::mmio::Bits for $name {
            #[inline]
            fn from_bits(bits: u32) -> Self {
                Self(bits)
            }

            #[inline]
            fn bits(self) -> u32 {
                self.0
            }
        }

        impl ::core::ops::BitOr for $name {
            type Output = Self;

            #[inline]
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
    };
}
