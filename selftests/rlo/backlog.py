#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The backlog: full, it drops, and who counts that; steered to another CPU (RPS).

To fill it for certain, a plug (a queue discipline) holds packets on lo and lets
them go all at once: a CPU that is transmitting does not receive, so the
packets that netdev_max_backlog does not admit are dropped.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import re
import subprocess
import time

import kernel
import ktap
import net

MAX_BACKLOG = "/proc/sys/net/core/netdev_max_backlog"
KFREE_SKB = "/sys/kernel/tracing/events/skb/kfree_skb"


class Reasons:
    """Counts freed packets by reason: a histogram of the tracepoint kfree_skb."""

    def __init__(self):
        if not os.path.exists(KFREE_SKB + "/hist"):
            raise ktap.Skip("no histograms of tracepoints in this kernel")
        self.names = {int(number): name for number, name in
                      re.findall(r'\{ (\d+), "(\w+)" \}', kernel.read(KFREE_SKB + "/format"))}

    def __enter__(self):
        kernel.write(KFREE_SKB + "/trigger", "hist:keys=reason")
        return self

    def __exit__(self, *_):
        kernel.write(KFREE_SKB + "/trigger", "!hist:keys=reason")

    def count(self, name):
        """How often a packet was freed for that reason."""
        for reason, hits in re.findall(r"\{ reason: +(\d+) \} hitcount: +(\d+)", kernel.read(KFREE_SKB + "/hist")):
            if self.names.get(int(reason)) == name:
                return int(hits)
        return 0


class MaxBacklog:
    """Sets net.core.netdev_max_backlog, which only the first namespace can."""

    def __init__(self, value):
        self.value = value

    def __enter__(self):
        self.old = kernel.read(MAX_BACKLOG)
        kernel.write(MAX_BACKLOG, str(self.value))

    def __exit__(self, *_):
        kernel.write(MAX_BACKLOG, self.old)


def plug(action=""):
    """Plugs lo up, or lets everything through."""
    verb = "change" if action else "add"
    done = subprocess.run(("tc qdisc %s dev lo root plug %s" % (verb, action)).split(),
                          capture_output=True, text=True, check=False)
    if done.returncode and not action:
        raise ktap.Skip("no plug: " + done.stderr.strip())
    ktap.equal("tc", done.returncode, 0)


def burst(env, address, count, size):
    """Sends packets that reach the backlog at once; what the counters say of it."""
    sender, receiver = net.udp_pair(address)
    net.pin(net.cpus()[0])
    plug()
    plug("block")
    for i in range(count):
        sender.send(net.datagram(i, size))
    receiver.settimeout(0)
    ktap.fails("EAGAIN", "receiving while plugged", receiver.recv, 1)
    before = net.flat_stats(), env.counts(), net.softnet()
    with Reasons() as reasons:
        plug("release_indefinite")
        seqs = []
        receiver.settimeout(1)
        try:
            while True:
                data = receiver.recv(70000)
                seqs.append(int.from_bytes(data[4:8], "big"))
                net.check_datagram(data, seqs[-1], size)
        except TimeoutError:
            pass
        dropped = reasons.count("CPU_BACKLOG")
    after = net.flat_stats(), env.counts(), net.softnet()
    return {
        "delivered": seqs, "reason": dropped,
        "link": net.delta(before[0], after[0]), "rlo": net.delta(before[1], after[1]),
        "softnet": sum(net.softnet_delta(before[2], after[2], 2).values()),
        "processed": sum(net.softnet_delta(before[2], after[2], 1).values()),
    }


@ktap.case(net.LANES)
def overflow(lane):
    """Sent = delivered + dropped, and everybody who counts agrees."""
    for address, header in (("127.0.0.1", 28), ("::1", 48)):
        with MaxBacklog(10):
            seen = ktap.value_of(lambda: burst(net.enter(lane), address, 50, 200))
        delivered, length = len(seen["delivered"]), 200 + header
        ktap.check(0 < delivered < 50, "%d of 50 were delivered: the backlog did not overflow" % delivered)
        ktap.equal("delivered, in order", seen["delivered"], sorted(set(seen["delivered"])))
        dropped = 50 - delivered
        ktap.equal("dropped in softnet_stat", seen["softnet"], dropped)
        ktap.equal("packets freed because of CPU_BACKLOG", seen["reason"], dropped)
        # The core counts the rest as dropped by the receiver, on the kernel's lo as well.
        ktap.equal("lo's counters: only what was accepted", seen["link"],
                   {"tx.packets": delivered, "rx.packets": delivered, "rx.dropped": dropped,
                    "tx.bytes": delivered * length, "rx.bytes": delivered * length})
        want = {"packets": 50, "bytes": 50 * length, "accepted": delivered, "dropped": dropped}
        ktap.equal("rlo's counters", seen["rlo"], {} if lane == "lo" else want)
        # The limit admits one more than it says.
        ktap.equal("delivered at a limit of 10", delivered, 11)


@ktap.case(net.LANES)
def no_overflow(lane):
    """The same burst within the limit: all of it is delivered."""
    with MaxBacklog(1000):
        seen = ktap.value_of(lambda: burst(net.enter(lane), "127.0.0.1", 50, 200))
    ktap.equal("delivered", seen["delivered"], list(range(50)))
    ktap.equal("dropped", (seen["softnet"], seen["reason"], seen["rlo"].get("dropped", 0)), (0, 0, 0))
    ktap.check(seen["processed"] >= 50, "softnet_stat counted %d" % seen["processed"])


@ktap.case(net.LANES)
def tcp_overflow(lane):
    """TCP gets everything through a backlog that drops."""
    with MaxBacklog(1):
        def body(env):
            mask = 1 << net.cpus()[-1]
            kernel.write(env.lo + "/queues/rx-0/rps_cpus", "%x" % mask)
            net.set_mtu("lo", 1500)
            subprocess.run(["ethtool", "-K", "lo", "tso", "off", "gso", "off"], check=True, capture_output=True)
            net.pin(net.cpus()[0])
            one, two = net.tcp_pair("127.0.0.1")
            data = os.urandom(200000)
            pid = os.fork()
            if pid == 0:
                one.sendall(data)
                os._exit(0)
            two.settimeout(40)
            got = net.read_exactly(two, len(data))
            os.waitpid(pid, 0)
            ktap.check(got == data, "other bytes came")
            return env.counts()
        rlo = net.in_lane(lane, body)
    ktap.equal("rlo's sum", rlo["accepted"] + rlo["dropped"], rlo["packets"])


@ktap.case(net.LANES)
def rps(lane):
    """Steered to another CPU, packets are processed there and arrive whole."""
    cpus = net.cpus()
    if len(cpus) < 2:
        raise ktap.Skip("one CPU")
    env = net.enter(lane)
    for source, target in ((cpus[0], cpus[1]), (cpus[1], cpus[0])):
        kernel.write(env.lo + "/queues/rx-0/rps_cpus", "%x" % (1 << target))
        net.pin(source)
        for address in ("127.0.0.1", "::1"):
            pair = net.udp_pair(address)
            net.send_udp(pair, 10, 100)
            before, rlo = net.softnet(), env.counts()
            net.send_udp(pair, 300, 1000)
            time.sleep(0.05)
            after = net.softnet()
            processed = net.softnet_delta(before, after, 1)
            ktap.check(300 <= processed[target] <= 320, "CPU %d processed %d of 300" % (target, processed[target]))
            ktap.check(processed[source] <= 20, "CPU %d, which sent, processed %d" % (source, processed[source]))
            ktap.check(net.softnet_delta(before, after, 10)[target] > 0, "received_rps did not move on CPU %d" % target)
            ktap.equal("received_rps on the sender's CPU", net.softnet_delta(before, after, 10)[source], 0)
            if env.is_rlo:
                ktap.equal("rlo's accepted packets", net.delta(rlo, env.counts())["accepted"], 300)
        one, two = net.tcp_pair("127.0.0.1")
        data = os.urandom(1 << 20)
        pid = os.fork()
        if pid == 0:
            one.sendall(data)
            os._exit(0)
        ktap.check(net.read_exactly(two, len(data)) == data, "TCP: other bytes came")
        os.waitpid(pid, 0)
    kernel.write(env.lo + "/queues/rx-0/rps_cpus", "0")


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
