#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The port works again, by itself, after what happens to it. Some cases poke registers: boot with iomem=relaxed."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import struct
import subprocess
import time

import forge
import kernel
import ktap
import port
import tools


def answers(pair):
    """Whether the other end answers."""
    status, _, _ = pair.attempt(0, "ping -q -c 1 -W 1 " + port.V4[1])
    return status == 0


@ktap.case(limit=200)
def function_reset():
    """echo 1 > reset, idle and under traffic: the port works again without being set down and up."""
    pair = port.Pair("rigb-igb")
    path = "%s/devices/%s/reset" % (port.PCI, pair.devices[0])
    for loaded in (False, True):
        pair.ping()
        flood = None
        if loaded:
            with pair.side(0):
                flood = subprocess.Popen(["ping", "-q", "-f", "-s", "1400", port.V4[1]],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            port.settled()
        kernel.write(path, "1")
        ktap.wait_for("the other end answers", lambda: answers(pair), 20)
        if flood:
            flood.kill()
            flood.wait()
        pair.ping()


@ktap.case(limit=200)
def reset_while_down():
    """A reset while the port is down: it goes up after that."""
    pair = port.Pair("rigb-igb")
    pair.run(0, "ip link set dev %s down")
    kernel.write("%s/devices/%s/reset" % (port.PCI, pair.devices[0]), "1")
    pair.run(0, "ip link set dev %s up")
    pair.up()
    pair.ping()


@ktap.case(limit=200)
def stuck_queue():
    """The device stops sending: found and mended within 5 seconds of the first packet that waits."""
    pair = port.Pair("rigb-igb")
    pair.ping()
    ktap.equal("recoveries", pair.file(0, "rigb/recoveries"), "0")
    registers = forge.Registers(pair.devices[0])
    for queue in range(2):
        offset = forge.TXDCTL + forge.STRIDE * queue
        registers.write(offset, registers.read(offset) & ~forge.ENABLE)
    start = time.monotonic()
    ktap.check(not answers(pair), "switching the queues off changed nothing")
    ktap.wait_for("the other end answers", lambda: answers(pair), 20)
    taken = time.monotonic() - start
    ktap.note("mended after %.1f s" % taken)
    # Found within 2 s; then there is the link to be negotiated, and neighbours to be found.
    ktap.check(taken < 5 * ktap.SLOW, "it took %.1f s" % taken)
    ktap.equal("recoveries", pair.file(0, "rigb/recoveries"), "1")
    pair.ping()


def bus_error(device, status):
    """Has the port above the device report an error of its, by the kernel's aer_inject."""
    tools.run("modprobe aer_inject")
    domain, bus, rest = device.split(":")
    slot, function = rest.split(".")
    kernel.write("/dev/aer_inject", struct.pack("=BBBxIIIIIII", int(bus, 16), int(slot, 16), int(function, 16),
                                                status, 0, 0, 0, 0, 0, int(domain, 16)))


# Poisoned data, which is not fatal, and a malformed request, which is.
LOST, FATAL = 1 << 12, 1 << 18


@ktap.case(limit=200)
def bus_errors():
    """Errors on the bus: one transaction lost, and the port works on; a fatal one, and it is away, nothing hangs."""
    if tools.attempt("modprobe aer_inject")[0]:
        raise ktap.Skip("no CONFIG_PCIEAER_INJECT")
    pair = port.Pair("rigb-igb")
    pair.ping()
    device = pair.devices[0]
    for _ in range(3):
        bus_error(device, LOST)
        ktap.wait_for("the error is dealt with", lambda: "device recovery successful" in tools.run("dmesg"), 10)
        pair.ping()
        pair.exchange()
    ktap.equal("recoveries", pair.file(0, "rigb/recoveries"), "0")
    bus_error(device, FATAL)
    # The bus is reset, after which QEMU's port has no link: nobody's driver comes back from that.
    ktap.wait_for("the error is dealt with",
                  lambda: "device recovery failed" in tools.run("dmesg") or answers(pair), 20)
    pair.run(0, "ip -s link show dev %s")
    pair.attempt(0, "ethtool %s")
    pair.run(0, "ip link set dev %s down")
    pair.close()
    kernel.write("%s/devices/%s/remove" % (port.PCI, device), "1")
    ktap.wait_for("the device is gone", lambda: len(port.devices()) == 1, 10)
    kernel.write(port.PCI + "/rescan", "1")
    ktap.wait_for("the device is back", lambda: len(port.devices()) == 2, 10)
    port.Pair("rigb-igb").ping()


if __name__ == "__main__":
    sys.exit(port.main())
