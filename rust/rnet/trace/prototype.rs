// SPDX-License-Identifier: GPL-2.0

//! Prototypes, compared with what the running kernel says of itself.
//!
//! C header: [`include/uapi/linux/btf.h`](srctree/include/uapi/linux/btf.h)

use core::ptr::null_mut;

use kernel::{
    prelude::*,
    str::CStr, //
};
use net_bindings as nb;

/// An argument of a tracepoint, without `const` and names of types (`typedef`).
#[derive(Clone, Copy)]
pub enum Arg {
    /// A pointer to a structure of this name.
    Struct(&'static CStr),
    /// `void *`.
    Void,
    /// Any pointer: one that is not followed.
    Any,
    /// A pointer to a function.
    Function,
    /// An integer of so many bytes.
    Int(u32),
    /// An enum of this name.
    Enum(&'static CStr),
}

/// BTF that was found; it is never given back (`btf_put()` is not exported), but the kernel's own
/// is never freed.
#[derive(Clone, Copy)]
struct Btf(*const nb::btf);

/// One type in it.
#[derive(Clone, Copy)]
struct Type {
    raw: *const nb::btf_type,
    id: u32,
}

impl Type {
    fn kind(self) -> u32 {
        // SAFETY: A type in BTF, which is constant.
        (unsafe { (*self.raw).info } >> 24) & 0x1f
    }

    fn vlen(self) -> usize {
        // SAFETY: A type in BTF, which is constant.
        (unsafe { (*self.raw).info } & 0xffff) as usize
    }

    /// The size of an integer or enum, or the type that another kind refers to.
    fn size_or_type(self) -> u32 {
        // SAFETY: A type in BTF, which is constant; both members of the union are 32-bit numbers.
        unsafe { (*self.raw).__bindgen_anon_1.size }
    }
}

impl Btf {
    fn find(name: &CStr, kind: u32) -> Result<(Self, u32)> {
        let mut btf: *mut nb::btf = null_mut();
        // SAFETY: Process context. Stores a BTF when it returns a number above 0.
        let id = unsafe { nb::btf_find(name.as_char_ptr(), kind, &mut btf) };
        if id <= 0 || btf.is_null() {
            return Err(ENOENT);
        }
        Ok((Self(btf), id.unsigned_abs()))
    }

    fn get(self, id: u32) -> Result<Type> {
        // SAFETY: A BTF that was found; unknown numbers give NULL.
        let raw = unsafe { nb::btf_type(self.0, id) };
        if raw.is_null() {
            return Err(EPROTO);
        }
        Ok(Type { raw, id })
    }

    /// The type behind `const`, `volatile` and names.
    fn plain(self, id: u32) -> Result<Type> {
        let mut ty = self.get(id)?;
        for _ in 0..16 {
            match ty.kind() {
                nb::BTF_KIND_TYPEDEF
                | nb::BTF_KIND_CONST
                | nb::BTF_KIND_VOLATILE
                | nb::BTF_KIND_RESTRICT
                | nb::BTF_KIND_TYPE_TAG => ty = self.get(ty.size_or_type())?,
                _ => return Ok(ty),
            }
        }
        Err(EPROTO)
    }

    /// What a pointer points to; `None` for `void`.
    fn pointee(self, ty: Type) -> Result<Option<Type>> {
        if ty.kind() != nb::BTF_KIND_PTR {
            return Err(EPROTO);
        }
        let target = self.plain(ty.size_or_type())?;
        Ok(if target.id == 0 { None } else { Some(target) })
    }

    fn is(self, id: u32, want: Arg) -> Result<bool> {
        let ty = self.plain(id)?;
        Ok(match want {
            Arg::Int(size) => ty.kind() == nb::BTF_KIND_INT && ty.size_or_type() == size,
            Arg::Enum(name) => {
                ty.kind() == nb::BTF_KIND_ENUM && ty.id == Self::find(name, nb::BTF_KIND_ENUM)?.1
            }
            Arg::Any => ty.kind() == nb::BTF_KIND_PTR,
            Arg::Void => self.pointee(ty)?.is_none(),
            Arg::Function => self
                .pointee(ty)?
                .is_some_and(|to| to.kind() == nb::BTF_KIND_FUNC_PROTO),
            Arg::Struct(name) => match self.pointee(ty)? {
                Some(to) => to.id == Self::find(name, nb::BTF_KIND_STRUCT)?.1,
                None => false,
            },
        })
    }

    /// Fails with `EPROTO` unless the arguments are those.
    fn same<'p>(self, args: impl Iterator<Item = &'p nb::btf_param>, want: &[Arg]) -> Result {
        for (arg, want) in args.zip(want) {
            if !self.is(arg.type_, *want)? {
                return Err(EPROTO);
            }
        }
        Ok(())
    }

    /// The arguments of a function.
    fn args(self, proto: Type) -> &'static [nb::btf_param] {
        // SAFETY: That many parameters lie behind a prototype; BTF of the kernel is constant.
        unsafe { core::slice::from_raw_parts(proto.raw.add(1).cast(), proto.vlen()) }
    }
}

/// Compares `want`, the arguments behind `void *data`, with those of the typedef `name`. Process
/// context. Errors: `EPROTO` if they differ, `ENOENT` if there is no such typedef. A kernel built
/// without BTF is believed.
pub(super) fn check(name: &CStr, want: &[Arg]) -> Result {
    if !cfg!(all(CONFIG_DEBUG_INFO_BTF, CONFIG_BPF_SYSCALL)) {
        return Ok(());
    }
    let (btf, id) = Btf::find(name, nb::BTF_KIND_TYPEDEF)?;
    let Some(proto) = btf.pointee(btf.plain(id)?)? else {
        return Err(EPROTO);
    };
    if proto.kind() != nb::BTF_KIND_FUNC_PROTO || proto.size_or_type() != 0 {
        return Err(EPROTO);
    }
    let mut args = btf.args(proto).iter();
    let data = args.next().ok_or(EPROTO)?;
    if args.len() != want.len() || !btf.is(data.type_, Arg::Void)? {
        return Err(EPROTO);
    }
    btf.same(args, want)
}

/// The same for a function and all of its arguments. A kernel built without BTF is not believed:
/// no header says what an internal function looks like. Errors: as [`check`], and `EOPNOTSUPP`.
pub(super) fn check_function(name: &CStr, want: &[Arg]) -> Result {
    if !cfg!(all(CONFIG_DEBUG_INFO_BTF, CONFIG_BPF_SYSCALL)) {
        return Err(EOPNOTSUPP);
    }
    let (btf, id) = Btf::find(name, nb::BTF_KIND_FUNC)?;
    let proto = btf.get(btf.get(id)?.size_or_type())?;
    if proto.kind() != nb::BTF_KIND_FUNC_PROTO || proto.vlen() != want.len() {
        return Err(EPROTO);
    }
    btf.same(btf.args(proto).iter(), want)
}
