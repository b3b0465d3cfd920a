// SPDX-License-Identifier: GPL-2.0

//! Directories with a life of their own.

use core::mem::ManuallyDrop;

use kernel::{
    error::to_result,
    prelude::*,
    str::CStr,
    sync::{
        atomic::{
            Atomic,
            Full,
            Release, //
        },
        Arc, //
    },
    types::Opaque, //
};
use net_bindings as nb;
use pin_init::zeroed;

use super::attr::{
    Attribute,
    Group,
    GroupMemory,
    Owner, //
};
use crate::{
    module::ModuleCtx,
    netdev::Device,
    registry::{
        self,
        Handle,
        Registered, //
    },
};

/// A directory in sysfs. Dropping it removes it with all that is in it: process context, also with
/// RTNL held (store functions do not wait for RTNL). C type: `struct kobject`.
///
/// It must not be dropped by one of its own show or store functions, which the removal waits for.
pub struct Dir(Handle<Inner>);

impl Dir {
    /// A directory `/sys/kernel/<name>`. Process context. Errors: `ENOMEM`; `EEXIST` for a name in
    /// use.
    pub fn under_kernel<T: Send + Sync + 'static>(
        ctx: ModuleCtx,
        name: &CStr,
        attrs: &'static [Attribute<T>],
        data: Arc<T>,
    ) -> Result<Self> {
        // SAFETY: `kernel_kobj` is there from boot on.
        let parent = unsafe { nb::kernel_kobj() };
        // SAFETY: It stays for good.
        unsafe { Self::new(ctx, parent, Owner::Global, name, attrs, data) }
    }

    /// A directory `/sys/class/net/<dev>/<name>`. When the device is unregistered first, the files
    /// are gone with it. Process context. Errors: `ENOMEM`; `EEXIST` for a name in use; `ENOENT`
    /// for a device that is not registered.
    pub fn under_device<T: Send + Sync + 'static>(
        ctx: ModuleCtx,
        dev: &Device,
        name: &CStr,
        attrs: &'static [Attribute<T>],
        data: Arc<T>,
    ) -> Result<Self> {
        // SAFETY: The device is valid, and so is the kobject in it.
        let parent = unsafe { nb::netdev_kobj(dev.as_raw()) };
        // SAFETY: Valid during the call, which takes a reference.
        unsafe { Self::new(ctx, parent, Owner::Device(dev.as_raw()), name, attrs, data) }
    }

    /// A directory in this one. It can outlive this handle, but not the directory. Process context.
    /// Errors: `ENOMEM`; `EEXIST` for a name in use.
    pub fn child<T: Send + Sync + 'static>(
        &self,
        name: &CStr,
        attrs: &'static [Attribute<T>],
        data: Arc<T>,
    ) -> Result<Self> {
        let ctx = ModuleCtx::assume();
        // SAFETY: Our kobject is valid while `self` is.
        unsafe { Self::new(ctx, self.0.kobj.get(), self.0.owner, name, attrs, data) }
    }

    /// # Safety
    ///
    /// `parent` must be a valid kobject during the call; a device in `owner` must be there as long
    /// as `parent`'s directory is.
    unsafe fn new<T: Send + Sync + 'static>(
        _ctx: ModuleCtx,
        parent: *mut nb::kobject,
        owner: Owner,
        name: &CStr,
        attrs: &'static [Attribute<T>],
        data: Arc<T>,
    ) -> Result<Self> {
        let group = Group {
            name: None,
            attrs,
            data,
        };
        let inner = Arc::new(
            Inner {
                kobj: Opaque::zeroed(),
                created: Atomic::new(0),
                group: group.layout(owner)?,
                owner,
            },
            GFP_KERNEL,
        )?;
        let arc = inner.clone();
        Ok(Self(Handle::new(inner, |inner| {
            // The kobject's own reference to the memory that it lies in, dropped by `release()`.
            let _ = ManuallyDrop::new(arc);
            registry::outstanding_get();
            // SAFETY: A zeroed kobject in pinned memory that its reference keeps; the type is
            // static. On failure, too, the reference must be put, which calls `release()`.
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
            inner.created.store(1, Release);
            Ok(())
        })?))
    }
}

/// # Invariants
///
/// The kobject owns one reference to the `Arc` that `self` lies in, from its initialisation to its
/// release.
#[repr(C)]
struct Inner {
    /// First, so that a pointer to it is one to `Self`.
    kobj: Opaque<nb::kobject>,
    created: Atomic<u32>,
    group: GroupMemory,
    owner: Owner,
}

// SAFETY: The kobject is reference-counted and locked by the core; the group's data is `Send` and
// `Sync`; a device pointer is only used while its directory exists.
unsafe impl Send for Inner {}
// SAFETY: See above.
unsafe impl Sync for Inner {}

impl Registered for Inner {
    fn unregister(&self) {
        if self.created.xchg(0, Full) == 1 {
            // SAFETY: Created before, removed once because of the exchange. `kobject_del()` waits
            // for functions that run; afterwards nothing reaches the group. The last put may come
            // later (a child, a delayed release): the memory goes with it.
            unsafe {
                nb::kobject_del(self.kobj.get());
                nb::kobject_put(self.kobj.get());
            }
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
