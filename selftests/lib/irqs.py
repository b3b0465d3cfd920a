# SPDX-License-Identifier: GPL-2.0
"""Ports with one interrupt for everything."""

import os

import kernel
import ktap
import port
import qmp


def lines(name):
    """What /proc/interrupts says of a device: [(number, what kind)]"""
    found = []
    for line in kernel.read("/proc/interrupts").splitlines():
        words = line.replace(",", " ").split()
        if name in words:
            found.append((sum(int(word) for word in words[1:1 + os.cpu_count()]), line))
    return found


def everything(pair, kind):
    """Packets both ways, the link, queues, and set down and up again, all with one interrupt of this kind."""
    for name in port.NAMES:
        found = lines(name)
        ktap.check(len(found) == 1 and kind in found[0][1], "interrupts of %s: %s" % (name, found))
    before = [lines(name)[0][0] for name in port.NAMES]
    for end in (0, 1):
        pair.ping(end=end, address=port.V4[1 - end], count=20)
    pair.exchange(count=16, size=1400)
    pair.bytes_both_ways()
    after = [lines(name)[0][0] for name in port.NAMES]
    ktap.check(all(b - a >= 10 for a, b in zip(before, after)), "interrupts: %s, then %s" % (before, after))
    # As many queues as one likes are served by it.
    pair.run(0, "ethtool -L %s combined 4")
    pair.wait_link()
    pair.ping()
    monitor = qmp.Monitor()
    for up in (False, True):
        monitor("set_link", name="nic1", up=up)
        ktap.wait_for("carrier %d" % up, lambda up=up: ("LOWER_UP" in pair.link(0)["flags"]) == up, 10)
    monitor.close()
    # With "interrupts": those for queues only, those for the link beside them.
    queues, others = (int(pair.file(0, "rigb/" + name).split()[0]) for name in ("interrupts", "other_interrupts"))
    ktap.check(queues >= 10 and others >= 1, "for queues %d, for others %d" % (queues, others))
    for _ in range(3):
        pair.run(0, "ip link set dev %s down")
        pair.run(0, "ip link set dev %s up")
    pair.up()
    pair.ping()
