#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""N packets sent are N at each stage that they pass, and others who count say the same."""

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
import softnet

ADDRESSES = {"v4": "127.0.0.1", "v6": "::1"}
COUNT = 400


def two_cpus():
    """Two CPUs."""
    cpus = net.cpus()
    if len(cpus) < 2:
        raise ktap.Skip("one CPU")
    return cpus[:2]


def idle():
    """Lets what is still on its way arrive."""
    time.sleep(0.1 * ktap.SLOW)


def path_counts(cpu="all"):
    """What a packet over lo passes."""
    seen = rsoftnet.Snapshot()
    return {name: seen.count(name, cpu) for name in ("xmit", "netif_rx", "deliver")}


@ktap.case(ADDRESSES)
def exact(version):
    """UDP on one CPU: sent, handed to the backlog, delivered, woken up: N; the namespace and lo say so too."""
    rsoftnet.enter()
    net.pin(net.cpus()[0])
    pair = net.udp_pair(ADDRESSES[version])
    net.send_udp(pair, 5, 100)
    idle()
    rsoftnet.put("reset", 1)
    before, ip_before = net.flat_stats(), net.ip_packets()
    rsoftnet.put("stage/enable", 1)
    net.send_udp(pair, COUNT, 100, window=1)
    idle()
    rsoftnet.put("stage/enable", 0)
    ip_now, key = net.ip_packets(), "in" if version == "v4" else "in6"
    ktap.equal("xmit, netif_rx, deliver", path_counts(), {"xmit": COUNT, "netif_rx": COUNT, "deliver": COUNT})
    ktap.equal("wakeup", rsoftnet.stage("wakeup"), COUNT)
    ktap.equal("drop", rsoftnet.stage("drop"), 0)
    link = net.delta(before, net.flat_stats())
    ktap.equal("ip -s link", (link["tx.packets"], link["rx.packets"]), (COUNT, COUNT))
    ktap.equal("IP's own count", ip_now[key] - ip_before[key], COUNT)


@ktap.case(ADDRESSES)
def tcp(version):
    """TCP: what lo counts is what passes, on both CPUs together."""
    rsoftnet.enter()
    before = net.flat_stats()
    rsoftnet.put("stage/enable", 1)
    one, other = net.tcp_pair(ADDRESSES[version])
    for _ in range(20):
        one.sendall(b"x" * 100000)
        ktap.equal("bytes", len(net.read_exactly(other, 100000)), 100000)
    one.close()
    other.close()
    idle()
    sent = net.delta(before, net.flat_stats())["tx.packets"]
    ktap.equal("xmit, netif_rx, deliver", path_counts(), {"xmit": sent, "netif_rx": sent, "deliver": sent})


@ktap.case(ADDRESSES)
def rps(version):
    """Steered: handed over on one CPU, delivered on the other; IPIs are what softnet_stat says, in the right place."""
    here, there = two_cpus()
    lo = rsoftnet.enter()
    kernel.write(lo + "/queues/rx-0/rps_cpus", "%x" % (1 << there))
    net.pin(here)
    pair = net.udp_pair(ADDRESSES[version])
    net.send_udp(pair, 5, 100)
    idle()
    rsoftnet.put("reset", 1)
    before = net.softnet()
    rsoftnet.put("stage/enable", 1)
    net.send_udp(pair, COUNT, 100, window=4)
    idle()
    after = net.softnet()
    seen = rsoftnet.Snapshot()
    where = {name: (seen.count(name, "cpu%d" % here), seen.count(name, "cpu%d" % there))
             for name in ("xmit", "netif_rx", "deliver")}
    ktap.equal("by CPU", where, {"xmit": (COUNT, 0), "netif_rx": (COUNT, 0), "deliver": (0, COUNT)})
    woken = net.softnet_delta(before, after, softnet.RECEIVED_RPS)
    ktap.check(woken[there] > 0, "no IPI was sent")
    ktap.equal("IPIs, by source and target", seen.targets.get("rps_ipi"), {(here, there): woken[there]})
    ktap.equal("rps_ipi", seen.count("rps_ipi"), sum(woken.values()))


@ktap.case(limit=120)
def eight_flows():
    """Eight senders on two CPUs: their sum, exactly."""
    cpus = two_cpus()
    rsoftnet.enter()
    rsoftnet.put("stage/enable", 1)
    before = net.flat_stats()

    def flow(cpu, address):
        net.pin(cpu)
        net.send_udp(net.udp_pair(address), COUNT, 200)
    pids = []
    for i in range(8):
        pid = os.fork()
        if pid == 0:
            status, text, _ = ktap.run(flow, cpus[i % 2], list(ADDRESSES.values())[i // 2 % 2])
            if text:
                ktap.note(text)
            os._exit(status)
        pids.append(pid)
    ktap.equal("flows", [os.waitpid(pid, 0)[1] for pid in pids], [0] * 8)
    idle()
    ktap.equal("lo", net.delta(before, net.flat_stats())["tx.packets"], 8 * COUNT)
    ktap.equal("xmit, netif_rx, deliver", path_counts(),
               {"xmit": 8 * COUNT, "netif_rx": 8 * COUNT, "deliver": 8 * COUNT})
    for cpu in cpus:
        ktap.check(rsoftnet.stage("xmit", cpu) > 0, "nothing was sent on CPU %d" % cpu)


@ktap.case()
def high_water():
    """So many packets at once in the queues as were let go at once."""
    rsoftnet.enter(filtered=False)
    cpu = net.cpus()[0]
    net.pin(cpu)
    sender, _ = net.udp_pair("127.0.0.1")
    marks = lambda of: tuple(rsoftnet.number("backlog", of, name) for name in ("input_high", "process_high"))
    plug = softnet.Plug()
    rsoftnet.put("backlog/enable", 1)
    for count in (37, 120, 5):
        plug.block()
        for i in range(count):
            sender.send(net.datagram(i, 100))
        rsoftnet.put("backlog/reset", 1)
        ktap.equal("after the reset", marks("cpu%d" % cpu), (0, 0))
        plug.release()
        idle()
        ktap.equal("at once", marks("cpu%d" % cpu), (count, count))
    ktap.equal("of all CPUs", marks("."), (5, 5))
    row = rsoftnet.Snapshot().backlog[cpu]
    ktap.equal("in the snapshot", (row["input_high"], row["process_high"]), (5, 5))
    rsoftnet.put("backlog/enable", 0)
    net.send_udp(net.udp_pair("127.0.0.1"), 50, 100, window=50)
    ktap.equal("when it is off", marks("cpu%d" % cpu), (5, 5))


def burst(address):
    """50 packets that reach the backlog at once: how many were delivered."""
    rsoftnet.enter(filtered=False)
    # A packet that is dropped in the backlog has no socket: only its device says whose it is.
    rsoftnet.put("filter/device", "lo")
    cpu = net.cpus()[0]
    net.pin(cpu)
    sender, receiver = net.udp_pair(address)
    plug = softnet.Plug()
    plug.block()
    for i in range(50):
        sender.send(net.datagram(i, 100))
    rsoftnet.put("stage/enable", 1)
    before = net.softnet()
    plug.release()
    idle()
    dropped = net.softnet_delta(before, net.softnet(), softnet.DROPPED)
    receiver.settimeout(0)
    delivered = 0
    while not ktap.error_of(receiver.recv, 1000):
        delivered += 1
    ktap.equal("delivered at a limit of 10", delivered, 11)
    ktap.equal("xmit, netif_rx, deliver", path_counts(), {"xmit": 50, "netif_rx": 50, "deliver": 11})
    ktap.equal("reasons", rsoftnet.Snapshot().reasons, {"CPU_BACKLOG": 39})
    ktap.equal("drop on this CPU", rsoftnet.stage("drop", cpu), 39)
    ktap.equal("softnet_stat", dropped[cpu], 39)


@ktap.case(ADDRESSES)
def overflow(version):
    """A full backlog: handed over = delivered + dropped, and the drops have the reason and the CPU."""
    with softnet.Setting(softnet.MAX_BACKLOG, 10, "CONFIG_NET"):
        ktap.value_of(burst, ADDRESSES[version])


@ktap.case(ADDRESSES)
def no_socket(version):
    """Packets to a closed port: the reason, and UDP's own count."""
    rsoftnet.enter(filtered=False)
    rsoftnet.put("filter/device", "lo")
    _, probe = net.udp_pair(ADDRESSES[version])
    port = probe.getsockname()[1]
    probe.close()
    rsoftnet.put("stage/drop/enable", 1)
    sender = socket.socket(net.family(ADDRESSES[version]), socket.SOCK_DGRAM)
    for _ in range(30):
        sender.sendto(b"x", (ADDRESSES[version], port))
    idle()
    reasons = rsoftnet.Snapshot().reasons
    ktap.equal("NO_SOCKET", reasons.get("NO_SOCKET"), 30)
    text = kernel.read("/proc/net/snmp6" if version == "v6" else "/proc/net/snmp")
    if version == "v6":
        counted = dict(line.split() for line in text.splitlines())["Udp6NoPorts"]
    else:
        rows = [line.split() for line in text.splitlines() if line.startswith("Udp:")]
        counted = dict(zip(*rows))["NoPorts"]
    ktap.equal("NoPorts", int(counted), 30)


@ktap.case()
def softirqs():
    """Entries of the softirq are what /proc/softirqs says, by CPU."""
    rsoftnet.enter(filtered=False)

    def still():
        """Both, read while neither changes."""
        for _ in range(200):
            first = rsoftnet.softirqs()
            seen = rsoftnet.Snapshot()
            if rsoftnet.softirqs() == first:
                return first, seen
            time.sleep(0.01)
        raise ktap.Skip("the machine is never quiet")
    rsoftnet.put("stage/enable", 1)
    before, seen_before = still()
    for cpu in net.cpus():
        net.pin(cpu)
        net.send_udp(net.udp_pair("127.0.0.1"), 100, 100)
    idle()
    after, seen = still()
    for cpu in net.cpus():
        name = "cpu%d" % cpu
        grown = after[cpu] - before[cpu]
        ktap.check(grown > 0, "no softirq on CPU %d" % cpu)
        for stage in ("softirq_entry", "softirq_exit"):
            ktap.equal("%s on CPU %d" % (stage, cpu), seen.count(stage, name) - seen_before.count(stage, name), grown)


@ktap.case()
def backlog_files():
    """The files of the backlog are the columns of softnet_stat."""
    rsoftnet.enter(filtered=False)
    net.send_udp(net.udp_pair("127.0.0.1"), 100, 100)
    for _ in range(100):
        first = net.softnet()
        files = {cpu: [rsoftnet.number("backlog", "cpu%d" % cpu, name) for name in
                       ("processed", "dropped", "time_squeeze", "received_rps", "flow_limit_count", "input_qlen")]
                 for cpu in first}
        tails = {cpu: (rsoftnet.number("backlog", "cpu%d" % cpu, "enqueued"),
                       rsoftnet.number("backlog", "cpu%d" % cpu, "dequeued")) for cpu in first}
        if net.softnet() == first:
            break
    else:
        raise ktap.Skip("the machine is never quiet")
    for cpu, columns in first.items():
        ktap.equal("CPU %d" % cpu, files[cpu], [columns[n] for n in (1, 2, 3, 10, 11, 14)])
        ktap.equal("enqueued and dequeued on CPU %d" % cpu, *tails[cpu])
    ktap.equal("processed", rsoftnet.number("backlog/processed"), sum(c[1] for c in first.values()))


EVENTS = {"xmit": ("net/net_dev_start_xmit", "len", ""), "netif_rx": ("net/netif_rx", "len", ""),
          "deliver": ("net/netif_receive_skb", "len", ""), "softirq_raise": ("irq/softirq_raise", "vec", "vec==3"),
          "poll_backlog": ("napi/napi_poll", "work", ""), "wakeup": ("sock/sk_data_ready", "family", ""),
          "drop": ("skb/kfree_skb", "reason", "")}


@ktap.case(EVENTS)
def histograms(stage):
    """A stage counts as often as the kernel's own histogram of its tracepoint."""
    event, key, filter_ = EVENTS[stage]
    rsoftnet.enter(filtered=False)
    with rsoftnet.Hits(event, key, filter_) as hits:
        rsoftnet.put("stage/%s/enable" % stage, 1)
        base = hits.total()
        start = rsoftnet.stage(stage)
        for address in ADDRESSES.values():
            net.send_udp(net.udp_pair(address), 200, 100)
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
        idle()

        def same():
            return rsoftnet.stage(stage) - start == hits.total() - base
        ktap.wait_for("the counts agree", same, 3)
        ktap.check(rsoftnet.stage(stage) - start > 0, "nothing was counted")


ktap.finally_(rsoftnet.quiet)
if __name__ == "__main__":
    sys.exit(rsoftnet.main())
