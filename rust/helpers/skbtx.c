// SPDX-License-Identifier: GPL-2.0

#include <linux/dma-mapping.h>
#include <linux/if_vlan.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/checksum.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/sctp/checksum.h>

__rnet_helper unsigned int rnet_helper_skb_frag_size(const struct sk_buff *skb, unsigned int i)
{
	return skb_frag_size(&skb_shinfo(skb)->frags[i]);
}

__rnet_helper dma_addr_t rnet_helper_skb_frag_dma_map(struct device *dev,
						      const struct sk_buff *skb, unsigned int i)
{
	const skb_frag_t *frag = &skb_shinfo(skb)->frags[i];

	return skb_frag_dma_map(dev, frag, 0, skb_frag_size(frag), DMA_TO_DEVICE);
}

__rnet_helper unsigned int rnet_helper_skb_queue_mapping(const struct sk_buff *skb)
{
	return skb_get_queue_mapping(skb);
}

__rnet_helper bool rnet_helper_skb_csum_partial(const struct sk_buff *skb)
{
	return skb->ip_summed == CHECKSUM_PARTIAL;
}

__rnet_helper unsigned int rnet_helper_skb_csum_offset(const struct sk_buff *skb)
{
	return skb->csum_offset;
}

__rnet_helper bool rnet_helper_skb_csum_is_sctp(struct sk_buff *skb)
{
	return skb_csum_is_sctp(skb);
}

__rnet_helper int rnet_helper_skb_csum_start_offset(const struct sk_buff *skb)
{
	return skb_checksum_start_offset(skb);
}

__rnet_helper int rnet_helper_skb_network_offset(const struct sk_buff *skb)
{
	return skb_network_offset(skb);
}

__rnet_helper __be16 rnet_helper_skb_inner_protocol(const struct sk_buff *skb)
{
	return vlan_get_protocol(skb);
}

__rnet_helper unsigned int rnet_helper_skb_gso_size(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->gso_size;
}

__rnet_helper unsigned int rnet_helper_skb_gso_segs(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->gso_segs;
}

__rnet_helper bool rnet_helper_skb_vlan_tag_present(const struct sk_buff *skb)
{
	return skb_vlan_tag_present(skb);
}

__rnet_helper u16 rnet_helper_skb_vlan_tag(const struct sk_buff *skb)
{
	return skb_vlan_tag_get(skb);
}

/* The tag and its protocol; 0 without a tag. */
__rnet_helper u32 rnet_helper_skb_vlan_word(const struct sk_buff *skb)
{
	return skb->vlan_all;
}

__rnet_helper int rnet_helper_skb_cow_head(struct sk_buff *skb)
{
	return skb_cow_head(skb, 0);
}

__rnet_helper int rnet_helper_skb_put_padto(struct sk_buff *skb, unsigned int len)
{
	return skb_put_padto(skb, len);
}

__rnet_helper unsigned int rnet_helper_skb_gso_type(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->gso_type;
}

__rnet_helper bool rnet_helper_skb_encapsulation(const struct sk_buff *skb)
{
	return skb->encapsulation;
}

__rnet_helper unsigned int rnet_helper_skb_tcp_doff(const struct sk_buff *skb)
{
	return ((const struct tcphdr *)skb_checksum_start(skb))->doff * 4;
}

/*
 * What a device wants that writes the lengths and checksums of each segment itself: no length
 * in the IP header and in the pseudo header. Where it takes all headers of a tunnel for the IP
 * header, it adds up all of them for the checksum; what does not belong to the outer IP header
 * is taken off in advance.
 */
__rnet_helper void rnet_helper_skb_gso_prepare(struct sk_buff *skb, bool v4, bool udp)
{
	unsigned char *start = skb_checksum_start(skb);
	u32 paylen = skb->len - skb_checksum_start_offset(skb);
	struct iphdr *iph = ip_hdr(skb);

	if (!v4) {
		ipv6_hdr(skb)->payload_len = 0;
	} else if (skb_shinfo(skb)->gso_type & SKB_GSO_PARTIAL) {
		unsigned char *behind = (unsigned char *)iph + iph->ihl * 4;

		iph->tot_len = 0;
		iph->check = csum_fold(csum_partial(behind, start - behind, 0));
	} else {
		iph->tot_len = 0;
		iph->check = 0;
	}
	if (udp)
		csum_replace_by_diff(&((struct udphdr *)start)->check,
				     (__force __wsum)htonl(paylen));
	else
		csum_replace_by_diff(&((struct tcphdr *)start)->check,
				     (__force __wsum)htonl(paylen));
}

__rnet_helper bool rnet_helper_skb_vlan_tagged(const struct sk_buff *skb)
{
	return skb_vlan_tagged(skb);
}

__rnet_helper u64 rnet_helper_vlan_features_check(struct sk_buff *skb, u64 features)
{
	return vlan_features_check(skb, features);
}
