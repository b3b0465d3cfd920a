#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""samples/sockmap: what its users lose, as Documentation/rlo.rst says, against the same connection without it."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import socket
import struct
import threading
import time

import ktap
import net
import tools
from shortcut import Shortcut, enter, pair

SO_ZEROCOPY, MSG_ZEROCOPY, SO_MAX_PACING_RATE, TCP_ULP, SOL_TLS, TLS_TX = 60, 0x4000000, 47, 31, 282, 1


def with_and_without(function):
    """What a function of a new connection's ends returns: without the sample, and with it."""
    _, path = enter("backlog")
    found = [function(*pair("127.0.0.1"))]
    sample = Shortcut(path)
    found.append(function(*pair("127.0.0.1")))
    counts = sample.counts()
    ktap.check(counts["redirected"] and not counts["passed"], "%r" % counts)
    ktap.note("without: %r, with: %r" % tuple(found))
    sample.process.kill()
    return found


@ktap.case()
def packets():
    """No tcpdump, no netfilter and no counters of TCP see the data."""
    tools.need("NF_TABLES")

    def seen(one, two):
        tools.nft("table inet t { counter sent { }\n chain c { type filter hook output priority 0\n "
                  "meta length > 900 counter name sent\n }\n }\n")
        sniffer = net.Sniffer("lo")
        for _ in range(10):
            one.sendall(b"findme" * 200)
            ktap.equal("bytes", len(net.read_exactly(two, 1200)), 1200)
        info = two.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        # tcpi_bytes_received
        found = (len(sniffer.frames(b"findme")) > 0, tools.run("nft -j list counters").count('"packets": 0'),
                 struct.unpack_from("Q", info, 128)[0])
        tools.run("nft delete table inet t")
        return found
    ktap.equal("tcpdump, idle counters of netfilter, tcpi_bytes_received", with_and_without(seen), [(True, 0, 12000), (False, 1, 0)])


@ktap.case()
def calls():
    """MSG_WAITALL returns early, splice() finds nothing, nobody says that MSG_ZEROCOPY is done, TLS cannot begin."""
    tools.need("TLS")

    def tried(one, two):
        one.sendall(b"a")
        # With a timeout of Python's sockets do not wait.
        two.settimeout(None)
        threading.Timer(0.2, one.sendall, (b"b",)).start()
        found = [len(two.recv(2, socket.MSG_WAITALL))]
        net.read_exactly(two, 2 - found[0])
        one.sendall(b"splice")
        read, write = os.pipe()
        time.sleep(0.05)
        two.setblocking(False)
        found.append(ktap.error_of(os.splice, two.fileno(), write, 100))
        os.set_blocking(read, False)
        two.setblocking(True)
        if found[1]:
            two.recv(100)
        one.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        one.send(b"z" * 20000, MSG_ZEROCOPY)
        net.read_exactly(two, 20000)
        time.sleep(0.2)
        one.setblocking(False)
        found.append(ktap.error_of(one.recvmsg, 1, 1000, socket.MSG_ERRQUEUE))
        one.setblocking(True)
        one.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        # TLS 1.2, AES-GCM with 128 bits.
        found.append(ktap.error_of(one.setsockopt, SOL_TLS, TLS_TX, struct.pack("HH36x", 0x303, 51)))
        return found
    ktap.equal("what it returns", with_and_without(tried), [[2, "", "", ""], [1, "EAGAIN", "EAGAIN", "EINVAL"]])


@ktap.case()
def buffers():
    """SO_RCVBUF does not hold a sender back, only the memory that all of TCP may take; nor does pacing."""
    most = 16 << 20

    def accepted(one, two):
        two.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        one.setblocking(False)
        total = 0
        while total < most and not ktap.error_of(lambda: sent.append(one.send(bytes(65536)))):
            total += sent.pop()
        one.setblocking(True)
        net.read_exactly(two, total)
        one.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, 200000)
        start = time.monotonic()
        for _ in range(10):
            one.sendall(bytes(20000))
            net.read_exactly(two, 20000)
        return total >= most, time.monotonic() - start > 0.5
    sent = []
    ktap.equal("16 MiB that nobody reads are accepted, pacing holds back", with_and_without(accepted), [(False, True), (True, False)])


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
