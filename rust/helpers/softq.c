// SPDX-License-Identifier: GPL-2.0

#include <linux/etherdevice.h>
#include <linux/filter.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/hrtimer.h>
#include <linux/netdevice.h>
#include <linux/sched.h>
#include <linux/skbuff.h>
#include <linux/smp.h>
#include <net/busy_poll.h>
#include <net/dst_metadata.h>
#include <net/gro.h>
#include <net/sock.h>
#include <net/xdp.h>
#include <net/xdp_sock_drv.h>

__rnet_helper void rnet_helper_skb_queue_head_init(struct sk_buff_head *list)
{
	skb_queue_head_init(list);
}

/* Softirqs are off. */
__rnet_helper void rnet_helper_skb_queue_lock(struct sk_buff_head *list)
{
	spin_lock(&list->lock);
}

__rnet_helper void rnet_helper_skb_queue_unlock(struct sk_buff_head *list)
{
	spin_unlock(&list->lock);
}

__rnet_helper u32 rnet_helper_skb_queue_len(const struct sk_buff_head *list)
{
	return skb_queue_len_lockless(list);
}

__rnet_helper void rnet_helper___skb_queue_tail(struct sk_buff_head *list, struct sk_buff *skb)
{
	__skb_queue_tail(list, skb);
}

__rnet_helper struct sk_buff *rnet_helper___skb_dequeue(struct sk_buff_head *list)
{
	return __skb_dequeue(list);
}

/* All of `from` goes to the end of `to`. */
__rnet_helper void rnet_helper_skb_queue_splice(struct sk_buff_head *from,
						struct sk_buff_head *to)
{
	skb_queue_splice_tail_init(from, to);
}

/* The header that eth_type_trans() has taken off. */
__rnet_helper void rnet_helper_skb_push_ethernet(struct sk_buff *skb)
{
	__skb_push(skb, ETH_HLEN);
}

__rnet_helper struct sock *rnet_helper_skb_sk(const struct sk_buff *skb)
{
	return skb->sk;
}

/* Which task is sending, and how often it has given the CPU away by itself. */
__rnet_helper const void *rnet_helper_current_task(unsigned long *slept)
{
	*slept = current->nvcsw;
	return current;
}

__rnet_helper bool rnet_helper_in_serving_softirq(void)
{
	return in_serving_softirq();
}

__rnet_helper void rnet_helper_local_bh_disable(void)
{
	local_bh_disable();
}

__rnet_helper void rnet_helper_local_bh_enable(void)
{
	local_bh_enable();
}

__rnet_helper void rnet_helper_cond_resched(void)
{
	cond_resched();
}

/* Whether an AF_XDP socket is bound to a queue. */
__rnet_helper bool rnet_helper_netdev_has_xsk(struct net_device *dev, u32 queue)
{
	return xsk_get_pool_from_qid(dev, queue);
}

__rnet_helper void rnet_helper_write_once_u32(u32 *ptr, u32 val)
{
	WRITE_ONCE(*ptr, val);
}

__rnet_helper void rnet_helper_write_once_ptr(void **ptr, void *val)
{
	WRITE_ONCE(*ptr, val);
}

__rnet_helper u32 rnet_helper_xchg_u32(u32 *ptr, u32 val)
{
	return xchg(ptr, val);
}

__rnet_helper void rnet_helper_atomic_add_u32(u32 *ptr, u32 val)
{
	atomic_add(val, (atomic_t *)ptr);
}

__rnet_helper void rnet_helper_atomic_add_u64(u64 *ptr, u64 val)
{
	atomic64_add(val, (atomic64_t *)ptr);
}

__rnet_helper void rnet_helper_skb_record_rx_queue(struct sk_buff *skb, u32 queue)
{
	skb_record_rx_queue(skb, queue);
}

__rnet_helper void rnet_helper_skb_mark_napi(struct sk_buff *skb, struct napi_struct *napi)
{
	skb_mark_napi_id(skb, napi);
}

/*
 * Whether GRO may have a packet that was sent by this host; if so it is ready for it.
 *
 * Such a packet has a route, and is flagged as one that GRO compares more of
 * (slow_gro). What it compares of routes is meant for those of tunnels only, so
 * the flag is taken away where nothing else needs it: with a head that GRO does
 * not steal the route goes with the packet.
 */
__rnet_helper bool rnet_helper_skb_prepare_gro(struct sk_buff *skb)
{
	u8 protocol;

	/* GRO changes the list of fragments, which a clone shares with TCP's own copy. */
	if (!(skb->dev->features & NETIF_F_GRO) || skb_cloned(skb) || skb->head_frag ||
	    skb->pp_recycle || skb_zcopy(skb) || skb_get_nfct(skb) ||
	    skb_has_extensions(skb) || skb_metadata_dst(skb) || skb_headlen(skb) < 40)
		return false;
	if (skb->protocol == htons(ETH_P_IP))
		protocol = ((const struct iphdr *)skb->data)->protocol;
	else if (skb->protocol == htons(ETH_P_IPV6))
		protocol = ((const struct ipv6hdr *)skb->data)->nexthdr;
	else
		return false;
	if (protocol != IPPROTO_TCP &&
	    (protocol != IPPROTO_UDP || !(skb->dev->features & NETIF_F_GRO_UDP_FWD)))
		return false;
	skb->slow_gro = 0;
	return true;
}

/* All that GRO has is delivered, as by gro_flush_normal(), which modules cannot call. */
__rnet_helper void rnet_helper_napi_gro_flush(struct napi_struct *napi)
{
	napi_gro_flush(napi, false);
	if (!list_empty(&napi->gro.rx_list)) {
		netif_receive_skb_list(&napi->gro.rx_list);
		INIT_LIST_HEAD(&napi->gro.rx_list);
		napi->gro.rx_count = 0;
	}
}

/* A program's verdict on a packet of the stack; true: pass it on. */
__rnet_helper bool rnet_helper_xdp_run_skb(const struct bpf_prog *prog, struct sk_buff **skb)
{
	/* As __netif_receive_skb_core() does before; cpumap relies on the length. */
	skb_reset_network_header(*skb);
	if (!skb_transport_header_was_set(*skb))
		skb_reset_transport_header(*skb);
	skb_reset_mac_len(*skb);
	return do_xdp_generic(prog, skb) == XDP_PASS;
}

__rnet_helper void rnet_helper_hrtimer_setup(struct hrtimer *timer,
					     enum hrtimer_restart (*fn)(struct hrtimer *))
{
	hrtimer_setup(timer, fn, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED);
}

__rnet_helper void rnet_helper_hrtimer_start_us(struct hrtimer *timer, u32 usecs)
{
	hrtimer_start(timer, us_to_ktime(usecs), HRTIMER_MODE_REL_PINNED);
}

__rnet_helper void rnet_helper_init_csd(call_single_data_t *csd, smp_call_func_t fn, void *info)
{
	INIT_CSD(csd, fn, info);
}

__rnet_helper void rnet_helper_dev_core_stats_rx_dropped_inc(struct net_device *dev)
{
	dev_core_stats_rx_dropped_inc(dev);
}

/* How many receive queues the device says it has room for; no more than were allocated. */
__rnet_helper void rnet_helper_netdev_set_num_rx_queues(struct net_device *dev, u32 count)
{
	dev->num_rx_queues = count;
}

/* What users may switch on from now on, or no longer; under RTNL. */
__rnet_helper void rnet_helper_netdev_offer_features(struct net_device *dev, u64 features, bool on)
{
	if (on) {
		dev->hw_features |= features;
	} else {
		dev->wanted_features &= ~features;
		netdev_update_features(dev);
		dev->hw_features &= ~features;
	}
}

__rnet_helper u32 rnet_helper_netdev_num_rx_queues(const struct net_device *dev)
{
	return dev->num_rx_queues;
}

/* Large TCP packets, and their aggregation; under RTNL, or before registration. */
__rnet_helper void rnet_helper_netdev_set_gso_sizes(struct net_device *dev, u32 size)
{
	WRITE_ONCE(dev->gso_max_size, size);
	WRITE_ONCE(dev->gso_ipv4_max_size, size);
	WRITE_ONCE(dev->gro_max_size, size);
	WRITE_ONCE(dev->gro_ipv4_max_size, size);
}
