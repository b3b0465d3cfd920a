#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""XDP on lo: generic, with every verdict, and native, which lo does not have."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import contextlib
import socket
import struct

import bpf
import kernel
import ktap
import net
import tools
from bpf import R0, R1, R2, R5, R8

V4_V6 = ("127.0.0.1", "::1")
COUNT = 25
OUT_IN = [net.PACKET_OUTGOING, net.PACKET_HOST]


# Back out of lo, once: what starts with "aabb" goes with "bbaa" (the checksum stays), which passes then.
TX_ONCE = [bpf.mov(R0, bpf.XDP_PASS), bpf.load(2, R5, R8, 0), bpf.jump("leave", R5, "!=", 0x6161),
           bpf.store(2, R8, 0, 0x6262), bpf.store(2, R8, 2, 0x6161), bpf.mov(R0, bpf.XDP_TX), "leave"]


def payload(number, start=b"aabb"):
    """Of one datagram."""
    return start + b"%08d" % number + b"what passes XDP" * 3


def receiver(address, port):
    """A socket bound to a port."""
    sock = socket.socket(net.family(address), socket.SOCK_DGRAM)
    sock.bind((address, port))
    sock.setblocking(False)
    return sock


def datagrams(sock):
    """Those that wait in a socket."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(sock.recv(1000))
    return found


def send_to(address, port):
    """COUNT datagrams."""
    with socket.socket(net.family(address), socket.SOCK_DGRAM) as sock:
        for i in range(COUNT):
            sock.sendto(payload(i), (address, port))


@ktap.case(net.LANES)
def verdicts(lane):
    """pass, drop, tx, aborted and a verdict that there is not: who counts what, and what arrives."""
    env = net.enter(lane)
    actions = [bpf.verdict(bpf.XDP_PASS), bpf.verdict(bpf.XDP_DROP), TX_ONCE, bpf.verdict(bpf.XDP_ABORTED), bpf.verdict(77)]
    for address in V4_V6:
        counters = bpf.Counters(len(actions) + 1)
        bpf.need_xdp("lo", bpf.by_port(counters, actions).fd)
        key = "Ip6InReceives" if ":" in address else "IpInReceives"
        for i, (name, arrive, runs) in enumerate((("pass", b"aabb", 1), ("drop", None, 1), ("tx", b"bbaa", 2),
                                                  ("aborted", None, 1), ("77", None, 1))):
            what = "%s to %s" % (name, address)
            sock, tap = receiver(address, 3000 + i), net.Sniffer("lo")
            before = tools.snmp(), tools.tx_packets(), env.rlo("packets"), counters.read()
            send_to(address, 3000 + i)
            want = [payload(n, arrive) for n in range(COUNT)] if arrive else []
            ktap.equal("datagrams " + what, datagrams(sock), want)
            ktap.equal("runs of the program " + what, [n - o for n, o in zip(counters.read(), before[3])],
                       [COUNT * runs * (k == i) for k in range(6)])
            ktap.equal("packets that lo sent " + what, tools.tx_packets() - before[1], COUNT * runs)
            ktap.equal("rlo's packets " + what, env.rlo("packets") - before[2], COUNT * runs if env.is_rlo else 0)
            ktap.equal("packets that IP got " + what, tools.snmp_since(before[0]).get(key, 0), COUNT if arrive else 0)
            # Packet sockets come after XDP on the way in, and before what XDP sends on the way out.
            kinds = [f[0] for f in tap.frames(b"what passes XDP")]
            ktap.equal("frames " + what, kinds, (OUT_IN if arrive else [net.PACKET_OUTGOING]) * COUNT)
            sock.close()
        bpf.need_xdp("lo", -1)


@ktap.case(net.LANES)
def redirect_out(lane):
    """From lo to a veth and to a dummy, by number and by maps: there whole, and not here."""
    env = net.enter(lane)
    tools.need("VETH", "DUMMY")
    # Nothing but what is redirected: no solicitations.
    kernel.write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")
    tools.ip_batch("link add v0 type veth peer name v1", "link add d0 type dummy", "link set v0 up", "link set v1 up",
                   "link set d0 up")
    veth, dummy = socket.if_nametoindex("v0"), socket.if_nametoindex("d0")
    plain, hashed = bpf.Map(bpf.DEVMAP, entries=4), bpf.Map(bpf.DEVMAP_HASH, entries=4)
    plain.set(2, veth)
    hashed.set(1000, veth)
    actions = [[bpf.mov(R1, veth), bpf.mov(R2, 0), bpf.call(bpf.REDIRECT)],
               [bpf.mov(R1, dummy), bpf.mov(R2, 0), bpf.call(bpf.REDIRECT)],
               bpf.redirect_map(plain, 2), bpf.redirect_map(hashed, 1000),
               # Nothing there: the verdict that the flags say.
               bpf.redirect_map(plain, 3, bpf.XDP_PASS), bpf.redirect_map(plain, 3, bpf.XDP_DROP)]
    for address in V4_V6:
        counters = bpf.Counters(len(actions) + 1)
        bpf.need_xdp("lo", bpf.by_port(counters, actions).fd)
        for i, where in enumerate(("v0", "d0", "v0", "v0", "lo", None)):
            what = "action %d to %s" % (i, address)
            sock, tap = receiver(address, 3000 + i), net.Sniffer("v1")
            before = {name: tools.tx_packets(name) for name in ("d0", "v0", "lo")}, env.rlo("packets")
            send_to(address, 3000 + i)
            ktap.equal("datagrams here " + what, len(datagrams(sock)), COUNT if where == "lo" else 0)
            ktap.equal("packets sent " + what, {name: tools.tx_packets(name) - before[0][name] for name in before[0]},
                       {"d0": 0, "v0": 0, where: COUNT, "lo": COUNT} if where else {"d0": 0, "v0": 0, "lo": COUNT})
            ktap.equal("rlo's packets " + what, env.rlo("packets") - before[1], COUNT if env.is_rlo else 0)
            ktap.equal("runs of the program " + what, counters.read()[i], COUNT)
            if where == "v0":
                frames = []
                ktap.wait_for("frames at the other end",
                              lambda: (frames.extend(tap.frames(b"passes XDP")), len(frames) >= COUNT)[1])
                header = bytes(12) + struct.pack("!H", net.ETH_P_IPV6 if ":" in address else net.ETH_P_IP)
                ktap.equal("frames at the other end " + what, [(f[2][:14], f[2][-57:]) for f in frames],
                           [(header, payload(n)) for n in range(COUNT)])
            sock.close()
        bpf.need_xdp("lo", -1)


@ktap.case(net.LANES)
def redirect_cpu(lane):
    """To another CPU (cpumap): each datagram arrives once, in order, and TCP is whole."""
    env = net.enter(lane)
    cpus = net.cpus()
    cpumap = bpf.Map(bpf.CPUMAP, 4, 8, max(cpus) + 1)
    net.pin(cpus[0])
    # TCP last: the end of a connection would be counted with the datagrams.
    for cpu, tcp in ((cpus[-1], False), (cpus[0], False), (cpus[-1], True), (cpus[0], True)):
        cpumap.set(cpu, struct.pack("=II", 512, 0))
        all_runs = bpf.Counters(1)
        inner = [all_runs.add(0), bpf.redirect_map(cpumap, cpu), bpf.exit_()]
        bpf.need_xdp("lo", bpf.Program(bpf.XDP, inner).fd)
        for address in V4_V6:
            if tcp:
                one, two = net.tcp_pair(address)
                data = os.urandom(30000)
                one.sendall(data)
                ktap.check(net.read_exactly(two, len(data)) == data, "other bytes came")
                continue
            before = all_runs.read()[0], env.rlo("packets"), net.softnet()
            net.send_udp(net.udp_pair(address), 200, 600)
            ktap.equal("runs of the program", all_runs.read()[0] - before[0], 200)
            ktap.equal("rlo's packets", env.rlo("packets") - before[1], 200 if env.is_rlo else 0)
            # The CPU of the map gives them to the stack, after the sender's has taken them from the backlog.
            ktap.check(net.softnet_delta(before[2], net.softnet(), 1)[cpu] >= 200, "CPU %d processed too few" % cpu)
        bpf.need_xdp("lo", -1)


@ktap.case(net.LANES)
def redirect_in(lane):
    """From a veth into lo: what is for ::1 arrives there, once, through lo's transmit path.

    Redirecting does not make a frame for another host one for this: lo and the veth have the same address.
    """
    env = net.enter(lane)
    tools.need("VETH")
    mac = "02:00:00:00:00:10"
    tools.ip_batch("link add v0 address %s type veth peer name v1" % mac, "link set v0 up", "link set v1 up",
                   "link set lo address " + mac)
    counters = bpf.Counters(2)
    bpf.need_xdp("v0", bpf.by_port(counters, [[bpf.mov(R1, 1), bpf.mov(R2, 0), bpf.call(bpf.REDIRECT)]]).fd)
    sock, tap, source = receiver("::1", 3000), net.Sniffer("lo"), net.Sniffer("lo")
    text = payload(7)
    send_to("::1", 3000)
    datagrams(sock)
    frame = [f[2] for f in source.frames(text)][0]
    ktap.equal("addresses of hardware on lo", frame[:12], bytes.fromhex(mac.replace(":", "")) * 2)
    tap.frames()
    before = tools.tx_packets(), env.rlo("packets"), counters.read()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
        out.bind(("v1", 0))
        # Its checksum was not made, as on lo.
        for _ in range(COUNT):
            out.send(with_checksum(frame))
    ktap.wait_for("packets of lo", lambda: tools.tx_packets() - before[0] >= COUNT)
    got = []
    ktap.wait_for("datagrams", lambda: len(got.extend(datagrams(sock)) or got) >= COUNT)
    ktap.equal("datagrams", got, [text] * COUNT)
    ktap.equal("lo's packets", tools.tx_packets() - before[0], COUNT)
    ktap.equal("rlo's packets", env.rlo("packets") - before[1], COUNT if env.is_rlo else 0)
    ktap.equal("kinds of frames on lo", [f[0] for f in tap.frames(text)], [net.PACKET_HOST] * COUNT)
    ktap.equal("runs of the program", counters.read()[0] - before[2][0], COUNT)


def with_checksum(frame):
    """The same frame (UDP over IPv6) with UDP's checksum."""
    udp = frame[54:60] + b"\0\0" + frame[62:]
    data = frame[22:54] + struct.pack("!II", len(udp), 17) + udp
    total = sum(struct.unpack("!%dH" % ((len(data) + 1) // 2), data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return frame[:60] + struct.pack("!H", ~total & 0xffff) + frame[62:]


def shown():
    """What ip says of XDP on lo: (mode, number of the program)."""
    link = net.ip("-d -j link show lo")[0]
    if "xdp" not in link:
        return None
    return link["xdp"]["mode"], bool(link["xdp"]["prog"]["id"])


def refusals(_env):
    """What comes of attaching in ways that lo does not know, or twice."""
    prog = bpf.Program(bpf.XDP, [bpf.verdict(bpf.XDP_PASS), bpf.exit_()])
    other = bpf.Program(bpf.XDP, [bpf.verdict(bpf.XDP_DROP), bpf.exit_()])
    seen = {"native": bpf.attach_xdp("lo", prog.fd, bpf.DRV_MODE),
            "offload": bpf.attach_xdp("lo", prog.fd, bpf.HW_MODE),
            "two modes": bpf.attach_xdp("lo", prog.fd, bpf.SKB_MODE | bpf.DRV_MODE),
            "link, native": ktap.error_of(prog.link, "lo", bpf.AT_XDP, bpf.DRV_MODE),
            "link, offload": ktap.error_of(prog.link, "lo", bpf.AT_XDP, bpf.HW_MODE),
            "not attached": shown()}
    # Any mode: without a driver's, generic.
    seen["any mode"] = bpf.attach_xdp("lo", prog.fd, 0), shown()
    seen["if none"] = bpf.attach_xdp("lo", other.fd, bpf.SKB_MODE | 1)
    seen["native besides"] = bpf.attach_xdp("lo", other.fd, bpf.DRV_MODE)
    seen["link besides"] = ktap.error_of(prog.link, "lo")
    seen["another"] = bpf.attach_xdp("lo", other.fd, bpf.SKB_MODE), shown()
    seen["detached"] = bpf.attach_xdp("lo", -1, bpf.SKB_MODE), shown()
    fd = prog.link("lo")
    seen["by a link"] = shown()
    seen["besides a link"] = bpf.attach_xdp("lo", other.fd, bpf.SKB_MODE)
    os.close(fd)
    seen["link closed"] = shown()
    net.set_mtu("lo", 65536)
    net.send_udp(net.udp_pair("127.0.0.1"), 3, 100)
    return seen


@ktap.case(net.LANES)
def native_refused(lane):
    """Native XDP is refused, in words and number, and what else cannot be, as lo does it."""
    if net.NAPI:
        raise ktap.Skip("NAPI delivery has native XDP")
    seen = net.in_lane(lane, refusals)
    no_native = ["ENOTSUP", "Underlying driver does not support XDP in native mode"]
    ktap.equal("native", seen["native"], no_native)
    ktap.equal("native, as a link", seen["link, native"], "ENOTSUP")
    ktap.check(seen["offload"][0] and seen["two modes"][0] and seen["if none"][0],
               "something is not refused: %r" % seen)
    ktap.equal("what ip shows",
               [seen["not attached"], seen["any mode"][1], seen["detached"][1], seen["by a link"], seen["link closed"]],
               [None, [2, True], None, [2, True], None])
    if lane != "lo":
        ktap.equal("all of it, on lo and here", seen, net.in_lane("lo", refusals))


@ktap.case(net.LANES)
def under_traffic(lane):
    """Attached, exchanged and detached while TCP and UDP flow: nothing is lost; detached, the program rests."""
    net.enter(lane)
    counters = [bpf.Counters(1), bpf.Counters(1)]
    progs = [bpf.Program(bpf.XDP, [c.add(0), bpf.verdict(bpf.XDP_PASS), bpf.exit_()]) for c in counters]
    features = tools.run("ethtool -k lo")
    before = net.ip_packets()
    traffic = net.Traffic()
    for _ in range(6):
        for which in (0, 1):
            start = counters[which].read()[0]
            bpf.need_xdp("lo", progs[which].fd)
            ktap.wait_for("the program runs", lambda: counters[which].read()[0] > start + 20, 30)
        bpf.need_xdp("lo", -1)
    ended = [c.read() for c in counters]
    net.send_udp(net.udp_pair("::1"), 20, 100)
    traffic.stop()
    net.check_nothing_lost(before)
    ktap.equal("runs after it was detached", [c.read() for c in counters], ended)
    ktap.equal("features", tools.run("ethtool -k lo"), features)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
