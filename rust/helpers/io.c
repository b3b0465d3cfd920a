// SPDX-License-Identifier: GPL-2.0

#include <linux/io.h>

__rnet_helper u32 rnet_helper_readl(const void __iomem *addr)
{
	return readl(addr);
}

__rnet_helper void rnet_helper_writel(u32 val, void __iomem *addr)
{
	writel(val, addr);
}

__rnet_helper void rnet_helper_iounmap(void __iomem *addr)
{
	iounmap(addr);
}
