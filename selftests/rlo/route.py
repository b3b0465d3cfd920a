#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Which packets go through lo: everything to this host, whatever its address and device."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import re
import socket
import struct
import subprocess
import time

import ktap
import net

OWN = ("192.0.2.1", "2001:db8::1")
ADDRESSES = ("127.0.0.1", "127.5.6.7", "127.255.255.254", "::1") + OWN


def with_device(lane):
    """A namespace with another device that has addresses."""
    env = net.enter(lane)
    net.ip("link add d0 type dummy")
    net.ip("addr add 192.0.2.1/24 dev d0")
    net.ip("addr add 2001:db8::1/64 dev d0 nodad")
    net.ip("link set d0 up")
    return env


def send(address, text):
    """One datagram to the address, from where the routes say."""
    with socket.socket(net.family(address), socket.SOCK_DGRAM) as receiver, \
            socket.socket(net.family(address), socket.SOCK_DGRAM) as sender:
        receiver.bind((address, 0))
        receiver.settimeout(5 * ktap.SLOW)
        sender.sendto(text, receiver.getsockname())
        try:
            data, peer = receiver.recvfrom(4096)
        except TimeoutError:
            raise ktap.Failure("%s: nothing came" % address) from None
    ktap.equal("payload to " + address, data, text)
    return peer[0]


@ktap.case(net.LANES)
def udp_route(lane):
    """Each address of this host: out and in on lo, once each, and nothing on d0."""
    env = with_device(lane)
    lo, other = net.Sniffer("lo"), net.Sniffer("d0")
    for address in ADDRESSES:
        text = b"datagram to %s." % address.encode()
        before = env.rlo("packets")
        source = send(address, text)
        if not address.startswith("127."):
            ktap.equal("source address to " + address, source, address)
        ktap.equal("rlo's packets to " + address, env.rlo("packets") - before, int(env.is_rlo))
        frames = lo.frames(text)
        kinds = [kind for kind, _, _ in frames]
        ktap.equal("frames on lo to " + address, sorted(kinds), [net.PACKET_HOST, net.PACKET_OUTGOING])
        ethertype = net.ETH_P_IPV6 if ":" in address else net.ETH_P_IP
        for kind, protocol, frame in frames:
            ktap.equal("protocol of a frame of kind %d" % kind, protocol, ethertype)
            ktap.equal("its Ethernet header", frame[:14], bytes(12) + struct.pack("!H", ethertype))
            ktap.equal("its IP version", frame[14] >> 4, 6 if ":" in address else 4)
        ktap.equal("frames on d0 to " + address, len(other.frames(text)), 0)


@ktap.case(net.LANES)
def tcp_route(lane):
    """The same for connections, refused ones included."""
    with_device(lane)
    lo, other = net.Sniffer("lo"), net.Sniffer("d0")
    for address in ADDRESSES:
        one, two = net.tcp_pair(address)
        text = b"stream to " + address.encode()
        one.sendall(text)
        ktap.equal("stream to " + address, net.read_exactly(two, len(text)), text)
        ktap.equal("frames on lo to " + address, len(lo.frames(text)), 2)
        port = one.getsockname()[1]
        one.close()
        two.close()
        with socket.socket(net.family(address), socket.SOCK_STREAM) as sock:
            ktap.fails("ECONNREFUSED", "a port where nobody listens", sock.connect, (address, port + 1 if port < 65535 else 1))
    ktap.equal("frames on d0", [f for f in other.frames() if f[1] == net.ETH_P_IP], [])


@ktap.case(net.LANES)
def udp_unreachable(lane):
    """A closed port answers with ICMP, which also goes over lo."""
    net.enter(lane)
    for address in ("127.0.0.1", "::1"):
        pair = net.udp_pair(address)
        pair[1].close()
        pair[0].send(b"x")
        ktap.fails("ECONNREFUSED", "a datagram to a closed port of " + address, pair[0].recv, 1)


@ktap.case(net.LANES)
def other_way_out(lane):
    """What is not for this host does not go over lo."""
    env = with_device(lane)
    lo, other = net.Sniffer("lo"), net.Sniffer("d0")
    before = env.rlo("packets")
    net.ip("neigh add 192.0.2.77 lladdr 02:00:00:00:00:77 dev d0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"not for this host", ("192.0.2.77", 9))
    ktap.equal("frames on lo", len(lo.frames(b"not for this host")), 0)
    ktap.equal("frames on d0", len(other.frames(b"not for this host")), 1)
    ktap.equal("rlo's packets", env.rlo("packets") - before, 0)


@ktap.case(net.LANES)
def down(lane):
    """With lo down nothing arrives; up again, everything does."""
    env = net.enter(lane)
    send("127.0.0.1", b"before")
    pair = net.udp_pair("127.0.0.1")
    pair[1].settimeout(0.3)
    net.set_up("lo", False)
    ktap.fails("ENETUNREACH|EADDRNOTAVAIL", "sending to ::1 with lo down",
               lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"x", ("::1", 9)))
    try:
        pair[0].send(b"with lo down")
        ktap.equal("what arrives with lo down", pair[1].recv(100), b"")
    except OSError:
        pass
    before = env.rlo("packets")
    net.set_up("lo")
    for address in ("127.0.0.1", "::1"):
        send(address, b"after")
    if env.is_rlo:
        ktap.check(env.rlo("packets") >= before + 2, "rlo counts after lo went down and up")
        ktap.equal("active", env.rlo("active"), 1)


@ktap.case(net.LANES)
def tcpdump(lane):
    """tcpdump sees it on lo, and not on d0."""
    with_device(lane)
    runs = {}
    for dev in ("lo", "d0"):
        runs[dev] = subprocess.Popen(["tcpdump", "-i", dev, "-nn", "-U", "-l", "udp and dst port 5678"],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while "listening on" not in (line := runs[dev].stderr.readline()):
            ktap.check(line, "tcpdump does not start on " + dev)
    for address in OWN:
        with socket.socket(net.family(address), socket.SOCK_DGRAM) as sender, \
                socket.socket(net.family(address), socket.SOCK_DGRAM) as receiver:
            receiver.bind((address, 5678))
            sender.sendto(b"12345", (address, 5678))
            receiver.settimeout(5 * ktap.SLOW)
            receiver.recv(10)
    time.sleep(0.3 * ktap.SLOW)
    seen = {}
    for dev, run in runs.items():
        run.terminate()
        seen[dev] = [line for line in run.communicate(timeout=10 * ktap.SLOW)[0].splitlines() if line]
    for address in OWN:
        ktap.check([l for l in seen["lo"] if re.search(r"> %s\.5678: UDP, length 5" % address, l)],
                   "tcpdump on lo does not see %s: %r" % (address, seen["lo"]))
    ktap.equal("what tcpdump sees on d0", seen["d0"], [])


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
