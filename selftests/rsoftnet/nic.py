#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Packets through a NIC, two ports on one wire: igb without rigb, and rigb; against the devices' own counters."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import json
import time

import kernel
import ktap
import net
import port
import rsoftnet
import tools

COUNT = 200
PAIRS = ("igb-igb", "rigb-igb", "igb-rigb")


def need():
    """Two ports; rigb only where it is used."""
    kernel.need_module("rsoftnet")
    rsoftnet.quiet()
    if len(port.devices()) < 2:
        raise ktap.Skip("no two ports of an 82576 (8086:10c9)")
    if not os.path.exists(port.PCI + "/drivers/igb"):
        tools.attempt("modprobe igb")


def pair(drivers):
    """The two ends; nothing is looked at yet."""
    rsoftnet.quiet()
    if "rigb" in drivers:
        kernel.need_module("rigb")
    ends = port.Pair(drivers)
    ends.ping()
    return ends


def only(ends, end):
    """Only this end's packets are looked at."""
    with ends.side(end):
        rsoftnet.put("filter/device", port.NAMES[end])
    rsoftnet.put("reset", 1)


def exchange(ends, count, size=300):
    """From one end to the other, one after the other."""
    sockets = ends.udp()
    net.send_udp(sockets, count, size, window=4)
    time.sleep(0.3 * ktap.SLOW)


@ktap.case(PAIRS)
def sent(drivers):
    """What leaves by a port: N given to the driver, none handed to the backlog, as the port counts."""
    ends = pair(drivers)
    only(ends, 0)
    before = ends.statistics(0)
    rsoftnet.put("stage/enable", 1)
    exchange(ends, COUNT)
    rsoftnet.put("stage/enable", 0)
    grown = net.delta(before, ends.statistics(0))
    seen = rsoftnet.Snapshot()
    ktap.check(grown["tx_packets"] >= COUNT, "the port has sent %d" % grown["tx_packets"])
    ktap.check(COUNT <= seen.count("xmit") <= grown["tx_packets"], "xmit %d, the port %d" % (seen.count("xmit"), grown["tx_packets"]))
    ktap.equal("netif_rx", seen.count("netif_rx"), 0)
    # rigb frees right after the doorbell what the device has sent by then, so that it need not be polled.
    ktap.check(seen.count("poll_device") > 0 or drivers.startswith("rigb"), "the port was not polled")
    ends.close()


@ktap.case(PAIRS)
def received(drivers):
    """What comes in by a port: N delivered, polled as work, on the CPUs that softnet_stat says; by igb and by rigb."""
    ends = pair(drivers)
    only(ends, 1)
    before, processed = ends.statistics(1), net.softnet()
    rsoftnet.put("stage/enable", 1)
    exchange(ends, COUNT)
    rsoftnet.put("stage/enable", 0)
    grown, after = net.delta(before, ends.statistics(1)), net.softnet()
    seen = rsoftnet.Snapshot()
    ktap.check(grown["rx_packets"] >= COUNT, "the port has received %d" % grown["rx_packets"])
    # GRO does not join UDP that nobody has asked it to.
    ktap.check(COUNT <= seen.count("deliver") <= grown["rx_packets"],
               "deliver %d, the port %d" % (seen.count("deliver"), grown["rx_packets"]))
    ktap.check(seen.count("poll_device", what="work") >= COUNT, "polled: %r" % seen.stages["poll_device"]["all"])
    ktap.equal("netif_rx", seen.count("netif_rx"), 0)
    for cpu, more in net.softnet_delta(processed, after, 1).items():
        ktap.check(seen.count("deliver", "cpu%d" % cpu) <= more, "CPU %d has processed %d" % (cpu, more))
    ends.close()


@ktap.case(("igb-igb", "igb-rigb"))
def steered(drivers):
    """Steered by RPS to one CPU: the stage enqueue has them, netif_rx does not; delivered on that CPU."""
    cpus = net.cpus()
    if len(cpus) < 2:
        raise ktap.Skip("one CPU")
    ends = pair(drivers)
    only(ends, 1)
    with ends.side(1):
        net.mount_sys()
        for queue in os.listdir("%s/class/net/%s/queues" % (net.SYS, port.NAMES[1])):
            if queue.startswith("rx-"):
                kernel.write("%s/class/net/%s/queues/%s/rps_cpus" % (net.SYS, port.NAMES[1], queue), "%x" % (1 << cpus[1]))
    before = ends.statistics(1)
    rsoftnet.function("stage/enqueue/enable")
    rsoftnet.put("stage/enable", 1)
    exchange(ends, COUNT)
    rsoftnet.put("stage/enable", 0)
    grown, seen = net.delta(before, ends.statistics(1)), rsoftnet.Snapshot()
    others = seen.count("deliver") - seen.count("deliver", "cpu%d" % cpus[1])
    ktap.check(COUNT <= seen.count("deliver", "cpu%d" % cpus[1]), "delivered there: %d" % seen.count("deliver"))
    # Packets with no flow (ARP) are not steered.
    ktap.check(others <= grown["rx_packets"] - COUNT, "delivered elsewhere: %d" % others)
    to = [count for (_, target), count in seen.targets["enqueue"].items() if target == cpus[1]]
    ktap.check(COUNT <= sum(to) <= grown["rx_packets"], "enqueued: %r" % seen.targets)
    ktap.equal("netif_rx", seen.count("netif_rx"), 0)
    ends.close()


@ktap.case(PAIRS)
def contexts(drivers):
    """Packets of a NIC are received where an interrupt ends, or in ksoftirqd."""
    ends = pair(drivers)
    rsoftnet.function("stage/softirq_context/enable")
    time.sleep(0.2)
    rsoftnet.put("stage/softirq_context/reset", 1)
    exchange(ends, 50)
    ktap.check(rsoftnet.stage("softirq_context", what="irq_exit") > 0, "no softirq at the end of an interrupt")
    ends.close()


@ktap.case(PAIRS)
def walk(drivers):
    """The viewer: out through the port, and the answer back in."""
    path = os.path.join(os.environ.get("RNET_MODULES") or "/nonexistent", "rsoftnet")
    if not os.path.exists(path):
        raise ktap.Skip("the viewer is not built (make tools)")
    ends = pair(drivers)
    before = ends.statistics(0)
    for end, address in enumerate((port.V4[1], port.V6[0])):
        with ends.side(end):
            seen = json.loads(tools.run([path, "walk", "--json", address, "--timeout", "10"]))
        ktap.equal("path", (seen["path"], seen["device"], seen["arrived"]), ("device", port.NAMES[end], True))
        who = lambda *names, seen=seen: [step["stage"] for step in seen["steps"] if step["who"] in names]
        ktap.equal("the packet", who("packet")[0], "xmit")
        ktap.check("deliver" in who("answer") and "netif_rx" not in who("packet", "answer"), "%r" % seen["steps"])
        ktap.check("poll_device" in who("cpu") and "wakeup" in who("socket"), "%r" % seen["steps"])
    grown = net.delta(before, ends.statistics(0))
    ktap.check(grown["tx_packets"] >= 2 and grown["rx_packets"] >= 2, "the port: %r" % grown)
    ends.close()


@ktap.case(("igb-igb", "rigb-igb"))
def vanishes(drivers):
    """The device that is looked at leaves its driver under traffic: the filter says so, nothing is counted."""
    ends = pair(drivers)
    only(ends, 0)
    rsoftnet.put("enable", 1)
    sender, _ = ends.udp()
    for i in range(50):
        sender.send(net.datagram(i, 100))
    ends.close()
    port.unbind(ends.devices[0])
    ktap.equal("the filter", kernel.read(rsoftnet.path("filter/device")), "(gone)")
    rsoftnet.put("reset", 1)
    port.bind(ends.devices[0], drivers.split("-", maxsplit=1)[0])
    net.send_udp(net.udp_pair("127.0.0.1"), 20, 100)
    ktap.equal("xmit", rsoftnet.stage("xmit"), 0)


ktap.finally_(rsoftnet.quiet)
if __name__ == "__main__":
    sys.exit(ktap.main(need))
