#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""DMA mappings that are copies, and that fail: boot with port.py hostile and swiotlb=2048,force.

Whatever a device is given or gives is copied through a pool of 4 MiB then, so that a transfer that is
not announced to either side has the wrong bytes, and a mapping fails when the pool is full.
"""

import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kernel
import ktap
import net
import port
import tools
from forge import own_statistics

DIR = "/sys/kernel/debug/swiotlb/"
# A buffer is a page; the pool has slots of half a page.
SLOTS = 2
# A ring lacks one buffer; the two ends of a pair have a queue each.
SMALL = 64
# A page pool's cache and its ring.
KEPT = 128 + SMALL
KIND = 0x88b5


def used():
    """Slots of the pool that are taken."""
    return kernel.number(DIR + "io_tlb_used")


def room():
    """Slots that are not."""
    return kernel.number(DIR + "io_tlb_nslabs") - used()


class Bouncing(port.Pair):
    """A pair that leaves some of the pool."""

    def __init__(self):
        if "force" not in kernel.read("/proc/cmdline").partition("swiotlb=")[2].split(" ")[0]:
            raise ktap.Skip("boot with swiotlb=2048,force")
        super().__init__("rigb-rigb", up=False)
        self.before = used()
        for end in (0, 1):
            self.run(end, "ethtool -L %s combined 1")
            self.run(end, "ethtool -G %%s rx %d" % SMALL)
        self.up()

    def settled(self):
        """Waits until all is given back but the two rings' buffers and what their page pools keep; set down, all of it is."""
        ktap.wait_for("slots that are given back", lambda: used() <= self.before + 2 * SLOTS * (SMALL + KEPT), 10)
        for end in (0, 1):
            self.run(end, "ip link set dev %s down")
        ktap.wait_for("all slots are given back", lambda: used() == self.before, 10)



def both_ways(pair, size=1 << 18):
    """Random bytes over TCP, in both directions."""
    one, other = pair.tcp()
    with one, other:
        for source, sink in ((one, other), (other, one)):
            data = os.urandom(size)
            sender = threading.Thread(target=source.sendall, args=(data,))
            sender.start()
            came = net.read_exactly(sink, size)
            sender.join()
            ktap.check(came == data, "the bytes differ")


@ktap.case(limit=120)
def copies():
    """All that is sent and received goes through copies, with the right bytes; nothing stays mapped when set down."""
    pair = Bouncing()
    ktap.check(used() >= pair.before + 2 * SLOTS * (SMALL - 1), "%d slots used: nothing is copied" % used())
    pair.ping(count=20)
    for size in (0, 18, 100, 1472, 1473, 9000, 40000):
        for source in (0, 1):
            pair.exchange(source=source, count=6, size=max(size, 16), window=2)
    both_ways(pair)
    for end in (0, 1):
        stats = pair.statistics(end)
        ktap.equal("dropped", [stats[name] for name in ("rx_dropped", "tx_dropped", "rx_errors", "tx_errors")], [0] * 4)
        pair.run(end, "ip link set dev %s down")
    ktap.equal("slots after both are down", used(), pair.before)


@ktap.case(limit=120)
def no_room_to_open():
    """A ring that the pool has no room for: ENOMEM, nothing mapped, nothing changed; a smaller one works."""
    pair = Bouncing()
    pair.run(0, "ip link set dev %s down")
    left = used()
    pair.run(0, "ethtool -G %s rx 4096")
    for _ in range(3):
        status, _, error = pair.attempt(0, "ip link set dev %s up")
        ktap.check(status and "Cannot allocate memory" in error, "up: status %d, %r" % (status, error))
        ktap.equal("slots", used(), left)
        ktap.check("UP" not in pair.link(0)["flags"], "it is up")
    pair.run(0, "ethtool -G %%s rx %d" % SMALL)
    pair.up()
    pair.ping()
    # The same while it is up: what was there goes on, or comes back.
    before = pair.run(0, "ethtool -g %s")
    for change in ("-G %s rx 4096", "-L %s combined 16"):
        status, _, error = pair.attempt(0, "ethtool " + change)
        ktap.check(status, "ethtool %s: accepted" % change)
        ktap.note("%s: %s" % (change, " ".join(error.split())))
        pair.wait_link()
        pair.ping()
    ktap.equal("rings", pair.run(0, "ethtool -g %s"), before)
    both_ways(pair)


class Unread:
    """Frames of somebody else on the wire, whose transfers are no copies, that come to the first port and are not read."""

    def __init__(self, pair):
        self.pair = pair
        tools.need("VIRTIO_NET")
        name = port.stranger()
        if not name:
            raise ktap.Skip("boot with port.py hostile")
        tools.run("ip link set dev %s up" % name)
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.sock.bind((name, 0))
        with pair.side(0):
            self.reader = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(KIND))
        net.set_buffer(self.reader, net.SO_RCVBUFFORCE, socket.SO_RCVBUF, 32 << 20)
        self.reader.bind((port.NAMES[0], KIND))
        self.head = bytes.fromhex(pair.link(0)["address"].replace(":", "")) + b"\2\0\0\0\0\x4d" + struct.pack("!H", KIND)

    def fill(self):
        """Sends until there is no room for another buffer. How many."""
        for n in range(0, 8000, 20):
            for k in range(n, n + 20):
                self.sock.send(self.head + net.datagram(k, 1400))
            if room() < SLOTS and own_statistics(self.pair)["rx_alloc_failed"]:
                return n + 20
        raise ktap.Failure("%d slots left, no memory %d times" % (room(), own_statistics(self.pair)["rx_alloc_failed"]))

    def read(self):
        """Reads all of them; how many, each whole and once. Not in order: what QEMU has kept while the device had
        no buffer comes after a frame that was sent just when there was one again."""
        self.reader.settimeout(0.5 * ktap.SLOW)
        seen = set()
        try:
            while True:
                data = self.reader.recv(2000)[14:]
                number = int.from_bytes(data[4:8], "big")
                ktap.check(number not in seen, "frame %d came twice" % number)
                net.check_datagram(data, number, 1400)
                seen.add(number)
        except TimeoutError:
            return len(seen)


@ktap.case(limit=200)
def no_room_to_receive():
    """Frames that nobody reads use up the pool: the ring runs dry, which is counted; once read, it goes on."""
    pair = Bouncing()
    unread = Unread(pair)
    for _ in range(2):
        sent, before = unread.fill(), own_statistics(pair)["rx_alloc_failed"]
        got = unread.read()
        ktap.note("%d sent, %d read, no memory %d times" % (sent, got, before))
        ktap.check(sent // 2 < got <= sent, "%d frames" % got)
        pair.ping(count=20)
        both_ways(pair)
    unread.reader.close()
    pair.settled()


@ktap.case(limit=200)
def no_room_to_send():
    """Packets that the pool has no room for are dropped and counted; what TCP sends again arrives once there is room."""
    pair = Bouncing()
    one, other = pair.tcp()
    unread = Unread(pair)
    unread.fill()
    data, before = os.urandom(1 << 17), pair.statistics(0)
    sender = threading.Thread(target=one.sendall, args=(data,), daemon=True)
    sender.start()
    ktap.wait_for("dropped packets", lambda: pair.statistics(0)["tx_dropped"] > before["tx_dropped"], 10)
    ktap.check(room() < SLOTS, "%d slots left: what was dropped is not mapped" % room())
    unread.read()
    with one, other:
        ktap.check(net.read_exactly(other, len(data)) == data, "the bytes differ")
        sender.join()
    pair.ping()
    ktap.note("dropped: %d" % pair.statistics(0)["tx_dropped"])
    unread.reader.close()
    pair.settled()


if __name__ == "__main__":
    sys.exit(port.main())
