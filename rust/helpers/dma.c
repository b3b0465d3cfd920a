// SPDX-License-Identifier: GPL-2.0

#include <linux/dma-mapping.h>

__rnet_helper int rnet_helper_dma_set_mask_and_coherent(struct device *dev, u64 mask)
{
	return dma_set_mask_and_coherent(dev, mask);
}

__rnet_helper void *rnet_helper_dma_alloc_coherent(struct device *dev, size_t size,
						   dma_addr_t *dma)
{
	return dma_alloc_coherent(dev, size, dma, GFP_KERNEL);
}

__rnet_helper void rnet_helper_dma_free_coherent(struct device *dev, size_t size, void *cpu,
						 dma_addr_t dma)
{
	dma_free_coherent(dev, size, cpu, dma);
}

__rnet_helper dma_addr_t rnet_helper_dma_map_to_device(struct device *dev, void *ptr, size_t size)
{
	return dma_map_single(dev, ptr, size, DMA_TO_DEVICE);
}

__rnet_helper void rnet_helper_dma_unmap_to_device(struct device *dev, dma_addr_t dma, size_t size)
{
	dma_unmap_single(dev, dma, size, DMA_TO_DEVICE);
}

__rnet_helper void rnet_helper_dma_unmap_page_to_device(struct device *dev, dma_addr_t dma,
							size_t size)
{
	dma_unmap_page(dev, dma, size, DMA_TO_DEVICE);
}

__rnet_helper bool rnet_helper_dma_mapping_failed(struct device *dev, dma_addr_t dma)
{
	return dma_mapping_error(dev, dma);
}
