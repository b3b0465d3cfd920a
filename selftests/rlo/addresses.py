#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Which addresses lo has: all of 127/8, ::1 and added ones; their routes, segments, fragments, and no neighbours."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import itertools
import json
import random
import socket
import struct

import kernel
import ktap
import net
import tools

BROADCAST = "127.255.255.255"
TCP_MAXSEG, IPV6_MTU, IP_MTU = 2, 24, 14


def sample():
    """Addresses of 127/8: all combinations of bytes at the edges, and some others."""
    edges = (0, 1, 127, 128, 254, 255)
    some = ["127.%d.%d.%d" % rest for rest in itertools.product(edges, repeat=3)]
    seed = random.randrange(1 << 30)
    ktap.note("seed of the random addresses: %d" % seed)
    chosen = random.Random(seed)
    some += ["127." + socket.inet_ntoa(struct.pack("!I", chosen.randrange(1 << 24)))[2:] for _ in range(60)]
    return [a for a in dict.fromkeys(some) if a != BROADCAST]


@ktap.case(net.LANES)
def whole_of_127(lane):
    """Each address can be bound, is reached, is a source, and its packet is on lo once each way."""
    env = net.enter(lane)
    addresses = sample()
    sniffer = net.Sniffer("lo")
    before, stats = env.counts(), tools.tx_packets()
    last = addresses[-1]
    for address in addresses:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two:
            one.bind((address, 0))
            two.bind((last, 0))
            two.settimeout(10)
            one.sendto(address.encode(), two.getsockname())
            text, peer = two.recvfrom(100)
            ktap.equal("what came and from where", (text.decode(), peer), (address, one.getsockname()))
        last = address
    frames = sniffer.frames()
    ktap.equal("frames", len(frames), 2 * len(addresses))
    for i, address in enumerate(addresses):
        target = addresses[i - 1]
        want = [(kind, socket.inet_aton(address) + socket.inet_aton(target))
                for kind in (net.PACKET_OUTGOING, net.PACKET_HOST)]
        ktap.equal("frames of %s to %s" % (address, target), [(k, f[26:34]) for k, _, f in frames[2 * i:2 * i + 2]],
                   want)
    ktap.equal("packets of lo", tools.tx_packets() - stats, len(addresses))
    ktap.equal("rlo's packets", env.counts()["packets"] - before["packets"], len(addresses) if env.is_rlo else 0)


@ktap.case(net.LANES)
def connections_in_127(lane):
    """TCP and ping to the first, the last and others; what is next to 127/8 is not this host's."""
    net.enter(lane)
    chosen = random.Random(lane)
    others = ["127." + ".".join(str(chosen.randrange(256)) for _ in range(3)) for _ in range(5)]
    for address in ["127.0.0.0", "127.0.0.1", "127.0.0.255", "127.128.0.0", "127.255.255.254"] + others:
        one, two = net.tcp_pair(address)
        one.sendall(address.encode())
        ktap.equal("stream to " + address, net.read_exactly(two, len(address)), address.encode())
        ktap.equal("peers", (one.getpeername()[0], two.getsockname()[0]), (address, address))
        one.close()
        two.close()
    for address in ("127.0.0.0", "127.127.255.255", "127.128.0.0", "127.255.255.254"):
        out = tools.run("ping -n -c 2 -i 0.01 -W 10 " + address)
        ktap.check("2 packets transmitted, 2 received" in out, "ping: " + out)
    for address in ("126.255.255.255", "128.0.0.1", "128.0.0.0", "0.0.0.1"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            ktap.fails("EADDRNOTAVAIL", "binding to " + address, sock.bind, (address, 0))
            ktap.fails("ENETUNREACH", "connecting to " + address, sock.connect, (address, 9))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        ktap.fails("ENETUNREACH", "a connection to the broadcast address", sock.connect, (BROADCAST, 9))


@ktap.case(net.LANES)
def added(lane):
    """::1, and addresses that lo is given: global, link-local, a mapped one; taken away, they are gone."""
    env = net.enter(lane)
    extra = {"192.0.2.9": 32, "2001:db8::5": 128, "fe80::5": 64}
    tools.ip_batch(*["addr add %s/%d dev lo" % pair for pair in extra.items()])
    for address in ["::1", "::ffff:127.3.2.1"] + list(extra):
        scope = socket.if_nametoindex("lo") if address.startswith("fe80") else 0
        where = (address, 0, 0, scope) if ":" in address else (address, 0)
        before = env.rlo("packets")
        with socket.socket(net.family(address), socket.SOCK_DGRAM) as one, \
                socket.socket(net.family(address), socket.SOCK_DGRAM) as two:
            two.bind(where)
            two.settimeout(10)
            one.sendto(b"hello", two.getsockname())
            text, peer = two.recvfrom(100)
        source = "::ffff:127.0.0.1" if address.startswith("::ffff:") else address
        ktap.equal("what came to %s and from where" % address, (text, peer[0].partition("%")[0]), (b"hello", source))
        ktap.equal("rlo's packets", env.rlo("packets") - before, int(env.is_rlo))
        with socket.socket(net.family(address), socket.SOCK_STREAM) as listener:
            listener.bind(where)
            listener.listen()
            with socket.socket(net.family(address), socket.SOCK_STREAM) as one:
                one.settimeout(10)
                one.connect(listener.getsockname())
                two, _ = listener.accept()
                one.sendall(b"hello")
                two.settimeout(10)
                ktap.equal("stream to " + address, net.read_exactly(two, 5), b"hello")
                two.close()
        if not address.startswith("::ffff"):
            out = tools.run("ping -n -c 2 -i 0.01 -W 10 %s%s" % (address, "%lo" if scope else ""))
            ktap.check("2 packets transmitted, 2 received" in out, "ping: " + out)
    tools.ip_batch(*["addr del %s/%d dev lo" % pair for pair in extra.items()])
    for address in extra:
        with socket.socket(net.family(address), socket.SOCK_DGRAM) as sock:
            where = (address, 0, 0, 1) if address.startswith("fe80") else (address, 0)
            ktap.fails("EADDRNOTAVAIL", "binding to %s, which is gone" % address, sock.bind, where)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        ktap.fails("EADDRNOTAVAIL", "binding to ::2", sock.bind, ("::2", 0))
        ktap.fails("ENETUNREACH", "connecting to ::2", sock.connect, ("::2", 9))


@ktap.case(net.LANES)
def route_get(lane):
    """What ip says of the way there."""
    net.enter(lane)
    tools.ip_batch("link add d0 type dummy", "addr add 192.0.2.1/24 dev d0", "addr add 2001:db8::1/64 dev d0 nodad",
                   "link set d0 up")
    want = (("127.0.0.0", "local", "lo", "127.0.0.1"), ("127.0.0.1", "local", "lo", "127.0.0.1"),
            ("127.200.1.2", "local", "lo", "127.0.0.1"), ("127.255.255.254", "local", "lo", "127.0.0.1"),
            (BROADCAST, "broadcast", "lo", "127.0.0.1"), ("192.0.2.1", "local", "lo", "192.0.2.1"),
            ("192.0.2.2", "unicast", "d0", "192.0.2.1"), ("192.0.2.255", "broadcast", "d0", "192.0.2.1"),
            ("::1", "local", "lo", "::1"), ("2001:db8::1", "local", "lo", "2001:db8::1"),
            ("2001:db8::2", "unicast", "d0", "2001:db8::1"))
    out = tools.run("ip -j -batch -", "".join("route get %s\n" % line[0] for line in want))
    routes = json.loads("[%s]" % out.strip().replace("]\n", "],"))
    for (address, kind, device, source), (route,) in zip(want, routes, strict=True):
        ktap.equal("route to " + address, (route.get("type", "unicast"), route["dev"], route["prefsrc"]),
                   (kind, device, source))
    for address in ("128.0.0.1", "126.0.0.1", "::2"):
        status, out, error = tools.attempt("ip route get " + address)
        ktap.check(status and "unreachable" in error, "route to %s: %s%s" % (address, out, error))


def syn_mss(frames, v6):
    """The segment sizes that the SYNs among the frames announce."""
    found = []
    for _, _, frame in frames:
        if frame[12:14] != (b"\x86\xdd" if v6 else b"\x08\x00") or frame[20 if v6 else 23] != 6:
            continue
        at = 14 + (40 if v6 else 20)
        if frame[at + 13] & 2:
            ktap.equal("first option", frame[at + 20:at + 22], b"\x02\x04")
            found.append(int.from_bytes(frame[at + 22:at + 24], "big"))
    return found


def send_until(one, two, mss, packet, sniffer):
    """Sends until segments and packets have these sizes (half of the window is a limit); the largest packet."""
    largest, data = 0, os.urandom(3 * packet)
    for _ in range(30):
        pid = os.fork()
        if pid == 0:
            one.sendall(data)
            os._exit(0)
        ktap.check(net.read_exactly(two, len(data)) == data, "other bytes came")
        os.waitpid(pid, 0)
        largest = max([largest] + [len(f) - 14 for _, _, f in sniffer.frames()])
        if one.getsockopt(socket.IPPROTO_TCP, TCP_MAXSEG) >= mss and largest >= packet:
            break
    return largest


@ktap.case(net.LANES)
def segments(lane):
    """The segment size that SYNs announce, that connections use, and that packets have."""
    net.enter(lane)
    sniffer = net.Sniffer("lo")
    tools.run("ethtool -K lo tso off gso off")
    for mtu in (65536, 1500, 1280):
        net.set_mtu("lo", mtu)
        for address, v6 in (("127.0.0.1", False), ("::1", True)):
            header = 60 if v6 else 40
            for stamps in (0, 1):
                kernel.write("/proc/sys/net/ipv4/tcp_timestamps", str(stamps))
                sniffer.frames()
                one, two = net.tcp_pair(address)
                what = "to %s, MTU %d, time stamps %d" % (address, mtu, stamps)
                # An IPv4 packet has at most 65535 bytes, whatever the MTU.
                announced = (mtu if v6 else min(mtu, 65535)) - header
                ktap.equal("announced " + what, syn_mss(sniffer.frames(), v6), [announced] * 4)
                used = min(announced, 65535 - header + v6) - 12 * stamps
                largest = send_until(one, two, used, used + header + 12 * stamps, sniffer)
                ktap.equal("TCP_MAXSEG " + what, one.getsockopt(socket.IPPROTO_TCP, TCP_MAXSEG), used)
                ktap.equal("largest packet " + what, largest, used + header + 12 * stamps)
                one.close()
                two.close()


@ktap.case(net.LANES)
def no_neighbours(lane):
    """No queue and no address resolution: nothing in the neighbour tables, no ARP, no solicitation."""
    net.enter(lane)
    sniffer = net.Sniffer("lo")
    tools.ip_batch("addr add 192.0.2.9/32 dev lo", "addr add 2001:db8::5/128 dev lo")
    for address in ("127.0.0.1", "127.200.3.4", "192.0.2.9", "::1", "2001:db8::5"):
        net.send_udp(net.udp_pair(address), 5, 100)
        one, two = net.tcp_pair(address)
        one.sendall(b"x")
        two.recv(1)
    # "nud all" shows those as well that stand for devices without addresses of hardware.
    ktap.equal("ip neigh", net.ip("neigh show"), "")
    hardware = [n for n in net.ip("-j neigh show nud all") if n["dev"] == "lo" and n["state"] != ["NOARP"]]
    ktap.equal("neighbours on lo", hardware, [])
    ktap.equal("/proc/net/arp", len(kernel.read("/proc/net/arp").splitlines()), 1)
    frames = sniffer.frames()
    ktap.check(len(frames) > 50, "only %d frames were seen" % len(frames))
    ktap.equal("protocols on lo", {protocol for _, protocol, _ in frames}, {net.ETH_P_IP, net.ETH_P_IPV6})
    ktap.equal("ICMPv6 on lo", [f for _, protocol, f in frames if protocol == net.ETH_P_IPV6 and f[20] == 58], [])
    ktap.equal("queue disciplines",
               [(q["kind"], q.get("root")) for q in json.loads(tools.run("tc -j qdisc show dev lo"))],
               [("noqueue", True)])
    ktap.equal("ip link", net.ip("-j link show lo")[0]["qdisc"], "noqueue")


def parts_of(frames, v6):
    """[(identification, offset, more, bytes)] of outgoing fragments."""
    parts = []
    for kind, _, frame in frames:
        if kind != net.PACKET_OUTGOING:
            continue
        if v6:
            ktap.equal("next header", frame[20], 44)
            field, ident = struct.unpack_from("!HI", frame, 56)
            parts.append((ident, field & ~7, field & 1, len(frame) - 62))
        else:
            ident, field = struct.unpack_from("!HH", frame, 18)
            parts.append((ident, (field & 0x1fff) * 8, field >> 13 & 1, len(frame) - 34))
    return parts


@ktap.case(net.LANES)
def fragments_seen(lane):
    """What fragments look like on lo, and what IP counts of making them and of putting them together."""
    net.enter(lane)
    sniffer = net.Sniffer("lo")
    for mtu in (1280, 1500, 9001):
        net.set_mtu("lo", mtu)
        for address, v6 in (("127.0.0.1", False), ("::1", True)):
            pair = net.udp_pair(address)
            sniffer.frames()
            before = tools.snmp()
            net.send_udp(pair, 1, 40000)
            grown = tools.snmp_since(before)
            parts = parts_of(sniffer.frames(), v6)
            room = (mtu - (48 if v6 else 20)) // 8 * 8
            sizes = [min(room, 40008 - at) for at in range(0, 40008, room)]
            want = [(parts[0][0], room * i, int(i < len(sizes) - 1), size) for i, size in enumerate(sizes)]
            ktap.equal("fragments to %s at %d" % (address, mtu), parts, want)
            ip = "Ip6" if v6 else "Ip"
            ktap.equal("counted", [grown.get(ip + name, 0) for name in
                                   ("FragCreates", "FragOKs", "ReasmReqds", "ReasmOKs", "ReasmFails")],
                       [len(sizes), 1, len(sizes), 1, 0])


@ktap.case(net.LANES)
def route_mtu(lane):
    """A smaller MTU of a route, and lo's own lowered and raised under a socket that is connected."""
    env = net.enter(lane)
    tools.ip_batch("route add local 127.9.9.9 dev lo table local mtu 1400", "addr add 2001:db8::5/128 dev lo",
                   "route add local 2001:db8::6 dev lo table local mtu 1300")
    kernel.write("/proc/sys/net/ipv4/tcp_timestamps", "0")
    kernel.write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1")
    for address, v6, mtu, level, option in (("127.9.9.9", False, 1400, socket.IPPROTO_IP, IP_MTU),
                                            ("2001:db8::6", True, 1300, socket.IPPROTO_IPV6, IPV6_MTU)):
        pair = net.udp_pair(address)
        ktap.equal("MTU to " + address, pair[0].getsockopt(level, option), mtu)
        before = env.rlo("packets"), tools.tx_packets()
        net.send_udp(pair, 1, 5000)
        room = (mtu - (48 if v6 else 20)) // 8 * 8
        ktap.equal("packets", tools.tx_packets() - before[1], -(-5008 // room))
        ktap.equal("rlo's packets", env.rlo("packets") - before[0], -(-5008 // room) if env.is_rlo else 0)
        one, _ = net.tcp_pair(address)
        ktap.equal("segments to " + address, one.getsockopt(socket.IPPROTO_TCP, TCP_MAXSEG), mtu - (60 if v6 else 40))
    sender, _ = net.udp_pair("::1")
    for mtu in (65536, 1280, 1500, 65535, 65536):
        net.set_mtu("lo", mtu)
        ktap.equal("IPV6_MTU", sender.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU), mtu)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
