// SPDX-License-Identifier: GPL-2.0

//! Directories with a life of their own.

use core::{
    mem::ManuallyDrop,
    ops::Deref, //
};

use kernel::{
    error::to_result,
    prelude::*,
    str::CStr,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Release, //
        },
        new_mutex,
        Arc,
        Mutex, //
    },
    types::Opaque, //
};
use net_bindings as nb;
use pin_init::zeroed;

use super::{
    attr::{
        Attribute,
        GroupMemory,
        Owner, //
    },
    report::{
        Report,
        Text, //
    },
};
use crate::{
    module::ModuleCtx,
    netdev::Device,
    registry::{
        self,
        Handle,
        Registered, //
    },
    rtnl::Rtnl, //
};

/// A directory in sysfs. Dropping it removes it with all that is in it: process context, also with
/// RTNL held (store functions do not wait for RTNL). C type: `struct kobject`.
///
/// It must not be dropped by one of its own show or store functions, which the removal waits for.
///
/// What can be put into it is that of any directory: see [`SubDir`].
pub struct Dir {
    _handle: Handle<Inner>,
    dir: SubDir,
}

/// A directory that goes with another. Made by [`child`](Self::child), of a [`Dir`] or another of
/// its kind.
#[derive(Clone)]
pub struct SubDir(Arc<Inner>);

impl Dir {
    /// A directory `/sys/kernel/<name>`. Process context. Errors: `ENOMEM`; `EEXIST` for a name in
    /// use.
    pub fn under_kernel<T: Send + Sync + 'static>(
        _ctx: ModuleCtx,
        name: &CStr,
        attrs: &'static [Attribute<T>],
        data: Arc<T>,
    ) -> Result<Self> {
        let inner = Inner::new(Owner::Global, &[attrs], data)?;
        Self::new(inner, |inner| {
            // SAFETY: `kernel_kobj` is there from boot on and stays.
            unsafe { Inner::create(inner, nb::kernel_kobj(), name) }
        })
    }

    /// A directory `/sys/class/net/<dev>/<name>`. When the device is unregistered first, the files
    /// are gone with it. May sleep. Errors: `ENOMEM`; `EEXIST` for a name in use; `ENODEV` for a
    /// device that is not registered.
    pub fn under_device<T: Send + Sync + 'static>(
        _ctx: ModuleCtx,
        dev: &Device,
        name: &CStr,
        attrs: &'static [Attribute<T>],
        data: Arc<T>,
        _rtnl: &Rtnl,
    ) -> Result<Self> {
        // SAFETY: Valid device; RTNL keeps it registered.
        if unsafe { !nb::netdev_is_registered(dev.as_raw()) } {
            return Err(ENODEV);
        }
        let inner = Inner::new(Owner::Device(dev.as_raw()), &[attrs], data)?;
        Self::new(inner, |inner| {
            // SAFETY: The kobject in a registered device, whose directory RTNL keeps; the new one
            // holds a reference to it, and so to the device that `Owner` names.
            unsafe { Inner::create(inner, nb::netdev_kobj(dev.as_raw()), name) }
        })
    }

    fn new(inner: Arc<Inner>, create: impl FnOnce(Arc<Inner>) -> Result) -> Result<Self> {
        let dir = SubDir(inner.clone());
        Ok(Self {
            _handle: Handle::new(inner.clone(), |_| create(inner))?,
            dir,
        })
    }
}

impl Deref for Dir {
    type Target = SubDir;

    fn deref(&self) -> &SubDir {
        &self.dir
    }
}

impl SubDir {
    /// A directory in this one, until this one is removed. Process context. Errors: `ENOMEM`;
    /// `EEXIST` for a name in use; `ENOENT` if this one is being removed.
    pub fn child<T: Send + Sync + 'static>(
        &self,
        name: &CStr,
        attrs: &'static [Attribute<T>],
        data: Arc<T>,
    ) -> Result<SubDir> {
        self.0.child(name, &[attrs], data)
    }

    /// The same with the files of several tables, whose names must differ (`EEXIST`).
    pub fn child_of<T: Send + Sync + 'static>(
        &self,
        name: &CStr,
        tables: &[&'static [Attribute<T>]],
        data: Arc<T>,
    ) -> Result<SubDir> {
        self.0.child(name, tables, data)
    }

    /// A file in this directory, 0400, for what has to be seen as a whole: `make` is called when
    /// somebody begins to read, and whatever the reader's buffer, all pieces are of that text. It
    /// may sleep.
    ///
    /// Sixteen can read at the same time; a seventeenth takes the place of the first, who gets
    /// `EAGAIN` and begins anew. Process context. Errors: `ENOMEM`; `EEXIST` for a name in use;
    /// `ENOENT` if the directory is being removed.
    pub fn report<T: Send + Sync + 'static>(
        &self,
        name: &'static CStr,
        data: Arc<T>,
        make: fn(&T, &mut Text) -> Result,
    ) -> Result {
        self.0.report(Report::new(name, 0o400, data, make)?)
    }
}

/// # Invariants
///
/// The kobject owns one reference to the `Arc` that `self` lies in, from its initialisation to its
/// release. While `present` is 1, the kobject is in sysfs; it is cleared with `children` held.
#[repr(C)]
#[pin_data]
struct Inner {
    /// First, so that a pointer to it is one to `Self`.
    kobj: Opaque<nb::kobject>,
    group: GroupMemory,
    owner: Owner,
    present: Atomic<u32>,
    /// Held while a child is made, so that the directory is not removed meanwhile.
    #[pin]
    children: Mutex<KVec<Arc<Inner>>>,
    #[pin]
    reports: Mutex<KVec<Report>>,
}

// SAFETY: The kobject is reference-counted and locked by the core; the group's data is `Send` and
// `Sync`; a device pointer is only used while its directory exists.
unsafe impl Send for Inner {}
// SAFETY: See above.
unsafe impl Sync for Inner {}

impl Inner {
    fn new<T: Send + Sync + 'static>(
        owner: Owner,
        tables: &[&'static [Attribute<T>]],
        data: Arc<T>,
    ) -> Result<Arc<Self>> {
        let group = GroupMemory::new(None, tables, data, owner)?;
        Arc::pin_init(
            pin_init!(Inner {
                kobj: Opaque::zeroed(),
                group,
                owner,
                present: Atomic::new(0),
                children <- new_mutex!(KVec::new()),
                reports <- new_mutex!(KVec::new()),
            }),
            GFP_KERNEL,
        )
    }

    /// Puts the directory into sysfs.
    ///
    /// # Safety
    ///
    /// `parent` must be a kobject whose directory is there during the call; a device in `owner`
    /// must be valid as long as `parent` is. To be called once.
    unsafe fn create(this: Arc<Self>, parent: *mut nb::kobject, name: &CStr) -> Result {
        let inner = this.clone();
        // The kobject's own reference to the memory that it lies in, dropped by `release()`.
        let _ = ManuallyDrop::new(this);
        registry::outstanding_get();
        // SAFETY: A zeroed kobject in pinned memory that its reference keeps; the type is static.
        // On failure, too, the reference must be put, which calls `release()`.
        let mut ret = to_result(unsafe {
            nb::kobject_init_and_add(inner.kobj.get(), &KTYPE.0, parent, name.as_char_ptr())
        });
        if ret.is_ok() {
            // SAFETY: The kobject is in sysfs; the group's memory lives as long as it does.
            ret = to_result(unsafe {
                nb::sysfs_create_group(inner.kobj.get(), inner.group.as_raw())
            });
        }
        if ret.is_err() {
            // SAFETY: Ends what was begun; both tolerate a kobject that was not added.
            unsafe {
                nb::kobject_del(inner.kobj.get());
                nb::kobject_put(inner.kobj.get());
            }
            return ret;
        }
        inner.present.store(1, Release);
        Ok(())
    }

    fn child<T: Send + Sync + 'static>(
        &self,
        name: &CStr,
        tables: &[&'static [Attribute<T>]],
        data: Arc<T>,
    ) -> Result<SubDir> {
        let mut children = self.children.lock();
        if self.present.load(Acquire) == 0 {
            return Err(ENOENT);
        }
        children.reserve(1, GFP_KERNEL)?;
        let inner = Self::new(self.owner, tables, data)?;
        // SAFETY: Our own directory is there as long as we hold the lock. The child's kobject
        // holds a reference to ours, and so to what ours holds.
        unsafe { Self::create(inner.clone(), self.kobj.get(), name)? };
        children.push(inner.clone(), GFP_KERNEL)?;
        Ok(SubDir(inner))
    }

    fn report(&self, report: Report) -> Result {
        // Held until the file is there, so that the directory is not removed before.
        let _children = self.children.lock();
        if self.present.load(Acquire) == 0 {
            return Err(ENOENT);
        }
        let mut reports = self.reports.lock();
        reports.reserve(1, GFP_KERNEL)?;
        // SAFETY: Our own directory is there as long as we hold the lock. The file goes with the
        // directory, and its memory, which does not move, with the kobject.
        to_result(unsafe { nb::sysfs_create_bin_file(self.kobj.get(), report.as_raw()) })?;
        reports.push(report, GFP_KERNEL)?;
        Ok(())
    }
}

impl Registered for Inner {
    fn unregister(&self) {
        let dirs = {
            let mut children = self.children.lock();
            if self.present.xchg(0, Full) == 0 {
                return;
            }
            core::mem::take(&mut *children)
        };
        for dir in dirs.iter().rev() {
            dir.unregister();
        }
        // SAFETY: Created before, and removed once because `present` has been cleared.
        // `kobject_del()` waits for functions that run; afterwards nothing reaches the group. The
        // last put may come later (a delayed release): the memory goes with it.
        unsafe {
            nb::kobject_del(self.kobj.get());
            nb::kobject_put(self.kobj.get());
        }
    }
}

unsafe extern "C" fn release(kobj: *mut nb::kobject) {
    // SAFETY: The first member of an `Inner` in an `Arc` of which the kobject owned a reference.
    drop(unsafe { Arc::from_raw(kobj.cast::<Inner>().cast_const()) });
    // Module exit waits for this.
    registry::outstanding_put();
}

/// A directory belongs to whom its parent belongs, up to the device.
unsafe extern "C" fn get_ownership(
    kobj: *const nb::kobject,
    uid: *mut nb::kuid_t,
    gid: *mut nb::kgid_t,
) {
    // SAFETY: A kobject in sysfs holds its parent; the out parameters are the caller's.
    unsafe {
        let parent = nb::kobject_parent(kobj);
        if !parent.is_null() {
            nb::kobject_get_ownership(parent, uid, gid);
        }
    }
}

struct KType(nb::kobj_type);

// SAFETY: Nothing writes to the table after compilation, so any thread may read it.
unsafe impl Sync for KType {}

static KTYPE: KType = KType(nb::kobj_type {
    release: Some(release),
    sysfs_ops: &raw const nb::kobj_sysfs_ops,
    get_ownership: Some(get_ownership),
    ..zeroed()
});
