// SPDX-License-Identifier: GPL-2.0

#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>

__rnet_helper void rnet_helper_netif_napi_add_config(struct net_device *dev,
						     struct napi_struct *napi,
						     int (*poll)(struct napi_struct *, int),
						     int index)
{
	netif_napi_add_config(dev, napi, poll, index);
}

__rnet_helper void rnet_helper_netif_napi_set_irq(struct napi_struct *napi, int irq)
{
	netif_napi_set_irq(napi, irq);
}

__rnet_helper void rnet_helper_netif_napi_del(struct napi_struct *napi)
{
	netif_napi_del(napi);
}

__rnet_helper void rnet_helper_napi_schedule_irqoff(struct napi_struct *napi)
{
	napi_schedule_irqoff(napi);
}

__rnet_helper void rnet_helper_napi_schedule(struct napi_struct *napi)
{
	napi_schedule(napi);
}

/* From process context: the softirq runs at the end. */
__rnet_helper void rnet_helper_napi_schedule_bh(struct napi_struct *napi)
{
	local_bh_disable();
	napi_schedule(napi);
	local_bh_enable();
}

/* Softirqs are off in a transmit callback; netpoll also has interrupts off. */
__rnet_helper void rnet_helper_skb_consume_in_xmit(struct sk_buff *skb)
{
	napi_consume_skb(skb, !irqs_disabled());
}

__rnet_helper struct sk_buff *rnet_helper_napi_build_page_skb(struct page *page,
							      unsigned int headroom,
							      unsigned int len)
{
	struct sk_buff *skb = napi_build_skb(page_address(page), PAGE_SIZE);

	if (unlikely(!skb))
		return NULL;
	skb_mark_for_recycle(skb);
	skb_reserve(skb, headroom);
	__skb_put(skb, len);
	return skb;
}

__rnet_helper void rnet_helper_napi_gro_receive(struct napi_struct *napi, struct sk_buff *skb)
{
	napi_gro_receive(napi, skb);
}

__rnet_helper unsigned int rnet_helper_skb_nr_frags(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->nr_frags;
}

__rnet_helper void rnet_helper_skb_add_rx_page(struct sk_buff *skb, unsigned int index,
					       struct page *page, unsigned int offset,
					       unsigned int len)
{
	skb_add_rx_frag(skb, index, page, offset, len, PAGE_SIZE);
}

__rnet_helper void rnet_helper_skb_rx_prepare(struct sk_buff *skb, struct net_device *dev,
					      unsigned int queue)
{
	skb_record_rx_queue(skb, queue);
	skb->protocol = eth_type_trans(skb, dev);
}

__rnet_helper void rnet_helper_skb_csum_unnecessary(struct sk_buff *skb)
{
	skb->ip_summed = CHECKSUM_UNNECESSARY;
}

__rnet_helper void rnet_helper_skb_set_hash(struct sk_buff *skb, u32 hash, bool l4)
{
	skb_set_hash(skb, hash, l4 ? PKT_HASH_TYPE_L4 : PKT_HASH_TYPE_L3);
}

__rnet_helper void rnet_helper_skb_put_vlan_tag(struct sk_buff *skb, u16 tci)
{
	__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q), tci);
}
