// SPDX-License-Identifier: GPL-2.0

//! Module parameters that can be changed while the module is loaded.
//!
//! The kernel's `module!` macro knows parameters that are fixed at load and not visible in sysfs.
//! [`module_param!`](crate::module_param) declares one that is a file under
//! `/sys/module/<module>/parameters/`, like the C macro `module_param()`.

use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ptr::null, //
};

use kernel::{
    ffi::c_char,
    str::{
        CStr,
        CStrExt, //
    },
    sync::atomic::{
        Atomic,
        AtomicType,
        Relaxed, //
    }, //
};
use net_bindings as nb;

/// A type that a run-time parameter can have, with the kernel's own functions to set and show it.
///
/// # Safety
///
/// `OPS` must set and show a value of the layout of `Self`, and only ever store valid ones.
pub unsafe trait ParamType: AtomicType {
    /// The kernel's functions. C type: `struct kernel_param_ops`.
    #[doc(hidden)]
    const OPS: *const nb::kernel_param_ops;

    /// Reads a value that may be written at the same time.
    #[doc(hidden)]
    fn load(value: &Atomic<Self>) -> Self;
}

// SAFETY: `param_ops_bool` stores a C `bool`, 0 or 1, which is Rust's `bool`.
unsafe impl ParamType for bool {
    const OPS: *const nb::kernel_param_ops = &raw const nb::param_ops_bool;

    #[inline]
    fn load(value: &Atomic<Self>) -> Self {
        value.load(Relaxed)
    }
}

// SAFETY: `param_ops_uint` stores an `unsigned int`.
unsafe impl ParamType for u32 {
    const OPS: *const nb::kernel_param_ops = &raw const nb::param_ops_uint;

    #[inline]
    fn load(value: &Atomic<Self>) -> Self {
        value.load(Relaxed)
    }
}

/// The value of a parameter. Declared by [`module_param!`](crate::module_param).
#[repr(transparent)]
pub struct Param<T: ParamType> {
    value: Atomic<T>,
    _type: PhantomData<T>,
}

impl<T: ParamType> Param<T> {
    #[doc(hidden)]
    pub const fn new(default: T) -> Self {
        Self {
            value: Atomic::new(default),
            _type: PhantomData,
        }
    }

    /// The value now; somebody may be changing it. Any context.
    #[inline]
    pub fn get(&self) -> T {
        T::load(&self.value)
    }
}

/// The value of a parameter that is a text, given when the module is loaded. Declared by
/// [`module_param!`](crate::module_param).
#[repr(transparent)]
pub struct TextParam(UnsafeCell<*const c_char>);

// SAFETY: Written by the kernel while it reads the parameters, before the module begins, and never
// again: the macro refuses a mode with which it could be.
unsafe impl Sync for TextParam {}

impl TextParam {
    #[doc(hidden)]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(null()))
    }

    /// The kernel's functions to set and show it. C type: `struct kernel_param_ops`.
    #[doc(hidden)]
    pub const OPS: *const nb::kernel_param_ops = &raw const nb::param_ops_charp;

    /// The text; `None` if there was none. Any context.
    pub fn get(&self) -> Option<&'static CStr> {
        // SAFETY: Not written any more once code of the module runs.
        let text = unsafe { *self.0.get() };
        // SAFETY: A string of the kernel, which it frees after the module has ended.
        (!text.is_null()).then(|| unsafe { CStr::from_char_ptr(text) })
    }
}

/// Copies a string literal into an array, for a static in `.modinfo`.
#[doc(hidden)]
pub const fn __modinfo<const N: usize>(text: &str) -> [u8; N] {
    let bytes = text.as_bytes();
    let mut out = [0; N];
    let mut i = 0;
    while i < N {
        out[i] = bytes[i];
        i += 1;
    }
    out
}

/// Declares a module parameter that root can read and change under
/// `/sys/module/<module>/parameters/`. Types: `bool` and `u32`; and `text`, which cannot be changed
/// later and has no default. C macro: `module_param()`.
///
/// # Examples
///
/// ```ignore
/// rnet::module_param! {
///     /// Frames to keep.
///     static keep: u32 = 64, mode: 0o644, "frames to keep (default 64)";
/// }
///
/// if keep.get() > 0 { /* ... */ }
/// ```
#[macro_export]
macro_rules! module_param {
    (
        $(#[$meta:meta])*
        static $name:ident: text, mode: $mode:expr, $desc:literal;
    ) => {
        $(#[$meta])*
        #[allow(non_upper_case_globals)]
        pub(crate) static $name: $crate::TextParam = $crate::TextParam::new();

        const _: () = const {
            assert!($mode & 0o222 == 0, "a text cannot be changed later")
        };
        $crate::__module_param!($name, $mode, $desc, "charp", $crate::TextParam::OPS);
    };
    (
        $(#[$meta:meta])*
        static $name:ident: $type:ident = $default:expr, mode: $mode:expr, $desc:literal;
    ) => {
        $(#[$meta])*
        #[allow(non_upper_case_globals)]
        pub(crate) static $name: $crate::Param<$type> = $crate::Param::new($default);

        $crate::__module_param!(
            $name, $mode, $desc, $crate::__param_type_name!($type),
            <$type as $crate::ParamType>::OPS
        );
    };
}

/// The entries of a parameter in the module's tables.
#[doc(hidden)]
#[macro_export]
macro_rules! __module_param {
    ($name:ident, $mode:expr, $desc:literal, $type:expr, $ops:expr) => {
        const _: () = {
            const PARM: &str = concat!("parm=", stringify!($name), ":", $desc, "\0");
            const PARMTYPE: &str = concat!("parmtype=", stringify!($name), ":", $type, "\0");

            #[link_section = ".modinfo"]
            #[used(compiler)]
            static MODINFO_PARM: [u8; PARM.len()] = $crate::__modinfo(PARM);

            #[link_section = ".modinfo"]
            #[used(compiler)]
            static MODINFO_PARMTYPE: [u8; PARMTYPE.len()] = $crate::__modinfo(PARMTYPE);

            #[link_section = "__param"]
            #[used(compiler)]
            static PARAM: $crate::kernel::module_param::KernelParam =
                $crate::kernel::module_param::KernelParam::new(
                    $crate::kernel::bindings::kernel_param {
                        name: $crate::kernel::str::as_char_ptr_in_const_context(
                            match ::core::ffi::CStr::from_bytes_with_nul(
                                concat!(stringify!($name), "\0").as_bytes(),
                            ) {
                                Ok(name) => name,
                                Err(_) => panic!("parameter name"),
                            },
                        ),
                        // SAFETY: Only the address is taken of what the kernel keeps while the
                        // module is loaded.
                        mod_: unsafe {
                            (&raw const $crate::kernel::bindings::__this_module).cast_mut()
                        },
                        ops: $ops.cast(),
                        perm: $mode,
                        level: -1,
                        flags: 0,
                        __bindgen_anon_1: $crate::kernel::bindings::kernel_param__bindgen_ty_1 {
                            arg: (&raw const $name).cast_mut().cast(),
                        },
                    },
                );
        };
    };
}

/// What `modinfo` calls a type.
#[doc(hidden)]
#[macro_export]
macro_rules! __param_type_name {
    (bool) => {
        "bool"
    };
    (u32) => {
        "uint"
    };
}
