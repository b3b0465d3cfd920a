#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""rlo's packets by protocol and by length, and whose function carries them.

The independent source is a packet socket: it sees every frame that is sent on lo, and its bytes say
what it is. The same traffic runs on lo, where rlo counts nothing.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import collections
import socket
import struct
import subprocess

import kernel
import ktap
import net

NAMES = {0x0800: {1: "ipv4_icmp", 6: "ipv4_tcp", 17: "ipv4_udp", 132: "ipv4_sctp"},
         0x86DD: {58: "ipv6_icmp", 6: "ipv6_tcp", 17: "ipv6_udp", 132: "ipv6_sctp"}}
BUCKETS = 20


def kind(frame):
    """What a frame is, by its bytes."""
    ethertype = struct.unpack_from("!H", frame, 12)[0]
    packet = frame[14:]
    if ethertype == 0x0800 and len(packet) >= 20:
        return NAMES[ethertype].get(packet[9], "ipv4_other")
    if ethertype == 0x86DD and len(packet) >= 40:
        return NAMES[ethertype].get(packet[6], "ipv6_other")
    return "other"


def bucket(length):
    """The place of a length: the number of its binary digits."""
    return min(len(bin(length)) - 2 if length else 0, BUCKETS - 1)


def protocols(env):
    """rlo's packets by protocol, those above 0."""
    top = env.lo + "/rlo/protocol/"
    return {name: count for name in os.listdir(top) if (count := kernel.number(top + name))}


def lengths(env, where=""):
    """rlo's packets by length."""
    return [int(word) for word in kernel.read("%s/rlo/%slength_log2" % (env.lo, where)).split()]


def send_raw(frame):
    """A frame, as it is, through a packet socket."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.sendto(frame, ("lo", 0))


def tcp(address):
    """Some data both ways."""
    one, other = net.tcp_pair(address)
    for size in (1, 1000, 200000):
        one.sendall(b"x" * size)
        ktap.equal("bytes", len(net.read_exactly(other, size)), size)
    one.close()
    other.recv(1)
    other.close()


def raw_ip(address, protocol, data):
    """A packet of an IP protocol."""
    with socket.socket(net.family(address), socket.SOCK_RAW, protocol) as sock:
        sock.sendto(data, (address, 0))


def sctp(address):
    """A connection and a message; nothing if the kernel has no SCTP."""
    try:
        listener = socket.socket(net.family(address), socket.SOCK_STREAM, 132)
    except OSError:
        return
    with listener:
        listener.bind((address, 0))
        listener.listen(1)
        one = socket.socket(net.family(address), socket.SOCK_STREAM, 132)
        one.settimeout(10)
        one.connect(listener.getsockname())
        other, _ = listener.accept()
        one.sendall(b"message")
        ktap.equal("SCTP message", other.recv(100), b"message")
        one.close()
        other.close()


def mixed_traffic():
    """Something of every kind."""
    for address in ("127.0.0.1", "::1"):
        tcp(address)
        net.send_udp(net.udp_pair(address), 13, 500)
        sctp(address)
        raw_ip(address, 253, b"experiment")  # RFC 3692
    raw_ip("127.0.0.1", 1, struct.pack("!BBHHH", 8, 0, 0xf7fd, 1, 1))
    raw_ip("::1", 58, struct.pack("!BBHHH", 128, 0, 0, 1, 1))
    sender, receiver = net.udp_pair("::1")
    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, b"\0\0\1\4\0\0\0\0")
    for _ in range(3):
        sender.send(b"behind an extension header")
        receiver.recv(100)
    header = b"\0" * 12
    for _ in range(4):
        send_raw(header + b"\x88\xb5" + b"local experiment")  # IEEE 802
    for _ in range(2):
        send_raw(header + b"\x08\x00" + b"\x45" + b"\0" * 18)
        send_raw(header + b"\x86\xdd" + b"\x60" + b"\0" * 38)
    send_raw(header + b"\x08\x00" + b"\x45" + b"\0" * 8 + b"\x2f" + b"\0" * 10)


@ktap.case(net.LANES)
def by_protocol(lane):
    """Every packet is counted as what its bytes say, once."""
    env = net.enter(lane)
    sniffer = net.Sniffer("lo")
    mixed_traffic()
    # The last packets of a connection may come a moment later.
    seen = collections.Counter()

    def agrees():
        for direction, _, frame in sniffer.frames():
            if direction == net.PACKET_OUTGOING:
                seen[kind(frame)] += 1
        return not env.is_rlo or protocols(env) == dict(seen)
    try:
        ktap.wait_for("the counts agree", agrees)
    except ktap.Failure:
        ktap.equal("packets by protocol", protocols(env), dict(seen))
    for name in ("ipv4_tcp", "ipv6_tcp", "ipv4_udp", "ipv6_udp", "ipv4_icmp", "ipv6_icmp", "ipv4_other", "ipv6_other", "other"):
        ktap.check(seen[name] > 0, "the traffic had no %s" % name)
    ktap.equal("other", seen["other"], 8)
    ktap.equal("sum of the protocols", sum(protocols(env).values()), env.rlo("packets"))
    if not env.is_rlo:
        ktap.equal("rlo's packets", env.rlo("packets"), 0)


@ktap.case(net.LANES)
def by_length(lane):
    """Every length is in its place: both sides of each power of two."""
    env = net.enter(lane)
    want = [0] * BUCKETS
    for address, header, most in (("127.0.0.1", 28, 65507), ("::1", 48, 65488)):
        sender, receiver = net.udp_pair(address)
        for power in range(5, 17):
            for size in (2 ** power - 1 - header, 2 ** power - header):
                if 0 <= size <= most:
                    sender.send(b"x" * size)
                    ktap.equal("length", len(receiver.recv(70000)), size)
                    want[bucket(size + header)] += 1
    send_raw(b"\0" * 12 + b"\x88\xb5")
    want[0] += 1
    for length in range(1, 20):
        send_raw(b"\0" * 12 + b"\x88\xb5" + b"x" * length)
        want[bucket(length)] += 1
    ktap.equal("packets by length", lengths(env), want if env.is_rlo else [0] * BUCKETS)
    per_cpu = [lengths(env, "cpu%d/" % cpu) for cpu in net.cpus()]
    ktap.equal("sums over the CPUs", [sum(column) for column in zip(*per_cpu)], lengths(env))
    ktap.equal("sum of the lengths", sum(lengths(env)), env.rlo("packets"))


def has_big_tcp():
    """Whether ip knows the sizes of BIG TCP for lo."""
    return "gso_ipv4_max_size" in net.ip("-d -j link show lo")[0]


@ktap.case(net.RLO)
def longest(lane):
    """The last place takes what is longer than 256 KiB."""
    env = net.enter(lane)
    if not has_big_tcp():
        raise ktap.Skip("no BIG TCP")
    net.ip("link set lo gso_max_size 524280 gso_ipv4_max_size 524280 gro_max_size 524280 gro_ipv4_max_size 524280")
    for name in ("tcp_wmem", "tcp_rmem"):
        kernel.write("/proc/sys/net/ipv4/" + name, "4096 8388608 16777216")
    sniffer = net.Sniffer("lo")
    one, other = net.tcp_pair("127.0.0.1")
    for _ in range(20):
        one.sendall(b"x" * 1000000)
        net.read_exactly(other, 1000000)
    # The packet socket gets no more than 64 KiB of a frame; the file has to have counted some all the same.
    ktap.check(sniffer.frames(), "no frames were seen")
    ktap.equal("sum of the lengths", sum(lengths(env)), env.rlo("packets"))
    if ktap.SLOW > 1 and not lengths(env)[19]:
        raise ktap.Skip("TCP makes no longer segments than it sends in a millisecond, here up to 256 KiB")
    ktap.check(lengths(env)[19] > 0, "no packet above 256 KiB: %r" % lengths(env))


@ktap.case(net.LANES)
def owner(lane):
    """The owner is who the symbol table says, before and after the path is switched."""
    env = net.enter(lane)
    path = env.lo + "/rlo/owner"
    symbols = subprocess.run(["grep", "-w", "loopback_xmit", "/proc/kallsyms"], capture_output=True, text=True, check=True)
    ktap.equal("what /proc/kallsyms says", symbols.stdout.split()[2:], ["loopback_xmit"])
    ktap.equal("owner", kernel.read(path), "rlo" if env.is_rlo else "kernel")
    if lane == "replacement":
        return
    for active in (1, 0, 1, 1, 0, 0):
        env.active(active)
        ktap.equal("owner while active is %d" % active, kernel.read(path), "rlo" if active else "kernel")


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
