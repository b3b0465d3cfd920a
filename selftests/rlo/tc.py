#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Traffic control on lo: filters on both hooks, redirection, queue disciplines, and back to none."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import contextlib
import socket
import time

import kernel
import ktap
import net
import tools

V4_V6 = (("127.0.0.1", "ip", 28), ("::1", "ipv6", 48))
COUNT, SIZE = 20, 100


def batch(*lines):
    """Several commands of tc."""
    tools.run("tc -batch -", "".join(line + "\n" for line in lines))


def receiver(address, port):
    """A socket bound to a port."""
    sock = socket.socket(net.family(address), socket.SOCK_DGRAM)
    net.set_buffer(sock, net.SO_RCVBUFFORCE, socket.SO_RCVBUF, 4 << 20)
    sock.bind((address, port))
    sock.setblocking(False)
    return sock


def datagrams(sock):
    """What waits in a socket."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(sock.recv(70000))
    return found


def send_to(address, port, count=COUNT):
    """Numbered datagrams."""
    with socket.socket(net.family(address), socket.SOCK_DGRAM) as sock:
        for i in range(count):
            sock.sendto(net.datagram(i, SIZE), (address, port))


def numbers(data):
    """Of datagrams, which have to be whole."""
    found = [int.from_bytes(d[4:8], "big") for d in data]
    for number, one in zip(found, data):
        net.check_datagram(one, number, SIZE)
    return found


def filter_counts(where, dev="lo"):
    """What each filter's action has counted: {preference: (packets, bytes, drops)}."""
    out = {}
    for entry in tools.tc("-s -j filter show dev", dev, where):
        for action in entry.get("options", {}).get("actions", []):
            stats = action["stats"]
            out[entry["pref"]] = (stats["packets"], stats["bytes"], stats["drops"])
    return out


def root():
    """Kind and counters of lo's root queue discipline."""
    return [q for q in tools.tc("-s -j qdisc show dev lo") if q.get("root")][0]


@ktap.case(net.LANES)
def filters(lane):
    """Filters of three kinds on both ways count what they match and drop what they are told to."""
    tools.need("NET_SCH_INGRESS", "NET_CLS_FLOWER", "NET_CLS_U32", "NET_CLS_MATCHALL", "NET_ACT_GACT")
    env = net.enter(lane)
    lines = ["qdisc add dev lo clsact"]
    for number, (_, name, _) in enumerate(V4_V6):
        pref = 10 * number
        u32 = "ip6" if name == "ipv6" else "ip"
        lines += [
            "filter add dev lo egress pref %d protocol %s flower ip_proto udp dst_port 5001 action drop"
            % (pref + 1, name),
            "filter add dev lo ingress pref %d protocol %s u32 match %s dport 5002 0xffff action drop"
            % (pref + 1, name, u32),
            "filter add dev lo egress pref %d protocol %s u32 match %s dport 5003 0xffff action pass"
            % (pref + 2, name, u32),
            "filter add dev lo ingress pref %d protocol %s flower ip_proto udp dst_port 5003 action pass"
            % (pref + 2, name)]
    lines += ["filter add dev lo %s pref 99 matchall action continue" % where for where in ("egress", "ingress")]
    batch(*lines)
    for address, _, _ in V4_V6:
        for port, arrive, carried in ((5001, 0, 0), (5002, 0, COUNT), (5003, COUNT, COUNT), (5004, COUNT, COUNT)):
            what = "port %d of %s" % (port, address)
            with receiver(address, port) as sock:
                before = tools.tx_packets(), env.rlo("packets")
                send_to(address, port)
                ktap.equal("datagrams to " + what, numbers(datagrams(sock)), list(range(arrive)))
                ktap.equal("lo's packets to " + what, tools.tx_packets() - before[0], carried)
                ktap.equal("rlo's packets to " + what, env.rlo("packets") - before[1], carried if env.is_rlo else 0)
    egress, ingress = filter_counts("egress"), filter_counts("ingress")
    for number, (address, _, header) in enumerate(V4_V6):
        # On the way out a packet has its Ethernet header.
        for way, counts, link in (("out", egress, 14), ("in", ingress, 0)):
            length = COUNT * (link + header + SIZE)
            ktap.equal("dropped on the way %s to %s" % (way, address), counts[10 * number + 1], (COUNT, length, COUNT))
            ktap.equal("passed on the way %s to %s" % (way, address), counts[10 * number + 2], (COUNT, length, 0))
    ktap.equal("what other filters left, out and in", (egress[99][0], ingress[99][0]), (2 * 2 * COUNT, 2 * COUNT))


@ktap.case(net.LANES)
def redirection(lane):
    """Out of lo to another device, a copy of it, through a device and back, and from another into lo."""
    tools.need("NET_SCH_INGRESS", "NET_CLS_FLOWER", "NET_ACT_MIRRED", "IFB", "DUMMY")
    env = net.enter(lane)
    kernel.write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")
    tools.ip_batch("link add d0 type dummy", "link set d0 up", "link add i0 type ifb", "link set i0 up")
    lines = ["qdisc add dev lo clsact"]
    for number, (_, name, _) in enumerate(V4_V6):
        for i, (where, action) in enumerate((("egress", "egress redirect dev d0"), ("egress", "egress mirror dev d0"),
                                             ("ingress", "egress redirect dev i0"), ("ingress",
                                                                                     "egress redirect dev d0"))):
            lines.append("filter add dev lo %s pref %d protocol %s flower ip_proto udp dst_port %d action mirred %s"
                         % (where, 10 * number + i + 1, name, 5001 + i, action))
    batch(*lines)
    for address, _, _ in V4_V6:
        for port, arrive, lo, d0, i0 in ((5001, 0, 0, 1, 0), (5002, 1, 1, 1, 0), (5003, 1, 1, 0, 1),
                                         (5004, 0, 1, 1, 0)):
            what = "port %d of %s" % (port, address)
            with receiver(address, port) as sock:
                before = {name: tools.tx_packets(name) for name in ("lo", "d0", "i0")}, env.rlo("packets")
                send_to(address, port)
                ktap.wait_for("packets back from i0", lambda: tools.tx_packets("i0") - before[0]["i0"] >= COUNT * i0)
                got = []
                ktap.wait_for("datagrams", lambda: len(got.extend(datagrams(sock)) or got) >= COUNT * arrive)
                ktap.equal("datagrams to " + what, numbers(got), list(range(COUNT * arrive)))
                ktap.equal("packets sent to " + what,
                           {name: tools.tx_packets(name) - before[0][name] for name in before[0]},
                           {"lo": COUNT * lo, "d0": COUNT * d0, "i0": COUNT * i0})
                ktap.equal("rlo's packets to " + what, env.rlo("packets") - before[1], COUNT * lo if env.is_rlo else 0)
    # What leaves on d0 goes into lo instead: lo carries it, as a frame for another host.
    batch("qdisc add dev d0 clsact", "filter add dev d0 egress matchall action mirred egress redirect dev lo")
    tools.ip_batch("addr add 192.0.2.1/24 dev d0", "neigh add 192.0.2.77 lladdr 02:00:00:00:00:77 dev d0")
    tap, before = net.Sniffer("lo"), (tools.tx_packets(), env.rlo("packets"))
    send_to("192.0.2.77", 5005)
    ktap.equal("kinds of frames on lo", sorted(f[0] for f in tap.frames()), [3] * COUNT + [net.PACKET_OUTGOING] * COUNT)
    ktap.equal("lo's packets", (tools.tx_packets() - before[0], env.rlo("packets") - before[1]),
               (COUNT, COUNT if env.is_rlo else 0))


@ktap.case(net.LANES)
def netem(lane):
    """Delay, loss and duplication: as much as was asked for, and nothing more."""
    tools.need("NET_SCH_NETEM")
    env = net.enter(lane)
    for number, (what, delivered) in enumerate((("loss 100%", 0), ("duplicate 100%", 2), ("delay 150ms", 1))):
        batch(*["qdisc del dev lo root"] * bool(number), "qdisc add dev lo root netem limit 10000 " + what)
        packets = COUNT * delivered
        for address, _, _ in V4_V6:
            with receiver(address, 5001) as sock:
                before, start = (tools.tx_packets(), env.rlo("packets")), time.monotonic()
                send_to(address, 5001)
                got = []
                ktap.wait_for("datagrams", lambda: len(got.extend(datagrams(sock)) or got) >= packets)
                took = time.monotonic() - start
                ktap.equal("datagrams with %s to %s" % (what, address), sorted(numbers(got)),
                           sorted(list(range(COUNT)) * delivered))
                ktap.equal("lo's packets with %s" % what, tools.tx_packets() - before[0], packets)
                ktap.equal("rlo's packets with %s" % what, env.rlo("packets") - before[1], packets if env.is_rlo else 0)
                ktap.check("delay" not in what or took >= 0.15, "delayed by %g s only" % took)
                ktap.equal("more datagrams with " + what, datagrams(sock), [])
        counts = root()
        ktap.equal("sent and dropped by netem with " + what, [counts[key] for key in ("packets", "drops")],
                   [2 * packets, 2 * COUNT * (delivered == 0)])
    tools.tc("qdisc del dev lo root")
    ktap.equal("after netem", root()["kind"], "noqueue")


DISCIPLINES = {
    "fq": ("NET_SCH_FQ", ["qdisc replace dev lo root fq"]),
    "fq_codel": ("NET_SCH_FQ_CODEL", ["qdisc replace dev lo root fq_codel"]),
    "htb": ("NET_SCH_HTB", ["qdisc replace dev lo root handle 1: htb default 10",
                            "class add dev lo parent 1: classid 1:10 htb rate 10gbit quantum 60000"]),
    "pfifo": ("NET_SCHED", ["qdisc replace dev lo root pfifo limit 1000"]),
}


@ktap.case(net.LANES)
def disciplines(lane):
    """Each packet passes the discipline once; deleted, lo has none, as before."""
    env = net.enter(lane)
    ktap.equal("before", root()["kind"], "noqueue")
    for kind, (option, lines) in DISCIPLINES.items():
        if tools.config() and option not in tools.config():
            ktap.note("no CONFIG_" + option)
            continue
        before = tools.tx_packets(), env.rlo("packets")
        batch(*lines)
        size = 0
        for address, _, header in V4_V6:
            net.send_udp(net.udp_pair(address), 200, SIZE)
            size += 200 * (SIZE + header + 14)
        after = root()
        ktap.equal("kind", after["kind"], kind)
        ktap.equal("%s's packets, bytes, drops" % kind, [after[k] for k in ("packets", "bytes", "drops")],
                   [400, size, 0])
        ktap.equal("packets of lo and of rlo with " + kind,
                   (tools.tx_packets() - before[0], env.rlo("packets") - before[1]),
                   (400, 400 if env.is_rlo else 0))
        for address, _, _ in V4_V6:
            one, two = net.tcp_pair(address)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            for _ in range(3):
                data = os.urandom(100000)
                one.sendall(data)
                ktap.check(net.read_exactly(two, len(data)) == data, "%s: other bytes came" % kind)
    tools.tc("qdisc del dev lo root")
    ktap.equal("afterwards", root()["kind"], "noqueue")
    net.send_udp(net.udp_pair("::1"), 10, SIZE)


class Streams:
    """A process that sends TCP both ways until it is stopped; what gets lost comes again."""

    def __init__(self):
        self.read, self.write = os.pipe()
        self.count, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status, text, _ = ktap.run(self._run, write)
            os.write(write, b"" if status == ktap.PASS else b"!" + text.encode())
            os._exit(status)
        os.close(write)
        os.set_blocking(self.count, False)
        self.blocks, self.text = 0, b""

    def _run(self, write):
        os.set_blocking(self.read, False)
        pairs = [net.tcp_pair(address) for address, _, _ in V4_V6]
        for pair in pairs:
            for sock in pair:
                sock.settimeout(60)
        while True:
            with contextlib.suppress(BlockingIOError):
                os.read(self.read, 1)
                return
            for pair in pairs:
                for source, sink in (pair, pair[::-1]):
                    data = os.urandom(30000)
                    source.sendall(data)
                    ktap.check(net.read_exactly(sink, len(data)) == data, "other bytes came")
            os.write(write, b".")

    def progress(self):
        """How many rounds it has made."""
        with contextlib.suppress(BlockingIOError):
            self.text += os.read(self.count, 65536)
        return self.text.count(b".")

    def further(self, rounds):
        """Waits until it has made some more."""
        start = self.progress()
        ktap.wait_for("%d rounds of traffic" % rounds, lambda: self.progress() >= start + rounds, 60)

    def stop(self):
        """Ends it and fails if it has failed."""
        os.write(self.write, b"x")
        _, status = os.waitpid(self.pid, 0)
        self.progress()
        ktap.check(status == 0, "traffic: %r" % self.text[-500:])


@ktap.case(net.LANES)
def replaced_under_traffic(lane):
    """Disciplines exchanged under TCP: what the exchange itself drops comes again, all packets are accounted for."""
    env = net.enter(lane)
    before = tools.tx_packets(), env.rlo("packets"), net.ip_packets()
    streams = Streams()
    streams.further(2)
    for _ in range(2):
        for kind in DISCIPLINES:
            tools.tc("qdisc replace dev lo root", kind)
            streams.further(1)
        tools.tc("qdisc del dev lo root")
        streams.further(2)
    streams.stop()
    ktap.equal("afterwards", root()["kind"], "noqueue")
    ktap.equal("rlo's packets", env.rlo("packets") - before[1], tools.tx_packets() - before[0] if env.is_rlo else 0)
    grown = net.delta(before[2], net.ip_packets())
    # What the device got has arrived: only the exchange drops, before the device.
    ktap.equal("packets that IP got", grown["in"] + grown["in6"], tools.tx_packets() - before[0])


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
