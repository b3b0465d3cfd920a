// SPDX-License-Identifier: GPL-2.0

#include <linux/etherdevice.h>
#include <linux/skbuff.h>
#include <net/dropreason.h>
#include <net/dst.h>

/*
 * skb_tx_timestamp(), without the call where there is no PHY that could stamp:
 * skb_clone_tx_timestamp() looks for one under the RCU lock and finds none.
 */
__rnet_helper void
rnet_helper_skb_tx_timestamp(struct sk_buff *skb, const struct net_device *dev)
{
	if (unlikely((unsigned long)dev->phydev |
		     (unsigned long)rcu_access_pointer(dev->hwprov)))
		skb_clone_tx_timestamp(skb);
	if (skb_shinfo(skb)->tx_flags & (SKBTX_SW_TSTAMP | SKBTX_BPF))
		skb_tstamp_tx(skb, NULL);
}

__rnet_helper void rnet_helper_skb_clear_tstamp(struct sk_buff *skb)
{
	skb_clear_tstamp(skb);
}

__rnet_helper void rnet_helper_skb_orphan(struct sk_buff *skb)
{
	skb_orphan(skb);
}

__rnet_helper void rnet_helper_skb_dst_force(struct sk_buff *skb)
{
	/* The test for a route that has a reference comes first, alone. */
	if (unlikely(skb->_skb_refdst & SKB_DST_NOREF))
		skb_dst_force(skb);
}

__rnet_helper void rnet_helper_skb_set_protocol(struct sk_buff *skb, __be16 protocol)
{
	skb->protocol = protocol;
}

__rnet_helper __be16 rnet_helper_skb_protocol(const struct sk_buff *skb)
{
	return skb->protocol;
}

__rnet_helper unsigned int rnet_helper_skb_len(const struct sk_buff *skb)
{
	return skb->len;
}

__rnet_helper bool rnet_helper_skb_is_shared(const struct sk_buff *skb)
{
	return skb_shared(skb);
}

__rnet_helper unsigned int rnet_helper_skb_headlen(const struct sk_buff *skb)
{
	return skb_headlen(skb);
}

__rnet_helper const u8 *rnet_helper_skb_data(const struct sk_buff *skb)
{
	return skb->data;
}

__rnet_helper void rnet_helper_dev_consume_skb_any(struct sk_buff *skb)
{
	dev_consume_skb_any(skb);
}

__rnet_helper u32 rnet_helper_skb_mark(const struct sk_buff *skb)
{
	return skb->mark;
}

__rnet_helper u16 rnet_helper_skb_protocol_host(const struct sk_buff *skb)
{
	return ntohs(skb->protocol);
}

__rnet_helper struct net_device *rnet_helper_skb_dev(const struct sk_buff *skb)
{
	return READ_ONCE(skb->dev);
}

/* The kernel's own reasons are static; those of modules are not looked at. */
__rnet_helper unsigned int rnet_helper_drop_reasons(const char *const **names)
{
	const struct drop_reason_list *list =
		rcu_dereference_raw(drop_reasons_by_subsys[SKB_DROP_REASON_SUBSYS_CORE]);

	*names = list->reasons;
	return list->n_reasons;
}
