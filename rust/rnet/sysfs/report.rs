// SPDX-License-Identifier: GPL-2.0

//! Files that show much at once.

use core::fmt::{
    self,
    Write, //
};

use kernel::{
    ffi::c_char,
    fmt::Arguments,
    prelude::*,
    str::CStr,
    sync::{
        new_mutex,
        Arc,
        Mutex, //
    },
    types::Opaque, //
};
use net_bindings as nb;
use pin_init::zeroed;

/// The text of a [report](super::SubDir::report) while it is made.
pub struct Text(KVVec<u8>);

/// More than this is no report.
const LIMIT: usize = 4 << 20;

impl Text {
    /// Appends formatted text. Errors: `ENOMEM`, also beyond 4 MiB.
    pub fn emit(&mut self, args: Arguments<'_>) -> Result {
        self.write_fmt(args).map_err(|_| ENOMEM)
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len().saturating_add(text.len()) > LIMIT {
            return Err(fmt::Error);
        }
        self.0
            .extend_from_slice(text.as_bytes(), GFP_KERNEL)
            .map_err(|_| fmt::Error)
    }
}

/// A text that somebody is reading piece by piece.
struct Reading {
    /// The open file, only to be compared.
    file: usize,
    text: KVVec<u8>,
}

/// So many can read at the same time.
const READERS: usize = 16;

#[repr(C)]
#[pin_data]
struct Raw<T: Send + Sync + 'static> {
    /// First, so that a pointer to it is one to `Self`.
    attr: Opaque<nb::bin_attribute>,
    data: Arc<T>,
    make: fn(&T, &mut Text) -> Result,
    #[pin]
    readings: Mutex<KVec<Reading>>,
}

impl<T: Send + Sync + 'static> Raw<T> {
    /// A piece of the text: made when the first piece is read, kept for the others.
    fn read(&self, file: usize, buf: &mut [u8], offset: usize) -> Result<usize> {
        if offset == 0 {
            let mut text = Text(KVVec::new());
            (self.make)(&self.data, &mut text)?;
            let mut readings = self.readings.lock();
            if let Some(at) = readings.iter().position(|r| r.file == file) {
                drop(readings.remove(at));
            }
            if readings.len() >= READERS {
                drop(readings.remove(0));
            }
            readings.push(Reading { file, text: text.0 }, GFP_KERNEL)?;
        }
        let mut readings = self.readings.lock();
        let at = readings.iter().position(|r| r.file == file).ok_or(EAGAIN)?;
        let rest = readings
            .get(at)
            .and_then(|r| r.text.get(offset..))
            .unwrap_or(&[]);
        let len = rest.len().min(buf.len());
        for (to, from) in buf.iter_mut().zip(rest) {
            *to = *from;
        }
        if len == 0 {
            drop(readings.remove(at));
        }
        Ok(len)
    }

    unsafe extern "C" fn call(
        file: *mut nb::file,
        _kobj: *mut nb::kobject,
        attr: *const nb::bin_attribute,
        buf: *mut c_char,
        offset: nb::loff_t,
        count: usize,
    ) -> isize {
        // SAFETY: `attr` is the first member of a `Raw<T>`, which outlives the file: sysfs calls this
        // only while the file exists and its removal waits for us. The buffer has `count` bytes.
        let (this, buf) = unsafe {
            (
                &*attr.cast::<Self>(),
                core::slice::from_raw_parts_mut(buf.cast::<u8>(), count),
            )
        };
        let result = usize::try_from(offset)
            .map_err(|_| EINVAL)
            .and_then(|offset| this.read(file as usize, buf, offset));
        match result {
            Ok(len) => len as isize,
            Err(err) => err.to_errno() as isize,
        }
    }
}

/// A file that sysfs may point to: to be kept until it has been removed.
pub(super) struct Report(Arc<dyn AsRaw>);

trait AsRaw: Send + Sync {
    fn as_raw(&self) -> *const nb::bin_attribute;
}

impl<T: Send + Sync + 'static> AsRaw for Raw<T> {
    fn as_raw(&self) -> *const nb::bin_attribute {
        self.attr.get()
    }
}

// SAFETY: The attribute is constant once made; the rest is `Send`.
unsafe impl<T: Send + Sync + 'static> Send for Raw<T> {}
// SAFETY: See above; the readings have a lock.
unsafe impl<T: Send + Sync + 'static> Sync for Raw<T> {}

impl Report {
    /// Lays the file out. Errors: `ENOMEM`.
    pub(super) fn new<T: Send + Sync + 'static>(
        name: &'static CStr,
        mode: u16,
        data: Arc<T>,
        make: fn(&T, &mut Text) -> Result,
    ) -> Result<Self> {
        let mut attr: nb::bin_attribute = zeroed();
        attr.attr.name = name.as_char_ptr();
        attr.attr.mode = mode;
        attr.read = Some(Raw::<T>::call);
        let raw = Arc::pin_init(
            pin_init!(Raw {
                attr: Opaque::new(attr),
                data,
                make,
                readings <- new_mutex!(KVec::new()),
            }),
            GFP_KERNEL,
        )?;
        // SAFETY: An attribute of ours, the first member of what is its own; gives it a lock class.
        unsafe { nb::sysfs_attr_init(raw.attr.get().cast()) };
        Ok(Self(raw))
    }

    pub(super) fn as_raw(&self) -> *const nb::bin_attribute {
        self.0.as_raw()
    }
}
