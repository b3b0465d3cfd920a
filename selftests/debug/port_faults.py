#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Every memory allocation of rigb fails once: binding, setting up, changing rings, channels and MTU, sending;
and receiving while a part of them, or all, fail.

After each failure (lib/fault.py) the world has to be whole: what was asked for is there, or what was there
before, and packets flow. Lost memory is found after the program. Mappings that fail: rigb/mapping.py.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import array
import fcntl
import struct
import threading
import time

import fault
import kernel
import ktap
import net
import port
from fault import LONG, MORE, NO_MEMORY
from forge import own_statistics

SIOCETHTOOL = 0x8946
# struct ethtool_ringparam and struct ethtool_channels: the command, then eight numbers.
RINGS, CHANNELS = (0x10, 0x11), (0x3c, 0x3d)
# So many allocations fail one by one, then ever fewer; with RNET_LONG all do, but those of probing, of which there are
# thousands, as every file in sysfs has some.
EACH, EACH_LONG = 24, 300
# What a ring has at least: its buffers are most allocations, and all alike.
SMALL = 64
# Seconds of receiving under each share of failures.
RECEIVING = 3 * ktap.SLOW
# Numbers of datagrams that are sent while nothing fails.
LATER = 1 << 20


def ethtool(sock, values):
    """SIOCETHTOOL with numbers of 32 bits, for the first port; what it left in them."""
    numbers = array.array("I", values)
    request = struct.pack("16sP16x", port.NAMES[0].encode(), numbers.buffer_info()[0])
    fcntl.ioctl(sock, SIOCETHTOOL, request)
    return list(numbers)


class Change:
    """One setting of the first port by ioctl(2), one system call each."""

    def __init__(self, pair, what):
        self.pair, self.what = pair, what
        self.sock = pair.socket(0, net.socket.AF_INET, net.socket.SOCK_DGRAM)
        # One vector is for other things than packets, which a change has to name.
        self.others = ethtool(self.sock, [CHANNELS[0]] + [0] * 8)[7]

    def get(self):
        """What is set."""
        if self.what == "mtu":
            return self.pair.link(0)["mtu"]
        if self.what == "up":
            return "UP" in self.pair.link(0)["flags"]
        commands, at = (RINGS, 5) if self.what == "rings" else (CHANNELS, 8)
        return ethtool(self.sock, [commands[0]] + [0] * 8)[at]

    def set(self, value):
        """Sets it, in the thread that calls."""
        if self.what == "mtu":
            net.set_mtu(port.NAMES[0], value)
        elif self.what == "up":
            net.set_up(port.NAMES[0], value)
        elif self.what == "rings":
            ethtool(self.sock, [RINGS[1]] + [0] * 4 + [value, 0, 0, SMALL])
        else:
            ethtool(self.sock, [CHANNELS[1]] + [0] * 6 + [self.others, value])


def failed(nth, injected, error, others=()):
    """Whether the call ended with an error, which has to be the one that was injected."""
    if error:
        ktap.check(injected and error in NO_MEMORY + others, "allocation %d: %s" % (nth, error))
    return bool(error)


def works(pair):
    """A link, and some packets in both directions."""
    pair.wait_link()
    for source in (0, 1):
        pair.exchange(source=source, count=4)


def enough(inject, least):
    """Some of the calls have failed for lack of memory."""
    ktap.note("results: %r" % dict(inject.errors))
    ktap.check(sum(inject.errors[name] for name in NO_MEMORY + ("EBUSY",)) >= least, "only %r" % inject.errors)


@ktap.case(limit=300 * MORE)
def probe():
    """Binding: ENOMEM and nothing left behind, or bound and working."""
    device = port.devices()[0]
    inject, path = fault.Injector(), port.PCI + "/drivers/rigb/bind"
    port.unbind(device)
    kernel.write("%s/devices/%s/driver_override" % (port.PCI, device), "rigb\n")
    fault.arm(fault.MODULES)
    for nth in fault.steps(EACH, EACH_LONG):
        fd = os.open(path, os.O_WRONLY)
        injected, error = inject.call(nth, os.write, fd, device.encode())
        os.close(fd)
        # Without memory for it, the kernel says of a region of addresses that it is taken.
        if failed(nth, injected, error, ("EBUSY",)):
            ktap.equal("driver after allocation %d" % nth, port.driver_of(device), None)
            ktap.equal("network device", port.interface(device), None)
            continue
        ktap.equal("driver after allocation %d" % nth, port.driver_of(device), "rigb")
        ktap.check(port.interface(device), "no network device")
        if not injected:
            break
        port.unbind(device)
    ktap.note("%d allocations" % (nth - 1))
    enough(inject, 20 if LONG else 1)
    fault.release()
    works(port.Pair("rigb-rigb"))


@ktap.case(("up", "rings", "channels", "mtu"), limit=400 * MORE)
def setting(what):
    """ENOMEM and as it was, or as it was asked for; packets flow after each."""
    pair = port.Pair("rigb-rigb")
    pair.run(0, "ethtool -G %%s rx %d tx %d" % (SMALL, SMALL))
    change, inject = Change(pair, what), fault.Injector()
    values = {"up": (False, True), "rings": (SMALL, SMALL + 8), "channels": (1, 2), "mtu": (1500, 4000)}[what]
    fault.arm(fault.MODULES)
    with pair.side(0):
        change.set(values[0])
    for nth in fault.steps(EACH):
        with pair.side(0):
            injected, error = inject.call(nth, change.set, values[1])
        ktap.equal("%s after allocation %d" % (what, nth), change.get(), values[0] if failed(nth, injected, error) else values[1])
        if change.get() is not False:
            works(pair)
        if not injected:
            break
        with pair.side(0):
            change.set(values[0])
    ktap.note("%d allocations" % (nth - 1))
    enough(inject, 5 if LONG else 2)


@ktap.case((100, 1400), limit=240 * MORE)
def sending(size):
    """A datagram: an error and nothing arrives, or it arrives once, or the driver has dropped and counted it."""
    pair = port.Pair("rigb-rigb")
    sender, receiver = pair.udp()
    pair.ping()
    inject = fault.Injector()
    for who in (fault.ANYBODY, fault.MODULES):
        fault.arm(who)
        for nth in fault.steps():
            dropped = pair.statistics(0)["tx_dropped"]
            injected, error = inject.call(nth, sender.send, net.datagram(nth, size))
            if not failed(nth, injected, error) and pair.statistics(0)["tx_dropped"] == dropped:
                net.check_datagram(receiver.recv(70000), nth, size)
            # What comes next is what is sent next.
            sender.send(net.datagram(LATER + nth, size))
            net.check_datagram(receiver.recv(70000), LATER + nth, size)
            if not injected:
                break
    # The packet's data; its head may be one that the core has kept.
    enough(inject, 1)
    works(pair)


def failures(pair):
    """How often a buffer could not be had."""
    return own_statistics(pair)["rx_alloc_failed"]


@ktap.case((30, 100), limit=300)
def receiving(percent):
    """So many of the allocations fail while a stream comes in: it goes on, or does once there is memory again; all of it is right."""
    pair = port.Pair("rigb-rigb")
    # Small rings have to be filled all the time.
    pair.run(0, "ethtool -G %s rx 64")
    pair.wait_link()
    one, other = pair.tcp()
    data, before = os.urandom(1 << 21), failures(pair)
    fault.share(percent)
    # Comes to the first port.
    sender = threading.Thread(target=other.sendall, args=(data,), daemon=True)
    sender.start()
    came = bytearray()
    one.settimeout(0.2 * ktap.SLOW)
    end = time.monotonic() + RECEIVING
    while time.monotonic() < end and len(came) < len(data):
        try:
            came += one.recv(65536)
        except TimeoutError:
            pass
    some, lost = len(came), failures(pair) - before
    fault.release()
    one.settimeout(60 * ktap.SLOW)
    came += net.read_exactly(one, len(data) - len(came))
    sender.join()
    ktap.note("%d bytes while %d %% failed, %d times" % (some, percent, lost))
    ktap.check(came == data, "the bytes differ")
    ktap.check(lost > 0 or pair.statistics(0)["rx_dropped"], "nothing has failed")
    works(pair)


@ktap.finally_
def restore():
    """Nothing fails any more."""
    fault.release()


if __name__ == "__main__":
    sys.exit(port.main())
