// SPDX-License-Identifier: GPL-2.0

//! Files in sysfs, one value each.
//!
//! An [`Attribute`] names a file and the functions behind it. A [`Group`] is a directory of them
//! that comes and goes with a network device; a [`Dir`] is one with a life of its own, under
//! `/sys/kernel`, a device, or another [`Dir`].
//!
//! A file shows one value. What has to be read as a whole, because hundreds of files are not from one
//! moment, goes into a [report](SubDir::report).
//!
//! # Lifetime
//!
//! The functions run only between creation and removal: removal waits for those that run, and a
//! file that is still open afterwards answers `ENODEV` without reaching the data. The data is an
//! `Arc`, held until then.
//!
//! # Permissions
//!
//! Writing to a file that belongs to a network device needs `CAP_NET_ADMIN` in the user namespace
//! that owns the device's network namespace; to any other, `CAP_NET_ADMIN` in the initial one
//! (`EPERM`), whatever the file mode says. Directories of a device belong to the owner of its
//! network namespace, like the device's own files.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

mod attr;
mod dir;
mod report;

pub use attr::{
    Attribute,
    Group,
    GroupMemory,
    Input,
    Page, //
};
pub use dir::{
    Dir,
    SubDir, //
};
pub use report::Text;
