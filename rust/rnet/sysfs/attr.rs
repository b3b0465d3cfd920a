// SPDX-License-Identifier: GPL-2.0

//! Attributes and groups of them.

#[cfg(RNET_KUNIT)]
mod kunit;

use core::{
    fmt::{
        self,
        Write, //
    },
    ptr::null_mut,
};

use kernel::{
    ffi::c_char,
    fmt::Arguments,
    prelude::*,
    str::{
        kstrtobool_bytes,
        parse_int::ParseInt,
        BStr,
        CStr, //
    },
    sync::{
        rcu,
        Arc, //
    },
    types::Opaque, //
};
use net_bindings as nb;
use pin_init::zeroed;

use crate::netdev::Device;

/// What a file shows: at most one page, collected by the show function.
pub struct Page<'a> {
    buf: &'a mut [u8],
    len: usize,
    dev: Option<&'a Device>,
}

impl<'a> Page<'a> {
    /// The network device that the file belongs to, if it belongs to one. As [`Input::device`].
    pub fn device(&self) -> Option<&'a Device> {
        self.dev
    }

    /// Appends formatted text. Errors: `EFBIG` when the page is full. C function:
    /// `sysfs_emit_at()`.
    pub fn emit(&mut self, args: Arguments<'_>) -> Result {
        self.write_fmt(args).map_err(|_| EFBIG)
    }
}

impl Write for Page<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len.checked_add(text.len()).ok_or(fmt::Error)?;
        let space = self.buf.get_mut(self.len..end).ok_or(fmt::Error)?;
        space.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// What was written to a file, without the newline at its end.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    bytes: &'a [u8],
    dev: Option<&'a Device>,
}

impl<'a> Input<'a> {
    /// The bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The network device that the file belongs to, if it belongs to one. It is not freed before
    /// the store function returns; whether it is being unregistered meanwhile, RTNL tells.
    pub fn device(&self) -> Option<&'a Device> {
        self.dev
    }

    /// A truth value, as the kernel writes them: 1/0, y/n, on/off. Errors: `EINVAL` for anything
    /// else, also with something behind it.
    pub fn bool(&self) -> Result<bool> {
        let word = self.bytes.len() == 1
            || self.bytes.eq_ignore_ascii_case(b"on")
            || self.bytes.eq_ignore_ascii_case(b"off");
        if word {
            kstrtobool_bytes(self.bytes)
        } else {
            Err(EINVAL)
        }
    }

    /// A number: decimal, or hexadecimal, octal or binary with a prefix. Errors: `EINVAL`, also
    /// when it does not fit the type.
    pub fn number<N: ParseInt>(&self) -> Result<N> {
        N::from_str(BStr::from_bytes(self.bytes))
    }
}

/// One file: its name, mode and functions. `T` is what the functions work on.
///
/// # Examples
///
/// ```ignore
/// static FILES: [Attribute<State>; 2] = [
///     Attribute::ro(c"count", |s, page| page.emit(fmt!("{}\n", s.count()))),
///     Attribute::rw(c"limit", |s, page| page.emit(fmt!("{}\n", s.limit())), |s, input| {
///         s.set_limit(input.number()?);
///         Ok(())
///     }),
/// ];
/// ```
pub struct Attribute<T: 'static> {
    name: &'static CStr,
    mode: u16,
    show: Option<fn(&T, &mut Page<'_>) -> Result>,
    store: Option<fn(&T, Input<'_>) -> Result>,
}

impl<T> Attribute<T> {
    /// A file that everybody can read (0444).
    pub const fn ro(name: &'static CStr, show: fn(&T, &mut Page<'_>) -> Result) -> Self {
        Self {
            name,
            mode: 0o444,
            show: Some(show),
            store: None,
        }
    }

    /// A file that everybody can read and its owner write (0644). `store` may sleep; it must not
    /// wait for RTNL ([`rtnl::try_lock_or_restart`](crate::rtnl::try_lock_or_restart)) and must
    /// not remove its own directory.
    pub const fn rw(
        name: &'static CStr,
        show: fn(&T, &mut Page<'_>) -> Result,
        store: fn(&T, Input<'_>) -> Result,
    ) -> Self {
        Self {
            name,
            mode: 0o644,
            show: Some(show),
            store: Some(store),
        }
    }

    /// A file that its owner can only write (0200).
    pub const fn wo(name: &'static CStr, store: fn(&T, Input<'_>) -> Result) -> Self {
        Self {
            name,
            mode: 0o200,
            show: None,
            store: Some(store),
        }
    }

    /// A file that only its owner can read (0400): not what containers should see.
    pub const fn root_ro(name: &'static CStr, show: fn(&T, &mut Page<'_>) -> Result) -> Self {
        Self::ro(name, show).mode(0o400)
    }

    /// A file that only its owner can read and write (0600). As [`rw`](Self::rw).
    pub const fn root_rw(
        name: &'static CStr,
        show: fn(&T, &mut Page<'_>) -> Result,
        store: fn(&T, Input<'_>) -> Result,
    ) -> Self {
        Self::rw(name, show, store).mode(0o600)
    }

    /// Another mode, such as 0400 for what containers should not see. Bits that sysfs does not
    /// allow (writing for others, execution) are left out.
    pub const fn mode(mut self, mode: u16) -> Self {
        self.mode = mode & 0o664;
        self
    }
}

/// Who may write.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    /// The machine's administrator.
    Global,
    /// The administrator of the network namespace of this device.
    Device(*mut nb::net_device),
}

/// What the kernel knows of one file.
#[repr(C)]
struct RawAttr<T: 'static> {
    /// First, so that a pointer to it is one to `Self`.
    raw: Opaque<nb::kobj_attribute>,
    def: &'static Attribute<T>,
    data: *const T,
    owner: Owner,
}

impl<T> RawAttr<T> {
    /// The device that the file belongs to. For the functions of the file.
    fn device(&self) -> Option<&Device> {
        match self.owner {
            Owner::Global => None,
            // SAFETY: The device is there as long as its directory has this file, whose removal
            // waits for its functions.
            Owner::Device(dev) => Some(unsafe { Device::from_raw(dev) }),
        }
    }
}

impl<T: Send + Sync> RawAttr<T> {
    unsafe extern "C" fn show(
        _kobj: *mut nb::kobject,
        attr: *mut nb::kobj_attribute,
        buf: *mut c_char,
    ) -> isize {
        // SAFETY: `attr` is the first member of a `RawAttr<T>`, which outlives the files: sysfs
        // calls this only while the file exists and its removal waits for us.
        let (this, data) = unsafe {
            let this = &*attr.cast::<Self>();
            (this, &*this.data)
        };
        let Some(show) = this.def.show else {
            return EIO.to_errno() as isize;
        };
        // SAFETY: sysfs hands over a page of its own, zeroed. It wants less than a whole page back.
        let buf = unsafe { core::slice::from_raw_parts_mut(buf.cast(), nb::PAGE_SIZE - 1) };
        let mut page = Page {
            buf,
            len: 0,
            dev: this.device(),
        };
        match show(data, &mut page) {
            Ok(()) => page.len as isize,
            Err(err) => err.to_errno() as isize,
        }
    }

    unsafe extern "C" fn store(
        _kobj: *mut nb::kobject,
        attr: *mut nb::kobj_attribute,
        buf: *const c_char,
        count: usize,
    ) -> isize {
        // SAFETY: As in `show()`.
        let (this, data) = unsafe {
            let this = &*attr.cast::<Self>();
            (this, &*this.data)
        };
        let dev = this.device();
        let capable = match dev {
            Some(dev) => dev.net(&rcu::read_lock()).admin_capable(),
            // SAFETY: Process context.
            None => unsafe { nb::capable(nb::CAP_NET_ADMIN as i32) },
        };
        if !capable {
            return EPERM.to_errno() as isize;
        }
        let Some(store) = this.def.store else {
            return EIO.to_errno() as isize;
        };
        // SAFETY: sysfs hands over `count` bytes, at most a page.
        let bytes = unsafe { core::slice::from_raw_parts(buf.cast::<u8>(), count) };
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        match store(data, Input { bytes, dev }) {
            Ok(()) => count as isize,
            Err(err) => err.to_errno() as isize,
        }
    }
}

/// The attributes of a directory together with the data behind them, to be attached to something.
pub struct Group<T: Send + Sync + 'static> {
    name: &'static CStr,
    attrs: &'static [Attribute<T>],
    data: Arc<T>,
}

impl<T: Send + Sync + 'static> Group<T> {
    /// A directory called `name`, to be attached to a device with
    /// [`Builder::sysfs_group`](crate::netdev::Builder::sysfs_group).
    pub fn new(name: &'static CStr, attrs: &'static [Attribute<T>], data: Arc<T>) -> Self {
        Self { name, attrs, data }
    }

    pub(crate) fn into_memory(self, dev: &Device) -> Result<GroupMemory> {
        let owner = Owner::Device(dev.as_raw());
        GroupMemory::new(Some(self.name), &[self.attrs], self.data, owner)
    }
}

/// A group that sysfs may point to: to be kept until its files have been removed.
pub struct GroupMemory(KBox<dyn AsRaw>);

// SAFETY: What lies in it is constant once laid out, and the data is `Send` and `Sync`.
unsafe impl Send for GroupMemory {}
// SAFETY: See above.
unsafe impl Sync for GroupMemory {}

impl GroupMemory {
    /// Lays out what the kernel wants to see. Errors: `ENOMEM`.
    pub(super) fn new<T: Send + Sync + 'static>(
        name: Option<&'static CStr>,
        tables: &[&'static [Attribute<T>]],
        data: Arc<T>,
        owner: Owner,
    ) -> Result<Self> {
        let mut attrs = KVec::new();
        for def in tables.iter().copied().flatten() {
            let mut raw: nb::kobj_attribute = zeroed();
            raw.attr.name = def.name.as_char_ptr();
            raw.attr.mode = def.mode;
            raw.__bindgen_anon_1.show = Some(RawAttr::<T>::show);
            raw.__bindgen_anon_2.store = Some(RawAttr::<T>::store);
            attrs.push(
                RawAttr {
                    raw: Opaque::new(raw),
                    def,
                    data: Arc::as_ptr(&data),
                    owner,
                },
                GFP_KERNEL,
            )?;
        }
        // `attrs` does not grow any more, so its elements stay where they are.
        let mut pointers = KVec::with_capacity(attrs.len().saturating_add(1), GFP_KERNEL)?;
        for attr in &attrs {
            // The first member of a `kobj_attribute`.
            let attr: *mut nb::attribute = attr.raw.get().cast();
            // SAFETY: A zeroed attribute of ours; gives it a lock class.
            unsafe { nb::sysfs_attr_init(attr) };
            pointers.push(attr, GFP_KERNEL)?;
        }
        pointers.push(null_mut(), GFP_KERNEL)?;

        let mut raw: nb::attribute_group = zeroed();
        raw.name = name.map_or(core::ptr::null(), |name| name.as_char_ptr());
        raw.__bindgen_anon_2.attrs = pointers.as_mut_ptr();
        Ok(Self(KBox::new(
            Layout {
                raw: Opaque::new(raw),
                _pointers: pointers,
                _attrs: attrs,
                _data: data,
            },
            GFP_KERNEL,
        )?))
    }

    pub(crate) fn as_raw(&self) -> *const nb::attribute_group {
        self.0.as_raw()
    }
}

/// Where a group lies in memory; everything points into it or into what it owns.
struct Layout<T: Send + Sync + 'static> {
    raw: Opaque<nb::attribute_group>,
    _pointers: KVec<*mut nb::attribute>,
    _attrs: KVec<RawAttr<T>>,
    _data: Arc<T>,
}

trait AsRaw {
    fn as_raw(&self) -> *const nb::attribute_group;
}

impl<T: Send + Sync + 'static> AsRaw for Layout<T> {
    fn as_raw(&self) -> *const nb::attribute_group {
        self.raw.get()
    }
}
