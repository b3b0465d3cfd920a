// SPDX-License-Identifier: GPL-2.0
/*
 * PCI devices that have less than they have, so that a driver has to make do
 * with it. For tests: QEMU's devices always have MSI-X, and a PC always does
 * DMA of 64 bits.
 */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/pci.h>

#define MOST 4

static char *devices[MOST];
static unsigned int count;
module_param_array(devices, charp, &count, 0444);
MODULE_PARM_DESC(devices, "addresses on the PCI bus, as 0000:01:00.0; no driver may have them");

static bool msix = true;
module_param(msix, bool, 0444);
MODULE_PARM_DESC(msix, "whether they have MSI-X");

static unsigned int dma_bits = 64;
module_param(dma_bits, uint, 0444);
MODULE_PARM_DESC(dma_bits, "they refuse DMA masks of more bits, 1 to 64");

struct poor {
	struct pci_dev *pdev;
	u8 msix_cap;
};

static struct poor poor[MOST];

/* Only where something is refused the function's end is of interest. */
static int mask_is_set(struct kretprobe_instance *call, struct pt_regs *regs)
{
	struct device *dev = (struct device *)regs_get_kernel_argument(regs, 0);
	u64 mask = regs_get_kernel_argument(regs, 1);
	unsigned int i;

	for (i = 0; i < count; i++)
		if (poor[i].pdev && dev == &poor[i].pdev->dev)
			return mask <= DMA_BIT_MASK(dma_bits);
	return 1;
}

static int mask_was_set(struct kretprobe_instance *call, struct pt_regs *regs)
{
	regs_set_return_value(regs, -EIO);
	return 0;
}

static struct kretprobe probe = {
	.kp.symbol_name = "dma_set_mask",
	.entry_handler = mask_is_set,
	.handler = mask_was_set,
};

static void give_back(void)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (!poor[i].pdev)
			continue;
		device_lock(&poor[i].pdev->dev);
		if (poor[i].msix_cap)
			poor[i].pdev->msix_cap = poor[i].msix_cap;
		device_unlock(&poor[i].pdev->dev);
		pci_dev_put(poor[i].pdev);
		poor[i].pdev = NULL;
	}
}

static int take(struct poor *this, const char *name)
{
	struct device *dev = bus_find_device_by_name(&pci_bus_type, NULL, name);
	int err = 0;

	if (!dev)
		return -ENODEV;
	this->pdev = to_pci_dev(dev);
	device_lock(dev);
	if (dev->driver) {
		err = -EBUSY;
	} else if (!msix) {
		this->msix_cap = this->pdev->msix_cap;
		this->pdev->msix_cap = 0;
	}
	device_unlock(dev);
	return err;
}

static int __init poorer_init(void)
{
	unsigned int i;
	int err = 0;

	if (dma_bits < 1 || dma_bits > 64)
		return -EINVAL;
	for (i = 0; i < count && !err; i++)
		err = take(&poor[i], devices[i]);
	if (!err)
		err = register_kretprobe(&probe);
	if (err)
		give_back();
	return err;
}

static void __exit poorer_exit(void)
{
	unregister_kretprobe(&probe);
	give_back();
}

module_init(poorer_init);
module_exit(poorer_exit);
MODULE_DESCRIPTION("PCI devices without MSI-X or DMA of 64 bits, for tests of rnet");
MODULE_LICENSE("GPL");
