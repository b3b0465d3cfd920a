#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What packet sockets see on lo, each way once, and what they send into it; the real tcpdump."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import contextlib
import mmap
import re
import select
import socket
import struct

import kernel
import ktap
import net
import tools

SOL_PACKET, PACKET_RX_RING, PACKET_STATISTICS, PACKET_AUXDATA, PACKET_VERSION = 263, 5, 6, 8, 10
PACKET_VNET_HDR, PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING = 15, 20, 23
CSUMNOTREADY, CSUM_VALID, GSO_TCP = 8, 128, 256
TPACKET_V3 = 2
V4_V6 = ("127.0.0.1", "::1")
OUT_IN = [net.PACKET_OUTGOING, net.PACKET_HOST]


def ethertype(address):
    """Of packets to an address."""
    return net.ETH_P_IPV6 if ":" in address else net.ETH_P_IP


def packet_socket(kind=socket.SOCK_RAW, protocol=net.ETH_P_ALL):
    """Bound to lo, with a large buffer."""
    sock = socket.socket(socket.AF_PACKET, kind, 0)
    sock.setsockopt(socket.SOL_SOCKET, net.SO_RCVBUFFORCE, 8 << 20)
    sock.bind(("lo", protocol))
    sock.setblocking(False)
    return sock


def drain(sock, aux=False):
    """[(packet type, protocol, hardware type, address, frame, status)] of what is there."""
    found = []
    while True:
        try:
            frame, control, _, (_, protocol, kind, hatype, hwaddr) = sock.recvmsg(70000, 200)
        except BlockingIOError:
            return found
        status = struct.unpack_from("=I", control[0][2])[0] if aux else None
        found.append((kind, protocol, hatype, hwaddr, frame, status))


@ktap.case(net.LANES)
def raw_and_cooked(lane):
    """Each frame once out and once in, in order, whole, with a header of zeros and its protocol."""
    env = net.enter(lane)
    for address in V4_V6:
        want = ethertype(address)
        pair = net.udp_pair(address)
        socks = {(kind, protocol): packet_socket(kind, protocol) for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM)
                 for protocol in (net.ETH_P_ALL, want, net.ETH_P_IP + net.ETH_P_IPV6 - want)}
        rlo = env.rlo("packets")
        net.send_udp(pair, 100, 500, window=10)
        ktap.equal("rlo's packets", env.rlo("packets") - rlo, 100 if env.is_rlo else 0)
        ip_header = 40 if ":" in address else 20
        for (kind, protocol), sock in socks.items():
            seen = drain(sock)
            link = 14 if kind == socket.SOCK_RAW else 0
            what = "%s, protocol %#x, to %s" % (kind.name, protocol, address)
            if protocol == net.ETH_P_ALL:
                numbers = [(s[0], struct.unpack_from("!I", s[4], link + ip_header + 12)[0]) for s in seen]
                batches = [[(way, i) for way in OUT_IN for i in range(at, at + 10)] for at in range(0, 100, 10)]
                ktap.equal("how often " + what, sorted(numbers), sorted(n for b in batches for n in b))
                for way in OUT_IN:
                    ktap.equal("order " + what, [n for k, n in numbers if k == way], list(range(100)))
            else:
                # Handlers of one protocol are given what arrives, not what leaves.
                ktap.equal("kinds " + what, [s[0] for s in seen], [net.PACKET_HOST] * 100 if protocol == want else [])
            for way, proto, hatype, hwaddr, frame, _ in seen:
                ktap.equal("protocol, type and address of hardware " + what, (proto, hatype, hwaddr),
                           (want, 772, bytes(6)))
                ktap.equal("length " + what, len(frame), link + ip_header + 508)
                if link:
                    ktap.equal("header of hardware " + what, frame[:14], bytes(12) + struct.pack("!H", want))
            sock.close()


@ktap.case(net.LANES)
def checksums(lane):
    """UDP and TCP have no checksum yet and say so, on the way in as well; ICMP has one."""
    net.enter(lane)
    tap = packet_socket()
    tap.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    virtual = packet_socket()
    virtual.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    for address in V4_V6:
        at = 14 + (40 if ":" in address else 20)
        pair, (one, two) = net.udp_pair(address), net.tcp_pair(address)
        for name, send, field in (("UDP", lambda: net.send_udp(pair, 3, 1000), 6),
                                  ("TCP", lambda: (one.sendall(bytes(100000)), net.read_exactly(two, 100000)), 16)):
            drain(tap), drain(virtual)
            send()
            frames, headers = drain(tap, True), drain(virtual)
            what = "%s to %s" % (name, address)
            ktap.equal("frames as many " + what, len(frames) % 2, 0)
            ktap.equal("status " + what, {(s[0], s[5] & (CSUMNOTREADY | CSUM_VALID)) for s in frames},
                       {(way, CSUMNOTREADY) for way in OUT_IN})
            for _, _, _, _, frame, _ in frames:
                ktap.check(not whole(frame, at), "a whole checksum of " + what)
            # flags: NEEDS_CSUM; where it starts and where it goes; TCP's large segments say how to cut them.
            for way, _, _, _, frame, _ in headers:
                flags, gso, _, _, start, offset = struct.unpack_from("=BBHHHH", frame)
                ktap.equal("virtual header of " + what, (flags, start, offset), (1, at, field))
                large = len(frame) - 10 > 65535 + 14 or gso
                ktap.check(name == "TCP" or not large, "a datagram is to be cut")
    # ICMP's checksum is made before: whole, and nothing is said of it.
    for address, (kind, protocol) in zip(V4_V6, ((8, socket.IPPROTO_ICMP), (128, socket.IPPROTO_ICMPV6))):
        drain(tap)
        with socket.socket(net.family(address), socket.SOCK_RAW, protocol) as sock:
            text = struct.pack("!BBHHH", kind, 0, 0, 1, 2) + b"echo"
            sock.sendto(text[:2] + struct.pack("!H", 0xffff - sum(struct.unpack("!6H", text)) % 0xffff) + text[4:],
                        (address, 0))
        frames = [f for f in drain(tap, True) if b"echo" in f[4]]
        ktap.equal("ICMP to " + address, [(f[0], f[5] & (CSUMNOTREADY | CSUM_VALID)) for f in frames],
                   [(way, 0) for way in OUT_IN * 2])
        for frame in frames:
            at = 54 if protocol == socket.IPPROTO_ICMPV6 else 34
            ktap.check(whole(frame[4], at), "the checksum of ICMP is wrong")


def whole(frame, at):
    """Whether the checksum of UDP, TCP or ICMP in a frame is right."""
    addresses, protocol = (frame[22:54], frame[20]) if at == 54 else (frame[26:34], frame[23])
    data = frame[at:]
    if protocol != socket.IPPROTO_ICMP:
        data = addresses + struct.pack("!II", len(frame) - at, protocol) + data
    data += bytes(len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    return total % 0xffff == 0


class Ring:
    """A ring of TPACKET_V3: 32 blocks of 64 KiB."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        self.block, self.count = 1 << 16, 32
        self.sock.setsockopt(SOL_PACKET, PACKET_RX_RING,
                             struct.pack("7I", self.block, self.count, 2048, self.block * self.count // 2048, 50, 0, 0))
        self.memory = mmap.mmap(self.sock.fileno(), self.block * self.count)
        self.sock.bind(("lo", net.ETH_P_ALL))
        self.next = 0

    def frames(self, count):
        """[(packet type, protocol, status, frame)] as soon as there are as many."""
        found = []
        while len(found) < count:
            base = self.next * self.block
            status, packets, first = struct.unpack_from("=III", self.memory, base + 8)
            if not status & 1:
                ktap.check(select.select([self.sock], [], [], 20)[0],
                           "%d frames in the ring, not %d" % (len(found), count))
                continue
            at = base + first
            for _ in range(packets):
                following, _, _, caplen, length, state, mac = struct.unpack_from("=IIIIIIH", self.memory, at)
                kind = self.memory[at + 48 + 10]
                protocol = struct.unpack_from("!H", self.memory, at + 48 + 2)[0]
                ktap.equal("bytes in the ring", caplen, length)
                found.append((kind, protocol, state, self.memory[at + mac:at + mac + caplen]))
                at += following
            struct.pack_into("=I", self.memory, base + 8, 0)
            self.next = (self.next + 1) % self.count
        return found


@ktap.case(net.LANES)
def ring(lane):
    """A ring that is mapped (TPACKET_V3) has each frame once each way, and drops none."""
    net.enter(lane)
    for address in V4_V6:
        view, pair = Ring(), net.udp_pair(address)
        seen = []
        # A block is used up after 50 ms, however little is in it: read before a slow machine has used up all.
        for _ in range(10):
            net.send_udp(pair, 30, 700, window=10)
            seen += view.frames(60)
        packets, drops, _ = struct.unpack("=III", view.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12))
        ktap.equal("statistics", (packets, drops), (600, 0))
        at = 14 + (48 if ":" in address else 28)
        for way in OUT_IN:
            numbers = [struct.unpack_from("!I", frame, at + 4)[0] for kind, _, _, frame in seen if kind == way]
            ktap.equal("datagrams of kind %d to %s" % (way, address), numbers, list(range(30)) * 10)
        for _, protocol, state, frame in seen:
            ktap.equal("protocol, checksum, header", (protocol, state & CSUMNOTREADY, frame[:12]),
                       (ethertype(address), CSUMNOTREADY, bytes(12)))
            net.check_datagram(frame[at:], struct.unpack_from("!I", frame, at + 4)[0], 700)
        view.sock.close()


def udp_frame(address, port, text):
    """A whole frame with a datagram, made by hand."""
    raw = socket.inet_pton(net.family(address), address)
    udp = struct.pack("!HHHH", 9, port, 8 + len(text), 0) + text
    total = sum(struct.unpack("!%dH" % ((len(udp) + 1) // 2), udp + bytes(len(udp) % 2)))
    total += sum(struct.unpack("!%dH" % len(raw), raw + raw)) + 17 + len(udp)
    total = (total & 0xffff) + (total >> 16)
    udp = udp[:6] + struct.pack("!H", ~((total & 0xffff) + (total >> 16)) & 0xffff) + udp[8:]
    if len(raw) == 16:
        packet = struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + raw + raw + udp
    else:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, raw, raw)
        total = sum(struct.unpack("!10H", head))
        total = (total & 0xffff) + (total >> 16)
        packet = head[:10] + struct.pack("!H", ~total & 0xffff) + head[12:] + udp
    return bytes(12) + struct.pack("!H", ethertype(address)) + packet


@ktap.case(net.LANES)
def sending(lane):
    """Frames that a packet socket sends into lo reach UDP, by a queue or past it, once each."""
    env = net.enter(lane)
    tools.need("NET_SCH_FQ_CODEL")
    # IPv4 takes a packet from an address of its own only if told so, where no route led it here.
    net.ip("addr add 192.0.2.9/32 dev lo")
    tools.tc("qdisc add dev lo root fq_codel")
    _, receiver = net.udp_pair("127.0.0.1")
    receiver.setblocking(False)
    sock = packet_socket(protocol=0)
    before = tools.snmp()
    sock.send(udp_frame("127.0.0.1", receiver.getsockname()[1], b"from nowhere"))
    ktap.fails("EAGAIN", "what comes from outside to 127.0.0.1", receiver.recv, 1)
    ktap.equal("packets that IP has got", tools.snmp_since(before)["IpInReceives"], 1)
    for name in ("accept_local", "route_localnet"):
        kernel.write("/proc/sys/net/ipv4/conf/lo/" + name, "1")
    for address in ("192.0.2.9", "127.0.0.1", "::1"):
        _, receiver = net.udp_pair(address)
        port, before_all = receiver.getsockname()[1], queued()
        for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
            for bypass in (0, 1):
                sock = packet_socket(kind, 0)
                sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, bypass)
                tap = packet_socket()
                what = "%s to %s, past the queue: %d" % (kind.name, address, bypass)
                before = env.rlo("packets"), tools.tx_packets()
                for i in range(20):
                    frame = udp_frame(address, port, b"number %d of twenty" % i)
                    if kind == socket.SOCK_RAW:
                        sock.send(frame)
                    else:
                        sock.sendto(frame[14:], ("lo", ethertype(address), 0, 0, bytes(6)))
                ktap.equal("datagrams " + what, datagrams(receiver), [b"number %d of twenty" % i for i in range(20)])
                ktap.equal("lo's packets " + what, tools.tx_packets() - before[1], 20)
                ktap.equal("rlo's packets " + what, env.rlo("packets") - before[0], 20 if env.is_rlo else 0)
                # A frame that passes the queue by is not shown on its way out.
                kinds = [s[0] for s in drain(tap) if b"of twenty" in s[4]]
                ktap.equal("frames " + what, sorted(kinds),
                           [net.PACKET_HOST] * 20 + ([] if bypass else [net.PACKET_OUTGOING] * 20))
                sock.close()
                tap.close()
        ktap.equal("packets of the queue to " + address, queued() - before_all, 40)


def datagrams(sock):
    """Those that wait in a socket."""
    found = []
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(sock.recv(100))
    return found


def queued():
    """How many packets lo's queue discipline has sent."""
    return tools.tc("-s -j qdisc show dev lo")[0]["packets"]


@ktap.case(net.LANES)
def ignore_outgoing(lane):
    """A socket that does not want what leaves sees what arrives, once."""
    net.enter(lane)
    sock, tap = packet_socket(), packet_socket()
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    for address in V4_V6:
        net.send_udp(net.udp_pair(address), 20, 100)
    ktap.equal("kinds", [s[0] for s in drain(sock)], [net.PACKET_HOST] * 40)
    ktap.equal("frames of the other", len(drain(tap)), 80)


@ktap.case(net.LANES)
def tcpdump(lane):
    """The number of lines of tcpdump, which shows what passes lo once: on its way in (libpcap omits the other)."""
    net.enter(lane)
    runs = {options: tools.Program("tcpdump -nn -U -l -s 2000 --immediate-mode %s udp" % options, "listening on")
            for options in ("-i lo", "-i lo -Q in", "-i lo -Q out", "-i any")}
    for address in V4_V6:
        net.send_udp(net.udp_pair(address), 25, 300)
    # It reads in order: the lines of the last datagram tell that all others were read.
    net.send_udp(net.udp_pair("127.0.0.1"), 1, 77)
    for options, run in runs.items():
        if options != "-i lo -Q out":
            run.wait("length 77$")
    lines = {}
    for options, run in runs.items():
        lines[options], errors = run.stop()
        ktap.check("\n0 packets dropped by kernel" in errors, "tcpdump %s: %s" % (options, errors))
    ktap.equal("lines", {options: len(found) for options, found in lines.items()},
               {"-i lo": 51, "-i lo -Q in": 51, "-i lo -Q out": 0, "-i any": 51})
    for name, pattern in (("IPv4", r" IP 127\.0\.0\.1\.\d+ > 127\.0\.0\.1\.\d+: UDP, length (300|77)$"),
                          ("IPv6", r" IP6 ::1\.\d+ > ::1\.\d+: UDP, length 300$")):
        counts = [len([line for line in found if re.search(pattern, line)])
                  for options, found in lines.items() if "any" not in options]
        ktap.equal("lines of " + name, counts, [25 + (name == "IPv4")] * 2 + [0])
    anywhere = [line.split()[1:3] for line in lines["-i any"]]
    ktap.equal("lo's lines with any device", (anywhere.count(["lo", "In"]), anywhere.count(["lo", "Out"])), (51, 0))


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
