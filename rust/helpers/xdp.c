// SPDX-License-Identifier: GPL-2.0

#include <linux/bpf.h>
#include <linux/bpf_trace.h>
#include <linux/filter.h>
#include <linux/netdevice.h>
#include <net/xdp.h>

/* A program for or out of ndo_bpf(); false for what is not about programs. */
__rnet_helper bool rnet_helper_netdev_bpf_prog(const struct netdev_bpf *bpf,
					       struct bpf_prog **prog,
					       struct netlink_ext_ack **extack)
{
	if (bpf->command != XDP_SETUP_PROG)
		return false;
	*prog = bpf->prog;
	*extack = bpf->extack;
	return true;
}

__rnet_helper void rnet_helper_bpf_prog_inc(struct bpf_prog *prog)
{
	bpf_prog_inc(prog);
}

__rnet_helper void rnet_helper_bpf_prog_put(struct bpf_prog *prog)
{
	bpf_prog_put(prog);
}

__rnet_helper void rnet_helper_netdev_set_xdp_features(struct net_device *dev, u32 features)
{
	dev->xdp_features = features;
}

__rnet_helper bool rnet_helper_bpf_prog_takes_pieces(const struct bpf_prog *prog)
{
	return prog->aux->xdp_has_frags;
}

__rnet_helper int rnet_helper_xdp_rxq_info_reg(struct xdp_rxq_info *rxq, struct net_device *dev,
					       u32 queue, struct napi_struct *napi)
{
	return __xdp_rxq_info_reg(rxq, dev, queue, napi->napi_id, PAGE_SIZE);
}

/* A frame of `len` bytes that begins at `offset` in a page. */
__rnet_helper void rnet_helper_xdp_prepare(struct xdp_buff *xdp, struct xdp_rxq_info *rxq,
					   struct page *page, unsigned int offset,
					   unsigned int len)
{
	xdp_init_buff(xdp, PAGE_SIZE, rxq);
	xdp_prepare_buff(xdp, page_address(page), offset, len, true);
}

/* `len` more bytes of it, in another page; false where it has no room for one more. */
__rnet_helper bool rnet_helper_xdp_add_page(struct xdp_buff *xdp, struct page *page,
					    unsigned int offset, unsigned int len)
{
	return xdp_buff_add_frag(xdp, page_to_netmem(page), offset, len, PAGE_SIZE);
}

__rnet_helper u32 rnet_helper_xdp_run(const struct bpf_prog *prog, struct xdp_buff *xdp)
{
	return bpf_prog_run_xdp(prog, xdp);
}

__rnet_helper u32 rnet_helper_xdp_len(const struct xdp_buff *xdp)
{
	return xdp_get_buff_len(xdp);
}

__rnet_helper bool rnet_helper_xdp_has_pieces(const struct xdp_buff *xdp)
{
	return xdp_buff_has_frags(xdp);
}

/* A packet of all of its pages, which are of a page pool, with metadata. */
__rnet_helper struct sk_buff *rnet_helper_napi_build_xdp_skb(const struct xdp_buff *xdp)
{
	const struct skb_shared_info *pieces = xdp_get_shared_info_from_buff(xdp);
	/* The packet is built over what says how many there are. */
	u8 nr = xdp_buff_has_frags(xdp) ? pieces->nr_frags : 0;
	struct sk_buff *skb = napi_build_skb(xdp->data_hard_start, xdp->frame_sz);

	if (unlikely(!skb))
		return NULL;
	skb_mark_for_recycle(skb);
	skb_reserve(skb, xdp->data - xdp->data_hard_start);
	__skb_put(skb, xdp->data_end - xdp->data);
	if (xdp->data != xdp->data_meta)
		skb_metadata_set(skb, xdp->data - xdp->data_meta);
	if (nr)
		xdp_update_skb_frags_info(skb, nr, pieces->xdp_frags_size, nr * PAGE_SIZE,
					  xdp_buff_get_skb_flags(xdp));
	return skb;
}

/* Gives all of its pages back to their pool. */
__rnet_helper void rnet_helper_xdp_put_pages(const struct xdp_buff *xdp, struct page_pool *pool,
					     bool direct)
{
	const struct skb_shared_info *pieces = xdp_get_shared_info_from_buff(xdp);
	u32 i;

	if (xdp_buff_has_frags(xdp))
		for (i = 0; i < pieces->nr_frags; i++)
			page_pool_put_full_page(pool, skb_frag_page(&pieces->frags[i]), direct);
	page_pool_put_full_page(pool, virt_to_page(xdp->data_hard_start), direct);
}

__rnet_helper struct xdp_frame *rnet_helper_xdp_to_frame(struct xdp_buff *xdp)
{
	return xdp_convert_buff_to_frame(xdp);
}

__rnet_helper void rnet_helper_xdp_exception(const struct net_device *dev,
					     const struct bpf_prog *prog, u32 act)
{
	trace_xdp_exception(dev, prog, act);
}

__rnet_helper u32 rnet_helper_xdp_frame_len(const struct xdp_frame *frame)
{
	return xdp_get_frame_len(frame);
}

/* Makes a frame `len` bytes long, with zeros behind; false where there is no room for them. */
__rnet_helper bool rnet_helper_xdp_frame_pad(struct xdp_frame *frame, u32 len)
{
	u32 behind = SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
	void *end = (void *)frame + frame->frame_sz - behind;

	if (frame->len >= len)
		return true;
	if (xdp_frame_has_frags(frame) || frame->data + len > end)
		return false;
	memset(frame->data + frame->len, 0, len - frame->len);
	frame->len = len;
	return true;
}

/* How many pieces of memory a frame has. */
__rnet_helper u32 rnet_helper_xdp_frame_pieces(struct xdp_frame *frame)
{
	if (likely(!xdp_frame_has_frags(frame)))
		return 1;
	return 1 + xdp_get_shared_info_from_frame(frame)->nr_frags;
}

/* One of them; all of it is memory that the kernel has mapped. */
__rnet_helper void *rnet_helper_xdp_frame_piece(struct xdp_frame *frame, u32 piece, u32 *len)
{
	const skb_frag_t *frag;

	if (!piece) {
		*len = frame->len;
		return frame->data;
	}
	frag = &xdp_get_shared_info_from_frame(frame)->frags[piece - 1];
	*len = skb_frag_size(frag);
	return skb_frag_address(frag);
}

/* The queue is locked as for a transmit callback, and its watchdog told. */
__rnet_helper void rnet_helper_netif_tx_lock_queue(struct netdev_queue *txq)
{
	__netif_tx_lock(txq, smp_processor_id());
	txq_trans_cond_update(txq);
}

__rnet_helper void rnet_helper_netif_tx_unlock_queue(struct netdev_queue *txq)
{
	__netif_tx_unlock(txq);
}
