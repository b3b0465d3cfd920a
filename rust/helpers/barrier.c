// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel crate's atomics are calls where the kernel is built without inlined
 * helpers. These are for what every packet reads.
 */

#include <asm/barrier.h>

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

__rnet_helper void rnet_helper_smp_mb(void)
{
	smp_mb();
}

__rnet_helper void rnet_helper_dma_rmb(void)
{
	dma_rmb();
}

__rnet_helper void rnet_helper_dma_wmb(void)
{
	dma_wmb();
}
