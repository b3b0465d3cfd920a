#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What ethtool shows and sets; counters go on whatever is set."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import itertools
import json

import kernel
import ktap
import net
import port
import rsoftnet


def ethtool(pair, what, end=0):
    """The values that ethtool prints, as JSON."""
    return json.loads(pair.run(end, "ethtool --json %s %%s" % what))[0]


def combined(pair):
    """How many queue pairs there are; ethtool -l knows no JSON."""
    return int(re.findall(r"Combined:\s+(\d+)", pair.run(0, "ethtool -l %s"))[1])


def own(pair, end=0):
    """The driver's own statistics."""
    out = pair.run(end, "ethtool -S %s")
    return {name: int(value) for name, value in re.findall(r"(\w+): (\d+)", out)}


@ktap.case(limit=120)
def shown():
    """Driver, bus, link."""
    pair = port.Pair("rigb-igb")
    info = pair.run(0, "ethtool -i %s")
    ktap.check("driver: rigb\n" in info and "bus-info: " + pair.devices[0] in info, info)
    link = pair.run(0, "ethtool %s")
    reference = pair.run(1, "ethtool %s")
    for name in ("Speed", "Duplex", "Auto-negotiation", "Port", "PHYAD", "Link detected"):
        want = re.search(r"%s: (.*)" % name, reference)
        got = re.search(r"%s: (.*)" % name, link)
        ktap.check(want and got, "%s is not shown" % name)
        ktap.equal(name, got[1], want[1])
    pair.run(0, "ethtool -r %s")
    pair.wait_link()
    pair.ping()


@ktap.case(limit=200)
def rings():
    """Lengths that can be are set; others are refused with a message, and nothing is rounded."""
    pair = port.Pair("rigb-igb")
    for rx, tx in ((64, 64), (4096, 4096), (72, 512), (256, 256)):
        pair.run(0, "ethtool -G %%s rx %d tx %d" % (rx, tx))
        now = ethtool(pair, "-g")
        ktap.equal("rings", (now["rx"], now["tx"]), (rx, tx))
        pair.wait_link()
        pair.ping(count=2)
    for setting in ("rx 32", "rx 4104", "tx 63", "tx 100", "rx 0", "tx 65536"):
        status, _, error = pair.attempt(0, "ethtool -G %s " + setting)
        ktap.check(status != 0 and "netlink error" in error, "%s: %d %s" % (setting, status, error))
        now = ethtool(pair, "-g")
        ktap.equal("rings after " + setting, (now["rx"], now["tx"]), (256, 256))
    pair.ping()


@ktap.case(limit=200)
def channels():
    """One to sixteen queue pairs, more than there are vectors; zero and more are refused."""
    pair = port.Pair("rigb-igb")
    for count in (1, 3, 16, 2):
        pair.run(0, "ethtool -L %%s combined %d" % count)
        ktap.equal("channels", combined(pair), count)
        pair.wait_link()
        pair.ping(count=3)
        pair.ping(count=3, address=port.V6[1])
    for setting in ("combined 0", "combined 17", "rx 2", "other 3"):
        status, _, _ = pair.attempt(0, "ethtool -L %s " + setting)
        ktap.check(status != 0, setting + " was taken")
    ktap.equal("channels", combined(pair), 2)
    pair.ping()


@ktap.case(limit=200)
def counters_go_on():
    """Rings, channels, MTU: no counter goes back."""
    pair = port.Pair("rigb-igb")
    pair.ping(count=10)
    last, last_own = pair.statistics(0), own(pair)
    for setting in ("ethtool -G %s rx 512", "ethtool -L %s combined 1", "ethtool -L %s combined 2",
                    "ip link set dev %s mtu 4000", "ip link set dev %s down", "ip link set dev %s up"):
        pair.run(0, setting)
        now, now_own = pair.statistics(0), own(pair)
        for name, value in last.items():
            ktap.check(now[name] >= value, "%s: %s went from %d to %d" % (setting, name, value, now[name]))
        for name in set(last_own) & set(now_own):
            ktap.check(now_own[name] >= last_own[name], "%s: %s went back" % (setting, name))
        last, last_own = now, now_own
    pair.up()
    pair.ping()


@ktap.case(limit=200)
def spread():
    """Many flows come in on both queues, and each queue counts its own."""
    pair = port.Pair("igb-rigb")
    pair.run(1, "ethtool -L %s combined 4")
    pair.wait_link()
    before, total = own(pair, 1), pair.statistics(1)
    for _ in range(16):
        one, other = pair.tcp()
        one.sendall(b"x" * 1000)
        net.read_exactly(other, 1000)
    after, total_after = own(pair, 1), pair.statistics(1)
    counts = [after["rx_queue_%d_packets" % n] - before["rx_queue_%d_packets" % n] for n in range(4)]
    ktap.note("frames on each queue: %s" % counts)
    ktap.check(sum(bool(count) for count in counts) >= 3, "16 flows on %s" % counts)
    ktap.check(sum(counts) <= total_after["rx_packets"] - total["rx_packets"] + 10, "queues count more than all")


def vectors(pair, name, end=0):
    """What a file of the driver says of each vector."""
    return [int(word) for word in pair.file(end, "rigb/" + name).split()]


def interrupts(name):
    """What /proc/interrupts says of each vector of a device that is up, by its number; the last one is for the rest."""
    found = {}
    for line in kernel.read("/proc/interrupts").splitlines():
        words = line.split()
        if words[-1].startswith(name):
            found[words[-1]] = sum(int(word) for word in itertools.takewhile(str.isdigit, words[1:]))
    return [found.get("%s-%d" % (name, n), 0) for n in range(16)], found.get(name, 0)


@ktap.case(limit=200)
def files():
    """What vectors do, in sysfs: as the kernel counts interrupts, as its tracepoint counts polls, and kept."""
    pair = port.Pair("rigb-igb", up=False)
    before = interrupts(port.NAMES[0])
    ktap.equal("interrupts before it was up", (sum(before[0]), before[1]), (0, 0))
    kernel.need_module("rsoftnet")
    with pair.side(0):
        rsoftnet.put("filter/device", port.NAMES[0])
    rsoftnet.put("stage/poll_device/enable", 1)
    pair.up()
    pair.ping(count=50)
    rsoftnet.put("stage/poll_device/enable", 0)
    polls, counted = vectors(pair, "polls"), rsoftnet.stage("poll_device")
    # A poll of a softirq that was running when it was enabled, or is when it is disabled.
    ktap.check(abs(sum(polls) - counted) <= 2, "polls %s, by the tracepoint %d" % (polls, counted))
    ktap.check(counted > 50, "only %d polls" % counted)

    def same():
        ours = vectors(pair, "interrupts"), vectors(pair, "other_interrupts")[0]
        return ours == interrupts(port.NAMES[0])
    ktap.wait_for("the same interrupts as in /proc/interrupts", same, 5)
    ktap.check(sum(vectors(pair, "interrupts")) > 50, "no interrupts")
    pair.run(0, "ethtool -C %s adaptive-rx off rx-usecs 40")
    online = os.cpu_count()
    ktap.equal("interval_us", vectors(pair, "interval_us")[:online], [40] * online)
    pair.run(0, "ethtool -C %s rx-usecs 0")
    ktap.equal("interval_us", vectors(pair, "interval_us"), [0] * 16)
    pair.run(0, "ip link set dev %s down")
    last = vectors(pair, "interrupts")
    pair.run(0, "ethtool -G %s rx 512")
    ktap.equal("interrupts while down", vectors(pair, "interrupts"), last)
    ktap.equal("recoveries", vectors(pair, "recoveries"), [0])
    rsoftnet.quiet()


if __name__ == "__main__":
    sys.exit(port.main())
