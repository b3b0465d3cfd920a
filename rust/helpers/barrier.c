// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel crate's atomics are calls where the kernel is built without inlined
 * helpers. These are for what every packet reads.
 */

#include <asm/barrier.h>
#include <linux/atomic.h>

__rnet_helper void *rnet_helper_read_once_ptr(void *const *ptr)
{
	return READ_ONCE(*ptr);
}

__rnet_helper void *rnet_helper_smp_load_acquire_ptr(void *const *ptr)
{
	return smp_load_acquire(ptr);
}

__rnet_helper unsigned int rnet_helper_read_once_u32(const unsigned int *ptr)
{
	return READ_ONCE(*ptr);
}

__rnet_helper unsigned int rnet_helper_smp_load_acquire_u32(const unsigned int *ptr)
{
	return smp_load_acquire(ptr);
}

__rnet_helper void rnet_helper_smp_store_release_u32(unsigned int *ptr, unsigned int val)
{
	smp_store_release(ptr, val);
}

__rnet_helper u64 rnet_helper_read_once_u64(const u64 *ptr)
{
	return READ_ONCE(*ptr);
}

__rnet_helper void rnet_helper_write_once_u64(u64 *ptr, u64 val)
{
	WRITE_ONCE(*ptr, val);
}

__rnet_helper u64 rnet_helper_smp_load_acquire_u64(const u64 *ptr)
{
	return smp_load_acquire(ptr);
}

__rnet_helper void rnet_helper_smp_store_release_u64(u64 *ptr, u64 val)
{
	smp_store_release(ptr, val);
}

__rnet_helper void rnet_helper_smp_mb(void)
{
	smp_mb();
}

__rnet_helper void rnet_helper_dma_rmb(void)
{
	dma_rmb();
}

__rnet_helper u64 rnet_helper_cmpxchg_u64(u64 *ptr, u64 old, u64 val)
{
	return cmpxchg(ptr, old, val);
}
