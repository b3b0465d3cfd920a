#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The stages that are functions of the kernel: protocols, queues of sockets, who runs softirqs, verdicts."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import socket
import time

import kernel
import ktap
import net
import rsoftnet
import tools

ADDRESSES = {"v4": "127.0.0.1", "v6": "::1"}


def idle():
    """Lets what is still on its way arrive."""
    time.sleep(0.1 * ktap.SLOW)


def protocol_counts():
    """What IP, UDP and TCP have received in this namespace."""
    rows = [line.split() for line in kernel.read("/proc/net/snmp").splitlines()]
    four = {names[0][:-1] + name: int(value) for names, values in zip(rows[::2], rows[1::2])
            for name, value in zip(names[1:], values[1:])}
    six = {name: int(value) for name, value in (line.split() for line in kernel.read("/proc/net/snmp6").splitlines())}
    # TCP counts both versions together.
    return {"ip": four["IpInReceives"], "ip6": six["Ip6InReceives"], "udp": four["UdpInDatagrams"],
            "udp6": six["Udp6InDatagrams"], "tcp": four["TcpInSegs"]}


@ktap.case()
def protocols():
    """The stages that are functions: what IP, UDP and TCP say they have received, v4 and v6 apart."""
    rsoftnet.enter()
    rsoftnet.functions()
    before = protocol_counts()
    for address in ADDRESSES.values():
        net.send_udp(net.udp_pair(address), 50, 100)
        one, other = net.tcp_pair(address)
        one.sendall(b"x" * 300000)
        net.read_exactly(other, 300000)
        one.close()
        other.close()
    idle()
    grown, seen = net.delta(before, protocol_counts()), rsoftnet.Snapshot()
    got = {"ip": seen.count("ip") - seen.count("ip", what="v6"), "ip6": seen.count("ip", what="v6"),
           "udp": seen.count("udp") - seen.count("udp", what="v6"), "udp6": seen.count("udp", what="v6"),
           "tcp": seen.count("tcp")}
    ktap.equal("received", got, grown)
    ktap.equal("udp", (got["udp"], got["udp6"]), (50, 50))


@ktap.case(ADDRESSES)
def socket_queues(version):
    """Into the queues of sockets go as many as UDP says it has delivered, TCP's data, and what raw sockets get."""
    rsoftnet.enter()
    rsoftnet.function("stage/sock_queue/enable")
    address = ADDRESSES[version]
    raw = socket.socket(net.family(address), socket.SOCK_RAW, socket.IPPROTO_UDP)
    raw.settimeout(0)
    before = protocol_counts()
    net.send_udp(net.udp_pair(address), 40, 100)
    idle()
    received = 0
    while not ktap.error_of(raw.recv, 1000):
        received += 1
    one, other = net.tcp_pair(address)
    for _ in range(10):
        one.sendall(b"x" * 100)
        net.read_exactly(other, 100)
    idle()
    grown = net.delta(before, protocol_counts())
    seen = {what: rsoftnet.stage("sock_queue", what=what) for what in ("count", "udp", "tcp")}
    ktap.equal("udp", seen["udp"], grown["udp6" if version == "v6" else "udp"])
    ktap.equal("tcp: ten writes that were read one after the other", seen["tcp"], 10)
    ktap.equal("others: the raw socket's", seen["count"] - seen["udp"] - seen["tcp"], received)
    ktap.equal("the raw socket's", received, 40)


def contexts(rows):
    """Hits of softirq_entry by who runs it, from the kernel's own stack traces."""
    found = {"irq_exit": 0, "do_softirq": 0, "ksoftirqd": 0}
    for stack, hits in rows:
        names = [line.split("+")[0].strip() for line in stack.splitlines()]
        # The compiler may have split functions: do_softirq.part.0.
        for start, kind in (("run_ksoftirqd", "ksoftirqd"), ("do_softirq", "do_softirq"), ("irq_exit", "irq_exit"),
                            ("__irq_exit", "irq_exit")):
            if any(name.startswith(start) for name in names):
                found[kind] += hits
                break
        else:
            raise ktap.Failure("nobody known in %r" % names)
    return found


@ktap.case(limit=120)
def softirq_context():
    """Who runs the receive softirq: what the kernel's own stack traces of the tracepoint say."""
    if not rsoftnet.callers_known():
        raise ktap.Skip("the kernel has frame pointers: nobody is known")
    rsoftnet.enter(filtered=False)
    kinds = ("irq_exit", "do_softirq", "ksoftirqd")
    read = lambda: {kind: rsoftnet.stage("softirq_context", what=kind) for kind in kinds}
    with rsoftnet.Hits("irq/softirq_entry", "stacktrace", "vec==3") as hits:
        rsoftnet.function("stage/softirq_context/enable")
        # A softirq that began before it was known who runs it has no kind.
        time.sleep(0.1)
        start, base = read(), contexts(hits.rows())
        net.pin(net.cpus()[0])
        net.send_udp(net.udp_pair("127.0.0.1"), 300, 100, window=1)
        tools.run("ping -q -f -c 50 127.0.0.1")
        got = {}

        def same():
            mine, theirs = read(), contexts(hits.rows())
            got.update({kind: (mine[kind] - start[kind], theirs[kind] - base[kind]) for kind in kinds})
            return all(a == b for a, b in got.values())
        try:
            ktap.wait_for("the counts agree", same, 5)
        except ktap.Failure as error:
            raise ktap.Failure("%s: %r" % (error, got)) from None
    ktap.check(got["do_softirq"][0] >= 300, "enabling bottom halves: %r" % got)
    ktap.equal("no kind", rsoftnet.stage("softirq_context"), sum(read().values()))


@ktap.case()
def enqueued():
    """Steered packets, by the CPU that hands them over and the one that gets them."""
    if len(net.cpus()) < 2:
        raise ktap.Skip("one CPU")
    here, there = net.cpus()[:2]
    lo = rsoftnet.enter()
    rsoftnet.functions()
    net.pin(here)
    pair = net.udp_pair("127.0.0.1")
    for mask, target, count in ((0, here, 70), (1 << there, there, 80)):
        kernel.write(lo + "/queues/rx-0/rps_cpus", "%x" % mask)
        rsoftnet.put("stage/enqueue/reset", 1)
        net.send_udp(pair, count, 100)
        idle()
        ktap.equal("packets", rsoftnet.Snapshot().targets.get("enqueue"), {(here, target): count})
        ktap.equal("enqueue", rsoftnet.stage("enqueue", here), count)


@ktap.case()
def verdicts():
    """What nftables drops, the stage says was dropped."""
    rsoftnet.enter()
    tools.need("NF_TABLES")
    tools.nft("table inet t { counter gone { }\n chain in { type filter hook input priority 0; "
              "udp dport 9 counter name gone drop\n }\n }\n")
    rsoftnet.functions()
    rsoftnet.put("reset", 1)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(25):
        sender.sendto(b"x", ("127.0.0.1", 9))
    idle()
    ktap.equal("dropped", rsoftnet.stage("netfilter", what="drop"), tools.nft_counters()["gone"][0])
    ktap.equal("dropped", rsoftnet.stage("netfilter", what="drop"), 25)


ktap.finally_(rsoftnet.quiet)
if __name__ == "__main__":
    sys.exit(rsoftnet.main())
