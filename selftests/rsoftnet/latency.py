#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Times between stages: one for each packet, and none that cannot be."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import time

import kernel
import ktap
import net
import rsoftnet
import softnet

COUNT = 300


def sane(name, row, longest):
    """Fails unless count, sum, max and buckets fit each other."""
    if not row["count"]:
        return
    highest = max(i for i, n in enumerate(row["log2_ns"]) if n)
    ktap.equal("%s: the bucket of the longest" % name, highest, min(len(bin(row["max_ns"])) - 2, 39))
    ktap.check(row["max_ns"] <= row["sum_ns"] <= row["count"] * row["max_ns"], "%s: %r" % (name, row))
    ktap.check(row["max_ns"] <= longest, "%s: %d ns, but all took %d" % (name, row["max_ns"], longest))
    least = sum(n << (i - 1) for i, n in enumerate(row["log2_ns"]) if n and i)
    ktap.check(least <= row["sum_ns"], "%s: the sum is less than the buckets say" % name)


@ktap.case(("v4", "v6"))
def each_packet(version):
    """One time in the backlog for each packet, and one since the driver, which is longer."""
    rsoftnet.enter()
    net.pin(net.cpus()[0])
    pair = net.udp_pair("127.0.0.1" if version == "v4" else "::1")
    start = time.monotonic_ns()
    rsoftnet.put("latency/enable", 1)
    net.send_udp(pair, COUNT, 100, window=1)
    time.sleep(0.1)
    rsoftnet.put("latency/enable", 0)
    took = time.monotonic_ns() - start
    rows = {name: cpus["all"] for name, cpus in rsoftnet.Snapshot().latencies.items()}
    for name, row in rows.items():
        sane(name, row, took)
    ktap.equal("transmit, backlog, wakeup", tuple(rows[n]["count"] for n in ("transmit", "backlog", "wakeup")), (COUNT,) * 3)
    ktap.check(rows["transmit"]["sum_ns"] > rows["backlog"]["sum_ns"], "the driver took no time")
    ktap.check(rows["softirq"]["count"] > 0 and rows["poll"]["count"] > 0, "no softirq, no poll: %r" % rows)
    ktap.equal("unmatched", rsoftnet.number("latency/unmatched/count"), 0)


@ktap.case()
def ipi():
    """One time for each IPI to another CPU's backlog, on the CPU that answers."""
    cpus = net.cpus()
    if len(cpus) < 2:
        raise ktap.Skip("one CPU")
    lo = rsoftnet.enter()
    kernel.write(lo + "/queues/rx-0/rps_cpus", "%x" % (1 << cpus[1]))
    net.pin(cpus[0])
    pair = net.udp_pair("127.0.0.1")
    rsoftnet.put("latency/enable", 1)
    before = net.softnet()
    net.send_udp(pair, COUNT, 100, window=1)
    time.sleep(0.1)
    woken = net.softnet_delta(before, net.softnet(), softnet.RECEIVED_RPS)
    row = rsoftnet.Snapshot().latencies["rps_ipi"]
    ktap.check(woken[cpus[1]] > 0, "no IPI")
    ktap.equal("times on the CPU that answers", row["cpu%d" % cpus[1]]["count"], woken[cpus[1]])
    ktap.equal("times in the backlog", rsoftnet.number("latency/backlog/cpu%d/count" % cpus[1]), COUNT)


@ktap.case()
def delay():
    """Time in a queue discipline, before the driver, is not time on the way from the driver."""
    cpus = net.cpus()
    rsoftnet.enter()
    net.pin(cpus[0])
    pair = net.udp_pair("127.0.0.1")
    plug = softnet.Plug()
    plug.block()
    rsoftnet.put("latency/transmit/enable", 1)
    for i in range(3):
        pair[0].send(net.datagram(i, 100))
    time.sleep(0.3)
    plug.release()
    time.sleep(0.1)
    row = rsoftnet.Snapshot().latencies["transmit"]["all"]
    ktap.equal("packets", row["count"], 3)
    ktap.check(row["max_ns"] < 250000000 * ktap.SLOW, "the time in the queue discipline was counted: %r" % row)


def bursts():
    """Four times 50 packets at once, of which 11 find a place."""
    rsoftnet.enter(filtered=False)
    rsoftnet.put("filter/device", "lo")
    net.pin(net.cpus()[0])
    pair = net.udp_pair("127.0.0.1", 1 << 26)
    rsoftnet.put("latency/backlog/enable", 1)
    plug = softnet.Plug()
    for _ in range(4):
        plug.block()
        for i in range(50):
            pair[0].send(net.datagram(i, 100))
        plug.release()
        time.sleep(0.1)
    row = rsoftnet.Snapshot().latencies["backlog"]["all"]
    ktap.equal("times", row["count"], 44)
    ktap.check(rsoftnet.number("latency/unmatched/count") <= 4 * 39, "more was given up than was lost")


@ktap.case()
def lost():
    """Packets that are dropped have no time; theirs are given up, and counted when their place is used again."""
    with softnet.Setting(softnet.MAX_BACKLOG, 10, "CONFIG_NET"):
        ktap.value_of(bursts)


@ktap.case()
def off_and_on():
    """What was begun before a latency was switched off is not ended when it is on again."""
    rsoftnet.enter()
    net.pin(net.cpus()[0])
    pair = net.udp_pair("127.0.0.1")
    for _ in range(3):
        rsoftnet.put("latency/enable", 1)
        net.send_udp(pair, 20, 100)
        rsoftnet.put("latency/enable", 0)
        time.sleep(0.3)
    for name, cpus in rsoftnet.Snapshot().latencies.items():
        ktap.check(cpus["all"]["max_ns"] < 290000000 * ktap.SLOW, "%s has seen the pause: %r" % (name, cpus["all"]))
        ktap.check(name == "rps_ipi" or cpus["all"]["count"] > 0, "%s has counted nothing" % name)


ktap.finally_(rsoftnet.quiet)
if __name__ == "__main__":
    sys.exit(rsoftnet.main())
