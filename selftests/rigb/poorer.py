#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Ports without MSI-X, and without DMA of 64 bits, which rnet_poorer.ko makes of those that there are."""

import contextlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kernel
import ktap
import net
import port
from irqs import everything

SLOTS = "/sys/kernel/debug/swiotlb/io_tlb_used"


@contextlib.contextmanager
def poorer(what):
    """Inside, the two ports are less than they are."""
    devices = port.devices()[:2]
    for device in devices:
        port.unbind(device)
    try:
        kernel.insmod("rnet_poorer", "devices=%s %s" % (",".join(devices), what))
    except OSError as error:
        raise ktap.Failure("rnet_poorer.ko %s: %s" % (what, error)) from error
    try:
        yield devices
    finally:
        for device in devices:
            port.unbind(device)
        kernel.rmmod("rnet_poorer")


def bits(device):
    """The widths of its DMA addresses: of mappings, and of memory that both use."""
    return [kernel.number("%s/devices/%s/%sdma_mask_bits" % (port.PCI, device, kind)) for kind in ("", "consistent_")]


@ktap.case(("rigb-rigb", "rigb-igb"), limit=200)
def messages(pair):
    """Without MSI-X one message for everything: packets both ways, the link, queues, and set down and up again."""
    with poorer("msix=0") as devices:
        pair = port.Pair(pair)
        for device in devices:
            vectors = os.listdir("%s/devices/%s/msi_irqs" % (port.PCI, device))
            ktap.equal("messages of %s" % device, len(vectors), 1)
        everything(pair, "PCI-MSI-")
        pair.close()


@ktap.case(limit=200)
def addresses():
    """A port that has no room for 64 bits gets addresses of 32 bits, whatever memory packets are in. igb refuses it."""
    with poorer("dma_bits=32") as devices:
        pair = port.Pair("rigb-rigb")
        for device in devices:
            ktap.equal("bits of %s" % device, bits(device), [32, 32])
        one, other = pair.tcp()
        data, most = os.urandom(1 << 20), 0
        with one, other:
            for source, sink in ((one, other), (other, one)):
                for start in range(0, len(data), 1 << 16):
                    block = data[start:start + (1 << 16)]
                    source.sendall(block)
                    ktap.check(net.read_exactly(sink, len(block)) == block, "the bytes differ")
                    most = max(most, kernel.number(SLOTS))
        pair.exchange(count=64, size=1400)
        if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > 4 << 30:
            ktap.check(most > 0, "nothing was copied, though there is memory above 4 GiB")
        ktap.note("up to %d slots of the pool were in use" % most)
        pair.close()


@ktap.case(limit=100)
def no_addresses():
    """A port that can do neither is refused, and works when it can again."""
    with poorer("dma_bits=31") as devices:
        device = devices[0]
        kernel.write("%s/devices/%s/driver_override" % (port.PCI, device), "rigb\n")
        error = ktap.error_of(lambda: kernel.write(port.PCI + "/drivers/rigb/bind", device))
        ktap.equal("binding", error, "EIO")
        ktap.equal("driver", port.driver_of(device), None)
        ktap.equal("network device", port.interface(device), None)
    pair = port.Pair("rigb-igb")
    ktap.equal("bits", bits(pair.devices[0]), [64, 64])
    pair.ping()


if __name__ == "__main__":
    sys.exit(port.main())
