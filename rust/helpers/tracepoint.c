// SPDX-License-Identifier: GPL-2.0

#include <linux/tracepoint.h>
#include <trace/events/csd.h>
#include <trace/events/irq.h>
#include <trace/events/napi.h>
#include <trace/events/net.h>
#include <trace/events/skb.h>
#include <trace/events/sock.h>

__rnet_helper const char *rnet_helper_tracepoint_name(const struct tracepoint *tp)
{
	return tp->name;
}

__rnet_helper void rnet_helper_tracepoint_synchronize_unregister(void)
{
	tracepoint_synchronize_unregister();
}

/*
 * A probe becomes a pointer without a type only here, where the kernel's own
 * check_trace_callback_type_NAME() has the compiler compare its prototype with
 * the one in the kernel's header.
 */
#define RNET_PROBE(name, ...)						\
__rnet_helper void *							\
rnet_helper_probe_##name(void (*probe)(void *, __VA_ARGS__))		\
{									\
	check_trace_callback_type_##name(probe);			\
	return probe;							\
}

RNET_PROBE(net_dev_start_xmit, const struct sk_buff *, const struct net_device *)
RNET_PROBE(netif_rx, struct sk_buff *)
RNET_PROBE(netif_receive_skb, struct sk_buff *)
RNET_PROBE(softirq_raise, unsigned int)
RNET_PROBE(softirq_entry, unsigned int)
RNET_PROBE(softirq_exit, unsigned int)
RNET_PROBE(napi_poll, struct napi_struct *, int, int)
RNET_PROBE(kfree_skb, struct sk_buff *, void *, enum skb_drop_reason, const struct sock *)
RNET_PROBE(sk_data_ready, const struct sock *)
RNET_PROBE(csd_queue_cpu, const unsigned int, unsigned long, smp_call_func_t, call_single_data_t *)
RNET_PROBE(csd_function_entry, smp_call_func_t, call_single_data_t *)
