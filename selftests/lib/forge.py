# SPDX-License-Identifier: GPL-2.0
"""Registers of a port from user space, and the VM's memory as its devices see it.

Registers need the kernel argument iomem=relaxed. Memory is a file of the host that QEMU runs the
VM in (port.py hostile DIR): what is written there is what a device could have written.
"""

import mmap
import os
import struct

import ktap
import port
import tools

# Offsets of the 82576, from its datasheet.
RDBAL, RDBAH, RDLEN, RDH, RDT = 0xC000, 0xC004, 0xC008, 0xC010, 0xC018
TDBAL, TDBAH, TDLEN, TDH, TDT, TXDCTL = 0xE000, 0xE004, 0xE008, 0xE010, 0xE018, 0xE028
STRIDE, ENABLE = 0x40, 1 << 25
EICS = 0x1520
# In the status of a receive descriptor.
DD, EOP, VP = 1, 2, 8

_MOUNT = "/tmp/rnet-ram"


class Registers:
    """The registers of a port."""

    def __init__(self, device):
        try:
            file = os.open("%s/devices/%s/resource0" % (port.PCI, device), os.O_RDWR)
            self.map = mmap.mmap(file, 0x20000)
            os.close(file)
        except OSError as error:
            raise ktap.Skip("no access to registers (iomem=relaxed): %s" % error) from error

    def read(self, offset):
        """One register."""
        return struct.unpack_from("<I", self.map, offset)[0]

    def write(self, offset, value):
        """One register."""
        struct.pack_into("<I", self.map, offset, value)


class Ram:
    """The memory of the VM, by bus address."""

    def __init__(self):
        os.makedirs(_MOUNT, exist_ok=True)
        if not os.path.exists(_MOUNT + "/ram"):
            status, _, error = tools.attempt(
                "mount -t 9p -o trans=virtio,version=9p2000.L,cache=none ram " + _MOUNT)
            if status:
                raise ktap.Skip("the VM's memory is no file of the host: " + error)
        self.fd = os.open(_MOUNT + "/ram", os.O_RDWR)

    def write(self, address, data):
        """As a device writes."""
        ktap.equal("bytes written", os.pwrite(self.fd, data, address), len(data))

    def read(self, address, size):
        """As a device reads."""
        return os.pread(self.fd, size, address)


class RxRing:
    """A receive ring, written to in place of the device."""

    def __init__(self, registers, ram, queue=0):
        self.registers, self.ram = registers, ram
        self.at = STRIDE * queue
        self.queue = queue
        self.base = self.where()
        self.len = self.get(RDLEN) // 16
        ktap.check(self.len, "queue %d has no ring" % queue)

    def get(self, offset):
        """One of the ring's registers."""
        return self.registers.read(offset + self.at)

    def where(self):
        """The ring's bus address."""
        return self.get(RDBAL) | self.get(RDBAH) << 32

    def room(self):
        """How many buffers the device has."""
        return (self.get(RDT) - self.get(RDH)) % self.len

    def write_back(self, *descriptors):
        """Writes descriptors, each two 64-bit numbers, where the device is, moves the device on behind
        them and raises the interrupt of all queues."""
        head = self.get(RDH)
        # A port that went down and up has another ring, and this memory another owner.
        ktap.equal("the ring's address", self.where(), self.base)
        for n, (low, high) in enumerate(descriptors):
            address = self.base + 16 * ((head + n) % self.len)
            # The word with DD last, as the device does.
            self.ram.write(address, struct.pack("<Q", low & (1 << 64) - 1))
            self.ram.write(address + 8, struct.pack("<Q", high & (1 << 64) - 1))
        self.registers.write(RDH + self.at, (head + len(descriptors)) % self.len)
        self.registers.write(EICS, 0x3ff)


def frame(length, status=DD | EOP, vlan=0, kind=0, rss=0):
    """A write-back of a received frame."""
    return rss << 32 | kind, vlan << 48 | length << 32 | status


def own_statistics(pair, end=0):
    """What ethtool -S shows, summed up over the queues: {"rx_length_errors": ...}."""
    total = {}
    for line in pair.run(end, "ethtool -S %s").splitlines()[1:]:
        name, _, value = line.strip().partition(": ")
        words = name.split("_queue_")
        if len(words) == 2:
            name = words[0] + "_" + words[1].partition("_")[2]
        total[name] = total.get(name, 0) + int(value)
    return total


def quiet(pair):
    """Nothing that the kernel sends by itself is to come between forged descriptors."""
    pair.without_ipv6()
    for end in (0, 1):
        # Neighbours for good: no ARP.
        other = pair.link(1 - end)["address"]
        pair.run(end, "ip neigh replace %s lladdr %s dev %%s nud permanent" % (port.V4[1 - end], other))
