// SPDX-License-Identifier: GPL-2.0

#include <linux/err.h>
#include <linux/mm.h>
#include <net/page_pool/helpers.h>
#include <net/xdp.h>

/* One page a buffer, mapped once; `offset` and `max_len` are what the device may write. */
__rnet_helper struct page_pool *
rnet_helper_page_pool_create(struct device *dev, struct net_device *netdev,
			     struct napi_struct *napi, unsigned int queue,
			     unsigned int pool_size, unsigned int offset,
			     unsigned int max_len)
{
	struct page_pool_params params = {
		.flags = PP_FLAG_DMA_MAP | PP_FLAG_DMA_SYNC_DEV,
		.pool_size = pool_size,
		.nid = NUMA_NO_NODE,
		.dev = dev,
		.napi = napi,
		.dma_dir = DMA_FROM_DEVICE,
		.max_len = max_len,
		.offset = offset,
		.netdev = netdev,
		.queue_idx = queue,
	};

	return page_pool_create(&params);
}

__rnet_helper struct page *rnet_helper_page_pool_alloc(struct page_pool *pool)
{
	return page_pool_alloc_pages(pool, GFP_ATOMIC | __GFP_NOWARN);
}

__rnet_helper dma_addr_t rnet_helper_page_pool_dma_addr(const struct page *page)
{
	return page_pool_get_dma_addr(page);
}

__rnet_helper void rnet_helper_page_pool_put(struct page_pool *pool, struct page *page,
					     bool direct)
{
	page_pool_put_full_page(pool, page, direct);
}

/* `offset` counts from the pool's own offset. */
__rnet_helper void rnet_helper_page_pool_sync_for_cpu(const struct page_pool *pool,
						      const struct page *page,
						      u32 offset, u32 len)
{
	page_pool_dma_sync_for_cpu(pool, page, offset, len);
}

__rnet_helper int rnet_helper_xdp_rxq_info_reg_pool(struct xdp_rxq_info *rxq,
						    struct page_pool *pool)
{
	return xdp_rxq_info_reg_mem_model(rxq, MEM_TYPE_PAGE_POOL, pool);
}
