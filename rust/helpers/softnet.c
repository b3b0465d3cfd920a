// SPDX-License-Identifier: GPL-2.0

#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <linux/skbuff.h>

#ifdef CONFIG_NET_FLOW_LIMIT
/* From net/core/dev.h, which modules do not see; scripts/check-layout.sh compares it with BTF. */
struct sd_flow_limit {
	struct rcu_head		rcu;
	unsigned int		count;
	u8			log_buckets;
	unsigned int		history_head;
	u16			history[128];
	u8			buckets[];
};
#endif

/* What is read of one CPU's softnet_data, each member once and without a lock. */
struct rnet_softnet {
	u32 input_qlen;
	u32 process_qlen;
	u32 input_queue_tail;
	u32 input_queue_head;
	u32 processed;
	u32 dropped;
	u32 time_squeeze;
	u32 received_rps;
	u32 flow_limit_count;
	bool scheduled;
};

__rnet_helper void rnet_helper_softnet_read(unsigned int cpu, struct rnet_softnet *out)
{
	struct softnet_data *sd = per_cpu_ptr(&softnet_data, cpu);
#ifdef CONFIG_NET_FLOW_LIMIT
	const struct sd_flow_limit *limit;
#endif

	out->process_qlen = skb_queue_len_lockless(&sd->process_queue);
	out->input_qlen = skb_queue_len_lockless(&sd->input_pkt_queue);
#ifdef CONFIG_RPS
	/* The head first: it never overtakes a tail that is read later. */
	out->input_queue_head = READ_ONCE(sd->input_queue_head);
	smp_rmb(); /* Between the head and the tail. */
	out->input_queue_tail = READ_ONCE(sd->input_queue_tail);
#endif
	out->processed = READ_ONCE(sd->processed);
	out->dropped = numa_drop_read(&sd->drop_counters);
	out->time_squeeze = READ_ONCE(sd->time_squeeze);
	out->received_rps = READ_ONCE(sd->received_rps);
#ifdef CONFIG_NET_FLOW_LIMIT
	rcu_read_lock();
	limit = rcu_dereference(sd->flow_limit);
	out->flow_limit_count = limit ? READ_ONCE(limit->count) : 0;
	rcu_read_unlock();
#endif
	out->scheduled = test_bit(NAPI_STATE_SCHED, &sd->backlog.state);
}

__rnet_helper u32 rnet_helper_softnet_input_here(void)
{
	return this_cpu_read(softnet_data.input_pkt_queue.qlen);
}

__rnet_helper u32 rnet_helper_softnet_process_here(void)
{
	return this_cpu_read(softnet_data.process_queue.qlen);
}

/* The call that wakes the backlog of a CPU; only its address is of use. */
__rnet_helper const void *rnet_helper_softnet_csd(unsigned int cpu)
{
#ifdef CONFIG_RPS
	return &per_cpu_ptr(&softnet_data, cpu)->csd;
#else
	return NULL;
#endif
}

__rnet_helper struct net_device *rnet_helper_napi_dev(const struct napi_struct *napi)
{
	return READ_ONCE(napi->dev);
}

__rnet_helper bool rnet_helper_napi_is_threaded(const struct napi_struct *napi)
{
	return test_bit(NAPI_STATE_THREADED, &napi->state);
}
