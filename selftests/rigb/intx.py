#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""One interrupt for everything, where there is no MSI: boot with pci=nomsi."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kernel
import ktap
import port
from irqs import everything


@ktap.case(limit=200)
def everything_on_one():
    """Both ports share what interrupts there are; packets both ways, the link, queues, and set down and up again."""
    if "pci=nomsi" not in kernel.read("/proc/cmdline").split():
        raise ktap.Skip("boot with pci=nomsi")
    pair = port.Pair("rigb-rigb")
    for device in pair.devices:
        ktap.check(not os.path.exists("%s/devices/%s/msi_irqs" % (port.PCI, device)), "%s has MSI" % device)
    everything(pair, "IO-APIC")


if __name__ == "__main__":
    sys.exit(port.main())
