#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A full backlog is counted where drops of a backlog are counted, and nowhere else (backlog.py has the totals)."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import contextlib

import kernel
import ktap
import net
import softnet

V4_V6 = ("127.0.0.1", "::1")
LIMIT, COUNT, SIZE = 10, 50, 200
# What IP and UDP count of packets that came.
CAME = {"Ip:InReceives", "Ip:InDelivers", "Ip6InReceives", "Ip6InDelivers", "Udp:InDatagrams", "Udp6InDatagrams",
        "IpExt:InNoECTPkts", "Ip6InNoECTPkts"}
OCTETS = {"IpExt:InOctets", "Ip6InOctets", "IpExt:OutOctets", "Ip6OutOctets"}


def protocols():
    """Every counter of /proc/net/snmp, netstat and snmp6."""
    found = {}
    for name in ("snmp", "netstat"):
        lines = kernel.read("/proc/net/" + name).splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            prefix = names.split()[0]
            found.update({prefix + key: int(value) for key, value in zip(names.split()[1:], values.split()[1:])})
    found.update({key: int(value) for key, value in (line.split() for line in kernel.read("/proc/net/snmp6").splitlines())})
    return found


def proc_net_dev():
    """lo's line of /proc/net/dev."""
    names = "bytes packets errors dropped fifo frame compressed multicast".split()
    tx_names = "bytes packets errors dropped fifo collisions carrier compressed".split()
    line = [l for l in kernel.read("/proc/net/dev").splitlines() if l.split(":")[0].strip() == "lo"][0]
    values = [int(word) for word in line.split(":")[1].split()]
    return dict(zip(["rx_" + n for n in names] + ["tx_" + n for n in tx_names], values))


def snapshot(env):
    """Everybody who counts."""
    files = env.lo + "/statistics/"
    found = {
        "link": net.ip("-s -s -j link show lo")[0]["stats64"], "dev": proc_net_dev(), "protocols": protocols(),
        "files": {name: kernel.number(files + name) for name in sorted(os.listdir(files))},
        "softnet": net.softnet(), "rlo": env.counts(),
        "cpus": {"%d %s" % (cpu, name): env.rlo("cpu%d/%s" % (cpu, name)) for cpu in net.cpus() for name in ("accepted", "dropped")},
    }
    found["link"] = {"%s.%s" % (way, key): value for way, keys in found["link"].items() for key, value in keys.items()}
    return found


def burst(env, address, count=COUNT):
    """Sends packets that reach the backlog at once: how many came, and what every counter grew by."""
    sender, receiver = net.udp_pair(address)
    plug = softnet.Plug()
    for i in range(count):
        sender.send(net.datagram(i, SIZE))
    before = snapshot(env)
    plug.release()
    # A CPU that is steered to may go on for a while.
    total = lambda: (lambda s: s["rx.packets"] + s["rx.dropped"])(net.flat_stats())
    base = before["link"]["rx.packets"] + before["link"]["rx.dropped"]
    ktap.wait_for("all packets are accounted for", lambda: total() == base + count, 20)
    receiver.settimeout(0.3)
    seqs = []
    with contextlib.suppress(TimeoutError):
        while True:
            data = receiver.recv(SIZE + 1)
            seqs.append(int.from_bytes(data[4:8], "big"))
            net.check_datagram(data, seqs[-1], SIZE)
    after = snapshot(env)
    plug.remove()
    ktap.equal("packets that came", seqs, sorted(set(seqs)))
    ktap.check(0 < len(seqs) < count, "%d of %d came: the backlog did not overflow" % (len(seqs), count))
    grown = {key: net.delta(before[key], after[key]) for key in before if key != "softnet"}
    grown["softnet"] = {name: {cpu: n for cpu, n in net.softnet_delta(before["softnet"], after["softnet"], column).items() if n}
                        for name, column in (("dropped", softnet.DROPPED), ("flow limit", softnet.FLOW_LIMIT))}
    return len(seqs), grown


def check(env, address, came, grown, sent_on, dropped_on):
    """Fails unless all counters that have to count did, and no other did."""
    size = SIZE + (48 if ":" in address else 28)
    dropped = COUNT - came
    ktap.equal("ip -s -s link", grown["link"], {
        "tx.packets": came, "rx.packets": came, "tx.bytes": came * size, "rx.bytes": came * size, "rx.dropped": dropped})
    flat = {"tx_packets": came, "rx_packets": came, "tx_bytes": came * size, "rx_bytes": came * size, "rx_dropped": dropped}
    ktap.equal("/proc/net/dev", grown["dev"], flat)
    ktap.equal("files in statistics/", grown["files"], flat)
    ktap.equal("softnet_stat", grown["softnet"], {"dropped": {dropped_on: dropped}, "flow limit": {}})
    # Those that count what was sent did so before the plug was pulled.
    grew = {key: value for key, value in grown["protocols"].items() if key not in OCTETS}
    ktap.check(grew and set(grew) <= CAME and set(grew.values()) == {came}, "counters of protocols: %r, of %d" % (grew, came))
    rlo = {"packets": COUNT, "bytes": COUNT * size, "accepted": came, "dropped": dropped}
    ktap.equal("rlo's counters", grown["rlo"], rlo if env.is_rlo else {})
    ktap.equal("rlo's counters by CPU", grown["cpus"], {
        "%d accepted" % sent_on: came, "%d dropped" % sent_on: dropped} if env.is_rlo else {})


def other_namespace():
    """Counters of this (another) namespace's lo."""
    env = net.init_net()
    return net.flat_stats(), env.counts()


@ktap.case(net.LANES)
def here(lane):
    """On the CPU that sends; another namespace's lo counts nothing of it."""
    cpu = net.cpus()[0]

    def body(env):
        net.pin(cpu)
        for address in V4_V6:
            came, grown = burst(env, address)
            ktap.equal("packets that came at a limit of %d" % LIMIT, came, LIMIT + 1)
            check(env, address, came, grown, cpu, cpu)
    before = other_namespace()
    with softnet.Setting(softnet.MAX_BACKLOG, LIMIT, "CONFIG_SYSCTL"):
        net.in_lane(lane, body)
    ktap.equal("dropped in another namespace", [after.get(key, 0) - old.get(key, 0) for old, after, key in zip(
        before, other_namespace(), ("rx.dropped", "dropped"))], [0, 0])


@ktap.case(net.LANES)
def steered(lane):
    """With RPS the queue of the other CPU is full: softnet_stat counts there, rlo where it was sent."""
    if len(net.cpus()) < 2:
        raise ktap.Skip("one CPU")
    sends, receives = net.cpus()[:2]

    def body(env):
        net.pin(sends)
        path = env.lo + "/queues/rx-0/rps_cpus"
        if not os.path.exists(path):
            raise ktap.Skip("no CONFIG_RPS")
        kernel.write(path, "%x" % (1 << receives))
        for address in V4_V6:
            for _ in range(20):
                # The other CPU takes packets away meanwhile; where it took them all, again.
                try:
                    came, grown = burst(env, address)
                    break
                except ktap.Failure as failure:
                    if "did not overflow" not in str(failure):
                        raise
            else:
                raise ktap.Failure("20 bursts did not overflow a queue of 1")
            check(env, address, came, grown, sends, receives)
    with softnet.Setting(softnet.MAX_BACKLOG, 1, "CONFIG_SYSCTL"):
        net.in_lane(lane, body)


@ktap.case(net.LANES)
def receiver_full(lane):
    """The opposite: a receiver whose buffer is full drops, and UDP counts that; lo, rlo and the backlog count no drop."""
    env = net.enter(lane)
    net.pin(net.cpus()[0])
    for address in V4_V6:
        sender, _receiver = net.udp_pair(address, 4096)
        before = snapshot(env)
        for i in range(COUNT):
            sender.send(net.datagram(i, 1000))
        udp = "Udp6" if ":" in address else "Udp:"
        ktap.wait_for("all arrived", lambda b=before: net.flat_stats()["rx.packets"] == b["link"]["rx.packets"] + COUNT)
        after = snapshot(env)
        grown = {key: net.delta(before[key], after[key]) for key in before if key != "softnet"}
        lost = grown["protocols"].get(udp + "RcvbufErrors", 0)
        ktap.check(0 < lost < COUNT, "RcvbufErrors: %d" % lost)
        ktap.equal("InErrors", grown["protocols"][udp + "InErrors"], lost)
        ktap.check(not [key for key in list(grown["link"]) + list(grown["files"]) + list(grown["dev"]) if "drop" in key or "err" in key],
                   "lo counted %r" % grown["link"])
        ktap.equal("dropped by rlo", grown["rlo"].get("dropped", 0), 0)
        ktap.equal("dropped in softnet_stat", sum(net.softnet_delta(before["softnet"], after["softnet"], softnet.DROPPED).values()), 0)


@ktap.case(("takeover",))
def given_back(lane):
    """Drops before, while and after rlo transmits: lo counts all, rlo those of its time."""
    cpu = net.cpus()[0]

    def body(env):
        net.pin(cpu)
        for value in (0, 1, 0):
            env.active(value)
            env.is_rlo = bool(value)
            came, grown = burst(env, "127.0.0.1")
            check(env, "127.0.0.1", came, grown, cpu, cpu)
    with softnet.Setting(softnet.MAX_BACKLOG, LIMIT, "CONFIG_SYSCTL"):
        net.in_lane(lane, body)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
