#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""BIG TCP: segments beyond 64 KiB flow over lo when its limits are raised, v6 and v4 apart, and no longer when lowered."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import hashlib
import socket
import struct
import subprocess
import threading

import ktap
import net

V4, V6 = "127.0.0.1", "::1"
LEGACY, BIG = 65536, 400000
# Ethernet's header, IPv6's with a hop-by-hop header, TCP's with options.
HEADERS = 14 + 40 + 8 + 60
SIZE = 2 << 20


class Lengths(threading.Thread):
    """The lengths of the packets that leave on lo, as a packet socket sees them."""

    def __init__(self):
        super().__init__()
        self.sock = net.Sniffer("lo").sock
        self.sock.setsockopt(socket.SOL_SOCKET, net.SO_RCVBUFFORCE, 64 << 20)
        self.sock.settimeout(0.2)
        self.ended, self.seen = threading.Event(), []
        self.start()

    def run(self):
        while True:
            try:
                memory = bytearray(16)
                size, address = self.sock.recvfrom_into(memory, 16, socket.MSG_TRUNC)
            except TimeoutError:
                if self.ended.is_set():
                    return
                continue
            if address[2] == net.PACKET_OUTGOING:
                self.seen.append(size)

    def stop(self):
        """All of them."""
        self.ended.set()
        self.join()
        return self.seen

    def missed(self):
        """How many packets the socket had no room for."""
        return struct.unpack("II", self.sock.getsockopt(net.SOL_PACKET, net.PACKET_STATISTICS, 8))[1]


def transfer(env, address):
    """The largest packet of a new connection; bytes and counters are checked."""
    listener = socket.socket(net.family(address), socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, net.SO_RCVBUFFORCE, 8 << 20)
    listener.bind((address, 0))
    listener.listen(1)
    one = socket.socket(net.family(address), socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, net.SO_SNDBUFFORCE, 8 << 20)
    one.connect(listener.getsockname())
    two, _ = listener.accept()
    two.settimeout(60)
    data = os.urandom(SIZE // 8) * 8
    lengths, before = Lengths(), (net.flat_stats(), env.counts())
    thread = threading.Thread(target=one.sendall, args=(data,))
    thread.start()
    got = net.read_exactly(two, SIZE)
    thread.join()
    seen = lengths.stop()
    after = net.flat_stats(), env.counts()
    ktap.equal("checksum", hashlib.sha256(got).hexdigest(), hashlib.sha256(data).hexdigest())
    grown = net.delta(before[0], after[0])
    ktap.check(SIZE <= grown["tx.bytes"] == grown["rx.bytes"], "lo counted %r" % grown)
    if not lengths.missed():
        ktap.equal("packets by the packet socket", len(seen), grown["tx.packets"])
        # Without Ethernet's header.
        ktap.equal("bytes by the packet socket", sum(seen) - 14 * len(seen), grown["tx.bytes"])
    if env.is_rlo:
        rlo = net.delta(before[1], after[1])
        ktap.equal("rlo's packets and bytes", (rlo["packets"], rlo["bytes"]), (grown["tx.packets"], grown["tx.bytes"]))
    for sock in (listener, one, two):
        sock.close()
    return max(seen)


def is_big(length, limit=BIG):
    """Fails unless the largest packet is beyond the old limit, and within the new."""
    ktap.check(LEGACY + HEADERS < length <= limit + HEADERS, "the largest packet had %d bytes" % length)


def is_small(length, limit=LEGACY):
    """Fails if it is beyond the limit."""
    ktap.check(1000 < length <= limit + HEADERS, "the largest packet had %d bytes, the limit is %d" % (length, limit))


@ktap.case(net.LANES, limit=120)
def raised_and_lowered(lane):
    """v6 by gso_max_size, v4 by gso_ipv4_max_size; a new connection has the new limit."""
    env = net.enter(lane)
    for address in (V4, V6):
        is_small(transfer(env, address))
    net.ip("link set lo gso_max_size %d gro_max_size %d" % (BIG, BIG))
    is_big(transfer(env, V6))
    is_small(transfer(env, V4))
    net.ip("link set lo gso_ipv4_max_size %d gro_ipv4_max_size %d" % (BIG, BIG))
    is_big(transfer(env, V4))
    net.ip("link set lo gso_max_size %d gso_ipv4_max_size %d" % (LEGACY, LEGACY))
    for address in (V4, V6):
        is_small(transfer(env, address))
    # Below what one packet of the MTU has it would mean nothing.
    net.set_mtu("lo", 9000)
    net.ip("link set lo gso_max_size 32768 gso_ipv4_max_size 32768")
    for address in (V4, V6):
        is_small(transfer(env, address), 32768)


@ktap.case(net.LANES, limit=120)
def switched(lane):
    """The limits are the device's: they stay where the transmit path is switched."""
    if lane == "replacement":
        raise ktap.Skip("nothing to switch to")
    env = net.enter(lane)
    net.ip("link set lo gso_max_size %d gso_ipv4_max_size %d" % (BIG, BIG))
    for value in (1, 0):
        env.active(value)
        env.is_rlo = bool(value)
        is_big(transfer(env, V6 if value else V4))
        ktap.equal("limits", [net.ip("-d -j link show lo")[0][k] for k in ("gso_max_size", "gso_ipv4_max_size")], [BIG, BIG])


@ktap.case(net.LANES)
def limits(lane):
    """What is refused is refused with the same words as on lo, and what is taken is what is shown then."""
    def body(_env):
        found = []
        for name in ("gso_max_size", "gso_ipv4_max_size", "gro_max_size", "gro_ipv4_max_size", "gso_max_segs"):
            for value in (0, 17, 65537, 524281) if ktap.PART == 1 else (17, 524281):
                done = subprocess.run(["ip", "link", "set", "lo", name, str(value)], capture_output=True, text=True, check=False)
                link = net.ip("-d -j link show lo")[0]
                found.append([name, value, done.returncode, done.stderr, {k: v for k, v in link.items() if "_max_" in k}])
            net.ip("link set lo %s 65535" % name)
        return found
    want, got = net.in_lane("lo", body), net.in_lane(lane, body)
    wrong = ["%r, not %r" % pair for pair in zip(got, want) if pair[0] != pair[1]]
    ktap.check(not wrong, "\n".join(wrong))
    ktap.check(sum(1 for line in want if line[2]) >= 3, "lo refused too little: %r" % want)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
