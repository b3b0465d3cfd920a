#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""lo's MTU, what does not fit it, and fragments."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import socket

import kernel
import ktap
import net

IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO, IP_MTU = 10, 23, 2, 14
V4_V6 = ("127.0.0.1", "::1")


def biggest(address):
    """The largest UDP payload that IP can carry."""
    return 65535 - 8 if ":" in address else 65535 - 28


def dont_fragment(sock, address):
    """Sets the DF bit, or what it is for IPv6."""
    if ":" in address:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)


def packets_of(pair, size):
    """How many packets one datagram of this size is."""
    statistics = net.SYS + "/class/net/lo/statistics/tx_packets"
    before = kernel.number(statistics)
    net.send_udp(pair, 1, size)
    return kernel.number(statistics) - before


@ktap.case(net.LANES)
def default(lane):
    """65536: the largest IPv4 datagram fits into one packet."""
    env = net.enter(lane)
    ktap.equal("MTU", net.get_mtu("lo"), 65536)
    ktap.equal("MTU in sysfs", open(env.lo + "/mtu", encoding="ascii").read(), "65536\n")
    for address in V4_V6:
        pair = net.udp_pair(address)
        size = min(biggest(address), 65536 - 48)
        ktap.equal("packets for %d bytes to %s" % (size, address), packets_of(pair, size), 1)
        net.send_udp(pair, 1, biggest(address))
        ktap.fails("EMSGSIZE", "one byte more", pair[0].send, bytes(biggest(address) + 1))


@ktap.case(net.LANES)
def fragments(lane):
    """Below the datagram's size: fragments, as many as it takes, put together again."""
    net.enter(lane)
    for mtu in (1280, 1500, 9000, 65535):
        net.set_mtu("lo", mtu)
        ktap.equal("MTU", net.get_mtu("lo"), mtu)
        for address in V4_V6:
            pair = net.udp_pair(address)
            v6 = ":" in address
            # Each fragment carries a multiple of 8 bytes; IPv6 has a fragment header.
            room = (mtu - (48 if v6 else 20)) // 8 * 8
            for size in (biggest(address), mtu - (48 if v6 else 28), mtu - (48 if v6 else 28) + 1):
                whole = size + 8 + (40 if v6 else 20) <= mtu
                want = 1 if whole else -(-(size + 8) // room)
                if size <= biggest(address):
                    ktap.equal("packets for %d bytes to %s at %d" % (size, address, mtu), packets_of(pair, size), want)
    net.set_mtu("lo", 65536)
    for address in V4_V6:
        ktap.equal("packets after raising it again", packets_of(net.udp_pair(address), 60000), 1)


@ktap.case(net.LANES)
def may_not_fragment(lane):
    """With DF what fits goes and one byte more is EMSGSIZE, and the socket knows the MTU."""
    net.enter(lane)
    for mtu in (1280, 1500, 65536):
        net.set_mtu("lo", mtu)
        for address in V4_V6:
            pair = net.udp_pair(address)
            dont_fragment(pair[0], address)
            fits = min(mtu - (48 if ":" in address else 28), biggest(address))
            net.send_udp(pair, 3, fits)
            ktap.fails("EMSGSIZE", "%d bytes to %s at %d" % (fits + 1, address, mtu), pair[0].send, bytes(fits + 1))
            if ":" not in address:
                ktap.equal("IP_MTU", pair[0].getsockopt(socket.IPPROTO_IP, IP_MTU), min(mtu, 65535))
            net.send_udp(pair, 3, fits)


@ktap.case(net.LANES)
def while_connected(lane):
    """A connection lives through changes of the MTU."""
    net.enter(lane)
    for address in V4_V6:
        one, two = net.tcp_pair(address)
        for mtu in (65536, 1280, 1500, 9000, 65536):
            net.set_mtu("lo", mtu)
            data = os.urandom(100000)
            one.sendall(data)
            ktap.check(net.read_exactly(two, len(data)) == data, "other bytes at MTU %d" % mtu)


def try_mtus(_env):
    """What each value gives: (error, MTU then, whether 127.0.0.1 and ::1 answer)."""
    seen = []
    for mtu in (-1, -65536, 1279, 67, 68, 0, 1, 65535, 65536, 65537, 100000, 2 ** 31 - 1, -2 ** 31, 65536):
        error = ktap.error_of(net.set_mtu, "lo", mtu)
        seen.append((mtu, error, net.get_mtu("lo")))
    for address in V4_V6:
        try:
            net.send_udp(net.udp_pair(address), 1, 100)
            seen.append((address, "answers"))
        except (OSError, ktap.Failure) as failure:
            seen.append((address, str(failure)))
    for mtu in ("0x5dc", "1500", "-5", "99999999999", "abc"):
        try:
            net.ip("link set lo mtu", mtu)
            error = ""
        except ktap.Failure as failure:
            error = str(failure)
        seen.append((mtu, error, net.get_mtu("lo")))
    return seen


@ktap.case(net.RLO)
def odd_values(lane):
    """Any value, too large, too small or negative: the same result as on the kernel's lo."""
    want, got = net.in_lane("lo", try_mtus), net.in_lane(lane, try_mtus)
    ktap.check(any(error for _, error, *_ in want[:14]), "some values are refused: %r" % want)
    for one, other in zip(want, got, strict=True):
        ktap.equal("what comes of MTU %r" % one[0], other, one)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
