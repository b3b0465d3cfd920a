#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Takeover switched under traffic, by one and by many: nothing is lost, doubled or reordered."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import time

import kernel
import ktap
import net


def toggle(env, count):
    """Switches that often, reading back each time."""
    for i in range(count):
        env.active((i + 1) % 2)
        ktap.equal("active", env.rlo("active"), (i + 1) % 2)


def carry(env, count):
    """Takes over and lets that many packets pass."""
    end = env.rlo("packets") + count
    env.active(1)
    ktap.wait_for("%d packets have passed" % count, lambda: env.rlo("packets") >= end, 20)


def place(where):
    """The first namespace or a new one, with rlo loaded and not active."""
    if where == "init_net":
        kernel.need_module("rlo")
        net.set_up("lo")
        env = net.init_net()
        env.active(0)
        return env
    return net.enter("lo")


@ktap.case(("init_net", "namespace"))
def under_traffic(where):
    """100 switches under TCP both ways and UDP, IPv4 and IPv6."""
    env = place(where)
    before, stats, packets = env.counts(), net.flat_stats(), net.ip_packets()
    traffic = net.Traffic()
    toggle(env, 100)
    ktap.check(traffic.alive(), "the traffic ended early")
    carry(env, 3000)
    sent = traffic.stop()
    net.check_nothing_lost(packets)
    env.active(0)
    grown, link = net.delta(before, env.counts()), net.delta(stats, net.flat_stats())
    ktap.check(0 < grown["packets"] < link["tx.packets"],
               "rlo carried some packets, not none or all: %r of %r" % (grown, link))
    ktap.check(link["tx.packets"] >= sent["datagrams"], "lo counted %r of %r" % (link, sent))
    ktap.equal("received and sent", link["rx.packets"], link["tx.packets"])
    ktap.equal("dropped", grown.get("dropped", 0), 0)


@ktap.case()
def exact_count():
    """UDP only: after 100 switches lo has counted every packet, once."""
    env = net.enter("lo")
    before, packets = net.flat_stats(), net.ip_packets()
    traffic = net.Traffic(tcp=False)
    toggle(env, 100)
    carry(env, 2000)
    sent = traffic.stop()
    net.check_nothing_lost(packets)
    env.active(0)
    link = net.delta(before, net.flat_stats())
    ktap.equal("lo's packets", link["tx.packets"], sent["datagrams"])
    ktap.check(0 < env.rlo("packets") < sent["datagrams"], "rlo carried %d of %d" % (env.rlo("packets"), sent["datagrams"]))


@ktap.case()
def steered():
    """The same with packets steered to the other CPU."""
    cpus = net.cpus()
    if len(cpus) < 2:
        raise ktap.Skip("one CPU")
    env = net.enter("lo")
    kernel.write(env.lo + "/queues/rx-0/rps_cpus", "%x" % (1 << cpus[1]))
    packets = net.ip_packets()
    traffic = net.Traffic(cpu=cpus[0])
    toggle(env, 50)
    traffic.stop()
    net.check_nothing_lost(packets)


@ktap.case()
def by_many():
    """Four processes switch at random; every write succeeds, and the state is what was written last."""
    env = net.enter("lo")
    packets = net.ip_packets()
    traffic = net.Traffic()
    pids = []
    for n in range(4):
        pid = os.fork()
        if pid == 0:
            os._exit(ktap.run(lambda: [env.active((i + n) % 2) for i in range(40)])[0])
        pids.append(pid)
    ktap.equal("writers", [os.waitpid(pid, 0)[1] for pid in pids], [0] * 4)
    traffic.stop()
    net.check_nothing_lost(packets)
    for value in (1, 1, 0, 0, 1):
        env.active(value)
        ktap.equal("active", env.rlo("active"), value)
        before = env.rlo("packets")
        net.send_udp(net.udp_pair("127.0.0.1"), 10, 100)
        ktap.equal("packets while active is %d" % value, env.rlo("packets") - before, 10 * value)


@ktap.case()
def statistics_grow():
    """lo's statistics never go back while it is switched."""
    env = net.enter("lo")
    traffic = net.Traffic(tcp=False)
    last = dict.fromkeys(("rx_packets", "tx_packets", "rx_bytes", "tx_bytes"), 0)
    rlo = 0
    for i in range(60):
        env.active(i % 2)
        for name, value in last.items():
            last[name] = kernel.number("%s/statistics/%s" % (env.lo, name))
            ktap.check(last[name] >= value, "%s went from %d to %d" % (name, value, last[name]))
        now = env.rlo("packets")
        ktap.check(now >= rlo, "rlo's packets went from %d to %d" % (rlo, now))
        rlo = now
    traffic.stop()


@ktap.case()
def connections_live_on():
    """A connection made before lo was taken over goes on during and after it."""
    env = net.enter("lo")
    ends = [net.tcp_pair(a) for a in ("127.0.0.1", "::1")]
    for value in (0, 1, 0, 1):
        env.active(value)
        for one, two in ends:
            for source, sink in ((one, two), (two, one)):
                data = os.urandom(50000)
                source.sendall(data)
                ktap.check(net.read_exactly(sink, len(data)) == data, "other bytes came")


@ktap.case(limit=90)
def rmmod_under_traffic():
    """The module leaves while lo is taken over, in two namespaces and under traffic; nothing is lost."""
    env = net.enter("lo")
    first = net.init_net()
    net.restore_defaults()
    ktap.wait_for("nobody uses the module", lambda: kernel.refcnt("rlo") == 0, 20)
    packets = net.ip_packets()
    traffic = net.Traffic()
    for _ in range(5):
        env.active(1)
        # This process has left the first namespace, but not its sysfs.
        first.active(1)
        before = env.rlo("packets")
        ktap.wait_for("packets go through rlo", lambda b=before: env.rlo("packets") > b + 20)
        kernel.rmmod("rlo")
        ktap.check(not kernel.loaded("rlo"), "rlo is still there")
        for path in (env.lo, first.lo, "/sys/kernel"):
            ktap.check(not os.path.exists(path + "/rlo"), path + "/rlo is still there")
        time.sleep(0.05)
        kernel.insmod("rlo")
        ktap.equal("active after loading", env.rlo("active"), 0)
        ktap.equal("packets after loading", env.rlo("packets"), 0)
    ktap.check(traffic.alive(), "the traffic ended early")
    traffic.stop()
    net.check_nothing_lost(packets)


@ktap.finally_
def restore():
    """As before."""
    if kernel.loaded("rlo"):
        net.init_net().active(0)
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(net.main())
