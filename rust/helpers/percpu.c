// SPDX-License-Identifier: GPL-2.0

#include <linux/percpu.h>
#include <linux/cpumask.h>

__rnet_helper u64 __percpu *rnet_helper_alloc_percpu_u64(size_t n)
{
	return __alloc_percpu_gfp(n * sizeof(u64), __alignof__(u64), GFP_KERNEL);
}

__rnet_helper void rnet_helper_free_percpu(void __percpu *ptr)
{
	free_percpu(ptr);
}

/* One instruction on x86: safe against preemption and interrupts. */
__rnet_helper void rnet_helper_this_cpu_add_u64(u64 __percpu *ptr, u64 val)
{
	this_cpu_add(*ptr, val);
}

__rnet_helper u64 rnet_helper_per_cpu_read_u64(u64 __percpu *ptr, unsigned int cpu)
{
	return READ_ONCE(*per_cpu_ptr(ptr, cpu));
}

__rnet_helper u64 rnet_helper_this_cpu_read_u64(u64 __percpu *ptr)
{
	return this_cpu_read(*ptr);
}

__rnet_helper void rnet_helper_this_cpu_write_u64(u64 __percpu *ptr, u64 val)
{
	this_cpu_write(*ptr, val);
}

__rnet_helper u64 rnet_helper_this_cpu_cmpxchg_u64(u64 __percpu *ptr, u64 old, u64 val)
{
	return this_cpu_cmpxchg(*ptr, old, val);
}

__rnet_helper void rnet_helper_per_cpu_write_u64(u64 __percpu *ptr, unsigned int cpu, u64 val)
{
	WRITE_ONCE(*per_cpu_ptr(ptr, cpu), val);
}

__rnet_helper unsigned int rnet_helper_smp_processor_id(void)
{
	return raw_smp_processor_id();
}

__rnet_helper void rnet_helper_preempt_disable(void)
{
	preempt_disable_notrace();
}

__rnet_helper void rnet_helper_preempt_enable(void)
{
	preempt_enable_notrace();
}

__rnet_helper bool rnet_helper_cpu_online(unsigned int cpu)
{
	return cpu_online(cpu);
}

__rnet_helper bool rnet_helper_cpu_possible(unsigned int cpu)
{
	return cpu_possible(cpu);
}

__rnet_helper unsigned int rnet_helper_num_online_cpus(void)
{
	return num_online_cpus();
}
