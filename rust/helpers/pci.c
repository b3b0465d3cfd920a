// SPDX-License-Identifier: GPL-2.0

#include <linux/pci.h>

__rnet_helper struct device *rnet_helper_pci_dev_device(struct pci_dev *pdev)
{
	return &pdev->dev;
}

__rnet_helper const char *rnet_helper_pci_name(const struct pci_dev *pdev)
{
	return pci_name(pdev);
}

__rnet_helper u32 rnet_helper_pci_vendor_device(const struct pci_dev *pdev)
{
	return (u32)pdev->vendor << 16 | pdev->device;
}

__rnet_helper u32 rnet_helper_pci_subsystem(const struct pci_dev *pdev)
{
	return (u32)pdev->subsystem_vendor << 16 | pdev->subsystem_device;
}

__rnet_helper void *rnet_helper_pci_get_drvdata(struct pci_dev *pdev)
{
	return pci_get_drvdata(pdev);
}

__rnet_helper void rnet_helper_pci_set_drvdata(struct pci_dev *pdev, void *data)
{
	pci_set_drvdata(pdev, data);
}

__rnet_helper int rnet_helper_pci_request_mem_regions(struct pci_dev *pdev, const char *name)
{
	return pci_request_mem_regions(pdev, name);
}

__rnet_helper void rnet_helper_pci_release_mem_regions(struct pci_dev *pdev)
{
	pci_release_mem_regions(pdev);
}

__rnet_helper bool rnet_helper_pci_resource_is_mem(struct pci_dev *pdev, int bar)
{
	return pci_resource_flags(pdev, bar) & IORESOURCE_MEM;
}

__rnet_helper u64 rnet_helper_pci_resource_len(struct pci_dev *pdev, int bar)
{
	return pci_resource_len(pdev, bar);
}

__rnet_helper int rnet_helper_pci_alloc_irq_vectors(struct pci_dev *pdev, unsigned int min,
						    unsigned int max, unsigned int flags)
{
	return pci_alloc_irq_vectors(pdev, min, max, flags);
}

__rnet_helper int rnet_helper_pci_register_driver(struct pci_driver *drv, const char *name)
{
	return __pci_register_driver(drv, THIS_MODULE, name);
}

__rnet_helper void rnet_helper_pci_driver_set_pm(struct pci_driver *drv,
						 const struct dev_pm_ops *pm)
{
	drv->driver.pm = pm;
}

__rnet_helper struct pci_dev *rnet_helper_to_pci_dev(struct device *dev)
{
	return to_pci_dev(dev);
}
