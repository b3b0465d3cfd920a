// SPDX-License-Identifier: GPL-2.0

#include <linux/pci.h>
#include <linux/pm_runtime.h>

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

__rnet_helper bool rnet_helper_device_has_driver_override(struct device *dev)
{
	return device_has_driver_override(dev);
}

__rnet_helper int rnet_helper_device_set_driver_override(struct device *dev, const char *name)
{
	return device_set_driver_override(dev, name);
}

__rnet_helper int rnet_helper_pci_driver_attach(struct pci_driver *drv, struct device *dev)
{
	return device_driver_attach(&drv->driver, dev);
}

__rnet_helper bool rnet_helper_device_can_wakeup(struct device *dev)
{
	return device_can_wakeup(dev);
}

/* The last step of a shutdown, if the machine is switched off after it. */
__rnet_helper void rnet_helper_pci_power_off(struct pci_dev *pdev, bool wake)
{
	if (system_state != SYSTEM_POWER_OFF)
		return;
	pci_wake_from_d3(pdev, wake);
	pci_set_power_state(pdev, PCI_D3hot);
}

__rnet_helper int rnet_helper_pm_runtime_resume_and_get(struct device *dev)
{
	return pm_runtime_resume_and_get(dev);
}

__rnet_helper void rnet_helper_pm_runtime_put(struct device *dev)
{
	pm_runtime_put(dev);
}

__rnet_helper void rnet_helper_pm_runtime_put_noidle(struct device *dev)
{
	pm_runtime_put_noidle(dev);
}

__rnet_helper void rnet_helper_pm_runtime_get_noresume(struct device *dev)
{
	pm_runtime_get_noresume(dev);
}
