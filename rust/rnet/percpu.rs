// SPDX-License-Identifier: GPL-2.0

//! Counters that every CPU counts on its own.
//!
//! Adding is one instruction on x86 (`this_cpu_add()`), safe in every context (process, softirq,
//! hard interrupt, netpoll with interrupts off) and without a lock, so a device that transmits
//! without a queue lock can use it. Reading sums over all possible CPUs, so that nothing is lost
//! when a CPU goes offline.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

mod cells;
mod histogram;
mod reset;

pub(crate) use cells::sealed;
pub use cells::{
    Cells,
    Pinned, //
};
pub use histogram::Histogram;
pub use reset::Resettable;

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    cpu::{
        nr_cpu_ids,
        CpuId, //
    },
    prelude::*,
};
use net_bindings as nb;

/// Names of the counters in a [`Counters`] block. Made with [`counters!`](crate::counters).
pub trait CounterSet: Copy + Send + Sync + 'static {
    /// How many counters there are.
    const LEN: usize;

    /// The place of this counter, below [`LEN`](Self::LEN).
    fn index(self) -> usize;
}

/// Declares an enum whose variants name the counters of a [`Counters`](crate::percpu::Counters)
/// block.
///
/// # Examples
///
/// ```ignore
/// rnet::counters! {
///     /// What the device counts.
///     pub enum Count {
///         /// Frames that were sent.
///         Frames,
///         /// Their bytes.
///         Bytes,
///     }
/// }
///
/// let counts = rnet::percpu::Counters::<Count>::new()?;
/// counts.add(Count::Frames, 1);
/// ```
#[macro_export]
macro_rules! counters {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        $vis enum $name { $($(#[$vmeta])* $variant),+ }

        impl $crate::percpu::CounterSet for $name {
            const LEN: usize = [$($name::$variant),+].len();

            #[inline]
            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

/// A block of 64-bit counters for each CPU.
///
/// # Invariants
///
/// `ptr` is an allocation from the per-CPU allocator of `C::LEN` `u64`s, owned by this value.
pub struct Counters<C: CounterSet> {
    ptr: NonNull<u64>,
    _set: PhantomData<C>,
}

// SAFETY: The counters are only reached through per-CPU operations that are safe from any context
// and thread.
unsafe impl<C: CounterSet> Send for Counters<C> {}
// SAFETY: See above.
unsafe impl<C: CounterSet> Sync for Counters<C> {}

impl<C: CounterSet> Counters<C> {
    /// Allocates the counters, all zero. Process context. Errors: `ENOMEM`.
    pub fn new() -> Result<Self> {
        // A 64-bit counter is added to and read in one instruction only there.
        const { assert!(cfg!(CONFIG_64BIT), "rnet needs a 64-bit kernel") };
        const {
            assert!(
                C::LEN > 0 && C::LEN <= 4096,
                "a block of counters fits the per-CPU allocator"
            )
        };
        // SAFETY: No requirement; returns NULL on failure.
        let ptr = unsafe { nb::alloc_percpu_u64(C::LEN) };
        let ptr = NonNull::new(ptr).ok_or(ENOMEM)?;
        // INVARIANT: Just allocated with this length.
        Ok(Self {
            ptr,
            _set: PhantomData,
        })
    }

    /// The block itself, for a place where several of its counters are added to: it is found once.
    #[inline(always)]
    pub fn borrow(&self) -> Borrowed<'_, C> {
        // INVARIANT: By the type invariant, for as long as the borrow.
        Borrowed {
            ptr: self.ptr,
            _counters: PhantomData,
        }
    }

    /// Where counter `c` lies, as `place()` says.
    #[inline]
    fn at(&self, c: C) -> Option<*mut u64> {
        place(self.ptr, c)
    }

    /// Adds `val` to this CPU's counter `c`; it wraps at 2^64. Any context.
    #[inline(always)]
    pub fn add(&self, c: C, val: u64) {
        self.borrow().add(c, val);
    }

    /// The value that `cpu` has counted. Any context; 0 for a CPU that cannot exist.
    pub fn read(&self, c: C, cpu: CpuId) -> u64 {
        // SAFETY: A `CpuId` is below `nr_cpu_ids`, as `cpu_possible()` wants.
        if !unsafe { nb::cpu_possible(cpu.as_u32()) } {
            return 0;
        }
        match self.at(c) {
            // SAFETY: `ptr` points into a live per-CPU allocation, and `cpu` is possible.
            Some(ptr) => unsafe { nb::per_cpu_read_u64(ptr, cpu.as_u32()) },
            None => 0,
        }
    }

    /// The sum over all CPUs. Not a snapshot: other CPUs may count meanwhile.
    pub fn sum(&self, c: C) -> u64 {
        possible_cpus().fold(0, |sum, cpu| sum.wrapping_add(self.read(c, cpu)))
    }
}

/// Where counter `c` of the block at `ptr` lies. `None` if a hand-written [`CounterSet`] breaks its
/// contract; for the ones that `counters!` makes, the compiler removes the check.
#[inline(always)]
fn place<C: CounterSet>(ptr: NonNull<u64>, c: C) -> Option<*mut u64> {
    let index = c.index();
    (index < C::LEN).then(|| ptr.as_ptr().wrapping_add(index))
}

/// The block of [`Counters`], borrowed; see [`Counters::borrow`].
///
/// # Invariants
///
/// `ptr` is the allocation of `Counters` that live for `'a`.
pub struct Borrowed<'a, C: CounterSet> {
    ptr: NonNull<u64>,
    _counters: PhantomData<&'a Counters<C>>,
}

impl<C: CounterSet> Borrowed<'_, C> {
    /// As [`Counters::add`].
    #[inline(always)]
    pub fn add(&self, c: C, val: u64) {
        if let Some(ptr) = place(self.ptr, c) {
            // SAFETY: By the type invariant `ptr` points into a live per-CPU allocation.
            unsafe { nb::this_cpu_add_u64(ptr, val) };
        }
    }
}

impl<C: CounterSet> Drop for Counters<C> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is ours, and with `self` goes the last way to it.
        unsafe { nb::free_percpu(self.ptr.as_ptr().cast()) };
    }
}

/// Whether a CPU is online now. C function: `cpu_online()`.
pub fn is_online(cpu: CpuId) -> bool {
    // SAFETY: A `CpuId` is below `nr_cpu_ids`.
    unsafe { nb::cpu_online(cpu.as_u32()) }
}

/// All CPUs that can ever be online on this machine. C macro: `for_each_possible_cpu()`.
pub fn possible_cpus() -> impl Iterator<Item = CpuId> {
    (0..nr_cpu_ids()).filter_map(|cpu| {
        // SAFETY: `cpu` is below `nr_cpu_ids`.
        if unsafe { nb::cpu_possible(cpu) } {
            CpuId::from_u32(cpu)
        } else {
            None
        }
    })
}

#[cfg(RNET_KUNIT)]
#[kernel::prelude::kunit_tests(rnet_percpu)]
mod tests {
    use super::*;

    crate::counters! {
        /// Three of them.
        enum Three {
            /// The first.
            One,
            /// The second.
            Two,
            /// The last.
            Last,
        }
    }

    #[test]
    fn zero_at_first_and_apart() -> Result {
        let counters = Counters::<Three>::new()?;
        assert_eq!(counters.sum(Three::One), 0);
        counters.add(Three::One, 5);
        counters.add(Three::Last, 7);
        counters.add(Three::One, u64::from(u32::MAX));
        assert_eq!(counters.sum(Three::One), 5 + u64::from(u32::MAX));
        assert_eq!(counters.sum(Three::Two), 0);
        assert_eq!(counters.sum(Three::Last), 7);
        Ok(())
    }

    #[test]
    fn wraps() -> Result {
        let counters = Counters::<Three>::new()?;
        counters.add(Three::Two, u64::MAX);
        counters.add(Three::Two, 3);
        assert_eq!(counters.sum(Three::Two), 2);
        Ok(())
    }

    #[test]
    fn sum_is_over_every_cpu() -> Result {
        let counters = Counters::<Three>::new()?;
        counters.add(Three::Two, 11);
        let mut sum = 0;
        let mut cpus = 0;
        for cpu in possible_cpus() {
            sum += counters.read(Three::Two, cpu);
            cpus += 1;
        }
        assert_eq!(sum, 11);
        assert!(cpus > 0);
        Ok(())
    }

    /// Breaks the contract of `index()`.
    #[derive(Clone, Copy)]
    struct Liar;

    impl CounterSet for Liar {
        const LEN: usize = 1;

        fn index(self) -> usize {
            1 << 40
        }
    }

    #[test]
    fn index_out_of_range_is_nothing() -> Result {
        let counters = Counters::<Liar>::new()?;
        counters.add(Liar, 1);
        assert_eq!(counters.sum(Liar), 0);
        Ok(())
    }
}
