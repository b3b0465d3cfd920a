#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Switched, removed and deprived of its CPUs while packets pass."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import signal
import time

import endure
import kernel
import ktap
import net
import rsoftnet

ONLINE = "/sys/devices/system/cpu/cpu%d/online"
FLAGS = ["stage/%s/enable" % name for name in rsoftnet.STAGES if name not in rsoftnet.FUNCTIONS] + ["latency/%s/enable" % name for name in rsoftnet.LATENCIES]


def consistent():
    """After a pause: every packet that was seen by all three stages all the time is at all three."""
    seen = rsoftnet.Snapshot()
    way = [seen.count(name) for name in ("xmit", "netif_rx", "deliver")]
    ktap.equal("xmit, netif_rx, deliver", way, [way[0]] * 3)
    return way[0]


@ktap.case(limit=endure.limit(1800, 400))
def switching():
    """Stages and latencies switched many times under traffic; then they count exactly."""
    rsoftnet.enter()
    traffic = net.Traffic()
    count = endure.count(1000, 200)
    for i in range(count):
        flag = FLAGS[i * 7 % len(FLAGS)]
        on = kernel.read(rsoftnet.path(flag)) == "0"
        rsoftnet.put(flag, int(on))
        ktap.equal(flag, kernel.read(rsoftnet.path(flag)), str(int(on)))
        if i % 50 == 0:
            rsoftnet.put("enable", i // 50 % 2)
            rsoftnet.put("reset", 1)
    traffic.stop()
    rsoftnet.put("enable", 0)
    rsoftnet.put("reset", 1)
    pair = net.udp_pair("127.0.0.1")
    rsoftnet.put("enable", 1)
    net.send_udp(pair, 100, 100)
    time.sleep(0.1)
    ktap.equal("packets", consistent(), 100)
    ktap.equal("times", rsoftnet.number("latency/transmit/count"), 100)


@ktap.case(limit=endure.limit(1800, 240))
def functions():
    """Functions are probed and let go of under traffic."""
    rsoftnet.enter()
    rsoftnet.functions()
    traffic = net.Traffic()
    for i in range(endure.count(200, 15)):
        name = rsoftnet.FUNCTIONS[i % len(rsoftnet.FUNCTIONS)]
        rsoftnet.put("stage/%s/enable" % name, i // len(rsoftnet.FUNCTIONS) % 2)
    traffic.stop()


@ktap.case(limit=endure.limit(1800, 240))
def one_always_on():
    """A stage that stays on loses nothing while others at the same tracepoint are switched and reset."""
    rsoftnet.enter()
    before = net.flat_stats()
    rsoftnet.put("stage/enable", 1)
    traffic = net.Traffic(("127.0.0.1",))
    for i in range(30):
        rsoftnet.put("latency/enable", 1 - i % 2)
        rsoftnet.put("latency/reset", 1)
        rsoftnet.put("stage/drop/enable", i % 2)
    traffic.stop()
    time.sleep(0.2)
    ktap.equal("xmit", consistent(), net.delta(before, net.flat_stats())["tx.packets"])


def readers():
    """Three processes that read and write every file until they are killed."""
    pids = []
    for n in range(3):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
            while True:
                for top, _, names in os.walk(rsoftnet.TOP):
                    for name in names:
                        try:
                            path = os.path.join(top, name)
                            if os.stat(path).st_mode & 0o400:
                                kernel.read(path)
                            if name == "enable" and n == 0:
                                kernel.write(path, "1")
                        except OSError as error:
                            if error.errno not in (2, 11, 16, 19):
                                os._exit(error.errno)
        pids.append(pid)
    return pids


@ktap.case(limit=endure.limit(1800, 300))
def removed():
    """The module leaves with everything on, while packets pass and files are read and written."""
    rsoftnet.enter()
    traffic = net.Traffic()
    pids = readers()
    opened = []
    for _ in range(endure.count(50, 4)):
        rsoftnet.put("enable", 1)
        opened.append(os.open(rsoftnet.path("snapshot"), os.O_RDONLY))
        opened.append(os.open(rsoftnet.path("stage/xmit/count"), os.O_RDONLY))
        for fd in opened[-2:]:
            os.read(fd, 100)
        time.sleep(0.05)
        kernel.rmmod("rsoftnet")
        ktap.check(not os.path.exists(rsoftnet.TOP), "the directory is still there")
        for fd in opened:
            ktap.fails("ENODEV", "reading after the end", os.pread, fd, 100, 0)
        kernel.insmod("rsoftnet")
    traffic.stop()
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    ktap.equal("readers", [os.waitpid(pid, 0)[1] for pid in pids], [0] * len(pids))


@ktap.case(limit=endure.limit(1800, 300))
def unplugged():
    """A CPU leaves and comes back under traffic with everything on: its counts stay, the sums fit."""
    cpus = [cpu for cpu in net.cpus() if os.path.exists(ONLINE % cpu)]
    if not cpus:
        raise ktap.Skip("no CPU can be taken away")
    cpu = cpus[-1]
    lo = rsoftnet.enter()
    kernel.write(lo + "/queues/rx-0/rps_cpus", "%x" % (1 << cpu))
    before = net.flat_stats()
    rsoftnet.put("enable", 1)
    traffic = net.Traffic()
    try:
        for _ in range(endure.count(20, 4)):
            for online in (0, 1):
                kernel.write(ONLINE % cpu, str(online))
                ktap.equal("online", rsoftnet.number("backlog/cpu%d/online" % cpu), online)
                seen = rsoftnet.Snapshot()
                if not online:
                    away = seen.count("deliver", "cpu%d" % cpu)
                    time.sleep(0.05)
                    ktap.equal("packets on a CPU that is away", rsoftnet.stage("deliver", cpu), away)
                    ktap.equal("queued there", rsoftnet.number("backlog/cpu%d/input_qlen" % cpu), 0)
    finally:
        kernel.write(ONLINE % cpu, "1")
    traffic.stop()
    time.sleep(0.2)
    sent = net.delta(before, net.flat_stats())["tx.packets"]
    seen = rsoftnet.Snapshot()
    ktap.equal("xmit, deliver", (seen.count("xmit"), seen.count("deliver")), (sent, sent))
    # Packets queued on a CPU that leaves are handed to the backlog of another one: a second time.
    ktap.check(sent <= seen.count("netif_rx") <= sent + 1000, "netif_rx: %d of %d" % (seen.count("netif_rx"), sent))


@ktap.finally_
def restore():
    """Loaded and off, all CPUs there."""
    for cpu in range(os.cpu_count() or 1, 0, -1):
        if os.path.exists(ONLINE % cpu):
            kernel.write(ONLINE % cpu, "1")
    if not kernel.loaded("rsoftnet"):
        kernel.insmod("rsoftnet")
    rsoftnet.quiet()


if __name__ == "__main__":
    sys.exit(rsoftnet.main())
