#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What is done late for somebody who sends many, or to whom many are sent: soon when no more come, and nobody waits."""

import fcntl
import os
import re
import struct
import sys
import termios

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import time

import kernel
import ktap
import net
import port
import tools

# What nobody has freed is noticed after a second at the earliest.
SOON = 0.4
COUNT = 3000


def polls(pair):
    """How often the sender's rings were polled."""
    return sum(int(number) for number in pair.file(0, "rigb/polls").split())


def pktgen(pair, count, mac="02:00:00:00:00:99"):
    """Sends with pktgen, at first for nobody; the seconds that it has waited for its last packet to be freed."""
    tools.run("modprobe pktgen")
    with pair.side(0):
        try:
            kernel.write("/proc/net/pktgen/kpktgend_0", "rem_device_all\n")
            kernel.write("/proc/net/pktgen/kpktgend_0", "add_device p0\n")
            for line in ("count %d" % count, "pkt_size 60", "clone_skb 0", "delay 0", "dst_mac " + mac,
                         "dst 192.0.2.77"):
                kernel.write("/proc/net/pktgen/p0", line + "\n")
            def result():
                return re.search(r"Result: OK: \d+\(c\d+\+d(\d+)\)", kernel.read("/proc/net/pktgen/p0"))
            # It may return before the thread has begun.
            kernel.write("/proc/net/pktgen/pgctrl", "start\n")
            ktap.wait_for("pktgen's result", result, 20)
            return int(result()[1]) / 1e6
        finally:
            kernel.write("/proc/net/pktgen/kpktgend_0", "rem_device_all\n")


def queued(sock):
    """Bytes of memory that a socket's packets take that were not freed."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0]


@ktap.case(limit=120)
def last_packet():
    """pktgen, which waits for its last packet to be freed, does so for less than a second, wherever in a batch this is."""
    pair = port.Pair("rigb-igb")
    pair.ping()
    before, longest = polls(pair), 0
    for count in range(COUNT, COUNT + 40, 3):
        longest = max(longest, pktgen(pair, count))
    ktap.note("waited for %.6f s at most; %d polls" % (longest, polls(pair) - before))
    ktap.check(longest < SOON * ktap.SLOW, "a packet was freed after %.3f s" % longest)
    # Else packets are not kept, and this has not been tried.
    ktap.check(polls(pair) > before, "nothing was left for a poll")


@ktap.case(limit=120)
def sockets():
    """What a socket has sent is freed soon, also that of one that has no room for more than a few datagrams."""
    pair = port.Pair("rigb-igb")
    pair.ping()
    for size in (None, 4608):
        sender, receiver = pair.udp()
        with sender, receiver:
            if size:
                sender.setsockopt(net.socket.SOL_SOCKET, net.socket.SO_SNDBUF, size)
            longest = 0
            for count in range(500, 520):
                for _ in range(count):
                    sender.send(b"x" * 64)
                start = time.monotonic()
                ktap.wait_for("datagrams that are freed", lambda: not queued(sender), 5)
                longest = max(longest, time.monotonic() - start)
            ktap.note("send buffer %s: %.6f s at most" % (size, longest))
            ktap.check(longest < SOON * ktap.SLOW, "freed after %.3f s" % longest)


@ktap.case(limit=120)
def counted():
    """Set down right after the last packet: each is counted as sent, none as dropped; then it works again."""
    pair = port.Pair("rigb-igb")
    pair.without_ipv6()
    pair.ping()
    for count in (COUNT, COUNT + 7):
        before = pair.statistics(0)
        pktgen(pair, count)
        sender, receiver = pair.udp()
        with sender, receiver:
            for _ in range(201):
                sender.send(b"x" * 64)
            pair.run(0, "ip link set dev %s down")
        after = pair.statistics(0)
        ktap.check(after["tx_packets"] - before["tx_packets"] >= count + 201, "%r, then %r" % (before, after))
        ktap.equal("dropped", after["tx_dropped"], before["tx_dropped"])
        pair.run(0, "ip link set dev %s up")
        pair.wait_link()
        pair.ping()


@ktap.case(limit=250)
def after_a_flood():
    """Interrupts are held back in a flood; who then waits for answers gets them at once before many have come."""
    pair = port.Pair("igb-rigb")
    # All of it on one vector.
    pair.run(1, "ethtool -L %s combined 1")
    pair.wait_link()
    pair.ping()
    mac = pair.link(1)["address"]

    def held():
        return max(int(number) for number in pair.file(1, "rigb/interval_us").split())
    for _ in range(3):
        pktgen(pair, COUNT, mac)
        if held():
            break
    else:
        raise ktap.Skip("this machine is too slow for a flood")
    ktap.note("held back for %d microseconds" % held())
    pair.ping(count=24)
    ktap.equal("held back for", held(), 0)


if __name__ == "__main__":
    sys.exit(port.main())
