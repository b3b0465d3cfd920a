#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A CPU taken away and brought back under traffic: nothing is lost, neither packets nor counts."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import time

import endure
import flows
import kernel
import ktap
import net

# For each of two ways: packets steered to the CPU or not.
COUNT = endure.count(25, 2)
ONLINE = "/sys/devices/system/cpu/cpu%d/online"


def others():
    """The CPUs that can be taken away."""
    return [cpu for cpu in net.cpus() if os.path.exists(ONLINE % cpu)]


class Counts:
    """rlo's totals, by CPU and as a whole, and lo's statistics; none ever goes back."""

    def __init__(self, env):
        self.env, self.last = env, {}
        self.dirs = sorted(name for name in os.listdir(env.lo + "/rlo") if name.startswith("cpu"))

    def look(self, when):
        """Reads all; the sum of the CPUs is not larger than a total read later."""
        now = {}
        for name in ("packets", "bytes"):
            for cpu in self.dirs:
                now["%s of %s" % (name, cpu)] = self.env.rlo("%s/%s" % (cpu, name))
            now["rlo's " + name] = self.env.rlo(name)
            parts = sum(now["%s of %s" % (name, cpu)] for cpu in self.dirs)
            ktap.check(parts <= now["rlo's " + name], "%s: %s of the CPUs %d, total %d" % (when, name, parts, now["rlo's " + name]))
            now["lo's " + name] = kernel.number("%s/statistics/tx_%s" % (self.env.lo, name))
        for name, value in now.items():
            ktap.check(value >= self.last.get(name, 0), "%s: %s went from %d to %d" % (when, name, self.last.get(name, 0), value))
        dirs = sorted(name for name in os.listdir(self.env.lo + "/rlo") if name.startswith("cpu"))
        ktap.equal("directories of CPUs", dirs, self.dirs)
        self.last = now
        return now


def cycles(env, cpu, traffic, counts):
    """Away and back, that many times."""
    progress = endure.Progress("CPU %d away and back, %s" % (cpu, env.lane), COUNT)
    for i in range(COUNT):
        for value, state in ((0, "away"), (1, "back")):
            kernel.write(ONLINE % cpu, "%d" % value)
            ktap.equal("online", kernel.number(ONLINE % cpu), value)
            for _ in range(3):
                counts.look("CPU %d %s, %d" % (cpu, state, i))
            if i % 2 == 0:
                traffic.wait_for_more()
            if not value:
                counted = counts.last["packets of cpu%d" % cpu]
                time.sleep(0.01)
                now = counts.look("CPU %d is away" % cpu)
                ktap.equal("packets of the CPU that is away", now["packets of cpu%d" % cpu], counted)
        progress.at(i + 1, ", messages: %r" % traffic.progress())


@ktap.case(net.LANES, limit=endure.limit(1200))
def unplugged(lane):
    """TCP, UDP and SCTP go on, and every packet is counted, with packets steered to the CPU and not."""
    cpus = others()
    if not cpus:
        raise ktap.Skip("no CPU can be taken away")
    flows.have_sctp()
    env, cpu = net.enter(lane), cpus[-1]
    packets, links, bad = net.ip_packets(), net.flat_stats(), flows.signs()
    before, counts = env.counts(), Counts(env)
    drops = sum(columns[2] for columns in net.softnet().values())
    traffic = flows.Flows(strict=False)
    try:
        for mask in (0, 1 << cpu):
            kernel.write(env.lo + "/queues/rx-0/rps_cpus", "%x" % mask)
            cycles(env, cpu, traffic, counts)
    finally:
        kernel.write(ONLINE % cpu, "1")
    # The CPU carries packets again.
    own = env.rlo("cpu%d/packets" % cpu)
    net.pin(cpu)
    net.send_udp(net.udp_pair("127.0.0.1"), 8, 100)
    ktap.check(not env.is_rlo or env.rlo("cpu%d/packets" % cpu) >= own + 8, "CPU %d does not count any more" % cpu)
    ktap.check(traffic.alive(), "the traffic ended early")
    again = flows.more_signs(bad)
    reordered, sent = traffic.reordered()["udp"], traffic.stop()
    net.check_nothing_lost(packets)
    link, rlo = net.delta(links, net.flat_stats()), net.delta(before, env.counts())
    ktap.note("%s, CPU %d away and back %d times: %r messages, %d packets; UDP overtaken: %d; %s" % (
        lane, cpu, 2 * COUNT, sent, link["tx.packets"], reordered, again or "nothing sent again"))
    ktap.equal("received and sent", link["rx.packets"], link["tx.packets"])
    ktap.equal("rlo's packets and bytes", (rlo.get("packets", 0), rlo.get("bytes", 0)),
               (link["tx.packets"], link["tx.bytes"]) if env.is_rlo else (0, 0))
    ktap.equal("sum of the CPUs", sum(env.rlo(name + "/packets") for name in counts.dirs), env.rlo("packets"))
    ktap.equal("dropped by the backlog", sum(columns[2] for columns in net.softnet().values()), drops)


@ktap.finally_
def restore():
    """All CPUs, as before."""
    for cpu in range(os.cpu_count() or 1, 0, -1):
        if os.path.exists(ONLINE % cpu):
            kernel.write(ONLINE % cpu, "1")
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(net.main())
