#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Steering on rlo's queues (ethtool -K lo ntuple): packets are delivered where the receiver's thread runs."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import socket
import time

import ktap
import net
import tools
from queues import fresh, setting

SO_INCOMING_CPU = 49


def two_cpus():
    """The first and the last one; a skip on a machine with one."""
    cpus = net.cpus()
    if len(cpus) < 2:
        raise ktap.Skip("one CPU")
    return cpus[0], cpus[-1]


def came_on(pair, receiver, sender):
    """The CPU on which a packet was delivered, after the receiver has sent from CPU receiver; it is sent from CPU sender."""
    net.pin(receiver)
    pair[1].send(b"here")
    pair[0].recv(100)
    net.pin(sender)
    for _ in range(3):
        pair[0].send(b"y" * 20)
        pair[1].recv(100)
    return pair[1].getsockopt(socket.SOL_SOCKET, SO_INCOMING_CPU)


PAIRS = (("UDP", net.udp_pair, "127.0.0.1"), ("UDP", net.udp_pair, "::1"), ("TCP", net.tcp_pair, "127.0.0.1"),
         ("TCP", net.tcp_pair, "::1"))


@ktap.case()
def follows():
    """A packet is delivered on the CPU that the receiver has sent from last; without steering, on the sender's."""
    fresh()
    one, other = two_cpus()
    for name, make, address in PAIRS:
        pair = make(address)
        if name == "UDP":
            pair[1].connect(pair[0].getsockname())
        for sender, receiver in ((one, other), (other, one), (one, one)):
            what = "%s %s from CPU %d to %d" % (name, address, sender, receiver)
            setting("-K", "lo", "ntuple", "off")
            ktap.equal(what + ", not steered", came_on(pair, receiver, sender), sender)
            setting("-K", "lo", "ntuple", "on")
            ktap.equal(what, came_on(pair, receiver, sender), receiver)


@ktap.case()
def unknown():
    """Who has never sent is delivered to where the sender is; so is what has no ports."""
    fresh()
    one, other = two_cpus()
    setting("-K", "lo", "ntuple", "on")
    for cpu in (one, other):
        net.pin(cpu)
        pair = net.udp_pair("127.0.0.1")
        pair[1].connect(pair[0].getsockname())
        pair[0].send(b"z")
        pair[1].recv(10)
        ktap.equal("a receiver that is silent", pair[1].getsockopt(socket.SOL_SOCKET, SO_INCOMING_CPU), cpu)
    for address in ("127.0.0.1", "::1"):
        ktap.check("3 received" in tools.run("ping -c 3 -i 0.2 -q " + address), "ping " + address)


@ktap.case()
def in_order():
    """The receiver moves all the time; what one sender sends stays in order."""
    fresh()
    one, other = two_cpus()
    setting("-K", "lo", "ntuple", "on")
    sender, receiver = net.udp_pair("127.0.0.1")
    receiver.connect(sender.getsockname())
    receiver.settimeout(10 * ktap.SLOW)
    start, sent, seen = time.monotonic(), 0, set()
    for turn in range(100):
        net.pin((one, other)[turn % 2])
        receiver.send(b"here")
        sender.recv(100)
        net.pin((one, other)[turn // 2 % 2])
        for i in range(20):
            sender.send(net.datagram(sent + i, 64))
        for i in range(20):
            net.check_datagram(receiver.recv(100), sent + i, 64)
        seen.add(receiver.getsockopt(socket.SOL_SOCKET, SO_INCOMING_CPU))
        sent += 20
    ktap.equal("CPUs that have delivered", seen, {one, other})
    ktap.note("%d datagrams in %.1f s" % (sent, time.monotonic() - start))


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
