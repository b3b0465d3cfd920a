#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Counters: lo's own, rlo's, and those that the kernel keeps of the backlog."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import glob

import kernel
import ktap
import net

V4_V6 = (("127.0.0.1", 28), ("::1", 48))


def dev_line():
    """lo's line of /proc/net/dev."""
    for line in kernel.read("/proc/net/dev").splitlines():
        if line.strip().startswith("lo:"):
            return [int(word) for word in line.split(":")[1].split()]
    raise ktap.Failure("no lo in /proc/net/dev")


def per_cpu(env):
    """rlo's counters of each CPU: {cpu: {name: number}}."""
    return {int(path.rsplit("cpu")[-1]): {name: kernel.number("%s/%s" % (path, name))
                                          for name in ("packets", "bytes", "accepted", "dropped")}
            for path in glob.glob(env.lo + "/rlo/cpu[0-9]*")}


@ktap.case(net.LANES)
def known_number(lane):
    """A known number of datagrams of known size: every counter agrees, to the packet and byte."""
    env = net.enter(lane)
    packets = size_sum = 0
    before, rlo, proc = net.flat_stats(), env.counts(), dev_line()
    ktap.equal("at first", rlo, {"packets": 0, "bytes": 0, "accepted": 0, "dropped": 0})
    for address, header in V4_V6:
        pair = net.udp_pair(address)
        for size, count in ((8, 150), (1000, 100), (20000, 7)):
            net.send_udp(pair, count, size)
            packets += count
            size_sum += count * (size + header)
    after, rlo_after, proc_after = net.flat_stats(), env.counts(), dev_line()
    ktap.equal("ip -s link", net.delta(before, after),
               {"rx.packets": packets, "tx.packets": packets, "rx.bytes": size_sum, "tx.bytes": size_sum})
    ktap.equal("/proc/net/dev", [b - a for a, b in zip(proc, proc_after)],
               [size_sum, packets, 0, 0, 0, 0, 0, 0, size_sum, packets, 0, 0, 0, 0, 0, 0])
    want = {"packets": packets, "bytes": size_sum, "accepted": packets} if env.is_rlo else {}
    ktap.equal("rlo", net.delta(rlo, rlo_after), want)
    for name in ("rx_packets", "tx_packets"):
        ktap.equal("statistics/" + name, kernel.number("%s/statistics/%s" % (env.lo, name)), after["rx.packets"])


@ktap.case(net.LANES)
def per_cpu_files(lane):
    """A packet is counted where it was sent, and the files of the CPUs sum up to the totals."""
    env = net.enter(lane)
    possible = kernel.read("/sys/devices/system/cpu/possible")
    count = int(possible.rsplit("-", maxsplit=1)[-1]) + 1
    ktap.equal("CPUs that have a directory", sorted(per_cpu(env)), list(range(count)))
    pair = net.udp_pair("127.0.0.1")
    allowed = net.cpus()
    for i, cpu in enumerate(allowed):
        net.pin(cpu)
        before = per_cpu(env)
        number = 30 + 11 * i
        net.send_udp(pair, number, 100)
        after = per_cpu(env)
        want = {"packets": number, "bytes": number * 128, "accepted": number} if env.is_rlo else {}
        for other in after:
            ktap.equal("cpu%d after sending on cpu%d" % (other, cpu), net.delta(before[other], after[other]),
                       want if other == cpu else {})
    totals = {name: sum(c[name] for c in per_cpu(env).values()) for name in ("packets", "bytes", "accepted", "dropped")}
    ktap.equal("sums over the CPUs", totals, env.counts())


@ktap.case(net.LANES)
def softnet(lane):
    """Every packet goes through the backlog of the CPU: /proc/net/softnet_stat."""
    net.enter(lane)
    pair = net.udp_pair("::1")
    for cpu in net.cpus():
        net.pin(cpu)
        net.send_udp(pair, 10, 100)
        before = net.softnet()
        net.send_udp(pair, 500, 100)
        after = net.softnet()
        processed = net.softnet_delta(before, after, 1)
        # Another namespace that is ending may send a packet of its own meanwhile.
        ktap.check(500 <= processed[cpu] <= 520, "CPU %d processed %d packets, not 500" % (cpu, processed[cpu]))
        ktap.check(all(n <= 20 for c, n in processed.items() if c != cpu), "other CPUs processed %r" % processed)
        ktap.check(not any(net.softnet_delta(before, after, 2).values()), "packets were dropped")


@ktap.case(net.LANES)
def each_its_own(lane):
    """Namespaces do not count each other's packets."""
    env = net.enter(lane)
    before, stats = env.counts(), net.flat_stats()
    for other in net.LANES:
        net.in_lane(other, lambda _env: net.send_udp(net.udp_pair("127.0.0.1"), 20, 100))
    ktap.equal("rlo's counters", net.delta(before, env.counts()), {})
    ktap.equal("lo's counters", net.delta(stats, net.flat_stats()), {})


@ktap.case()
def toggles():
    """Taken over and given back, lo goes on counting; rlo counts only what it carried."""
    env = net.enter("lo")
    pair = net.udp_pair("127.0.0.1")
    start, total, carried = net.flat_stats(), 0, 0
    for i in range(12):
        env.active(i % 3 != 0)
        ktap.equal("active", env.rlo("active"), int(i % 3 != 0))
        number = 7 + i
        net.send_udp(pair, number, 100)
        total += number
        carried += number if i % 3 else 0
        ktap.equal("lo's packets", net.delta(start, net.flat_stats()).get("tx.packets"), total)
        ktap.equal("rlo's packets", env.rlo("packets"), carried)
    env.active(0)
    ktap.equal("rlo's bytes", env.rlo("bytes"), carried * 128)


@ktap.case(net.LANES)
def read_only(lane):
    """Counters cannot be written, and are one number and a newline."""
    env = net.enter(lane)
    words = ("mode", "owner", "length_log2", "cpu0/length_log2")
    for name in ("packets", "bytes", "accepted", "dropped", "cpu0/packets", "cpu0/dropped", "protocol/other") + words:
        path = "%s/rlo/%s" % (env.lo, name)
        ktap.equal("mode of " + name, os.stat(path).st_mode & 0o777, 0o444)
        ktap.fails("EIO|EACCES", "writing " + name, kernel.write, path, "0\n")
        if name not in words:
            text = open(path, encoding="ascii").read()
            ktap.check(text.endswith("\n") and text[:-1].isdigit(), "%s reads %r" % (name, text))
    ktap.equal("mode of active", os.stat(env.lo + "/rlo/active").st_mode & 0o777, 0o644)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
