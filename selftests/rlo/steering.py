#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Which CPU receives what is sent over lo (RPS, RFS), and the limit of one flow; every packet is accounted for."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import contextlib
import socket

import kernel
import ktap
import net
import softnet

V4_V6 = ("127.0.0.1", "::1")
SO_INCOMING_CPU = 49
FLOW_ENTRIES = "/proc/sys/net/core/rps_sock_flow_entries"
# How many times dev_weight packets a queue discipline lets go at once.
TX_BIAS = "/proc/sys/net/core/dev_weight_tx_bias"
FLOW_LIMIT_CPUS = "/proc/sys/net/core/flow_limit_cpu_bitmap"
# Packets of others that a CPU may process in between.
OTHERS = 20


def two_cpus():
    """Two CPUs."""
    cpus = net.cpus()
    if len(cpus) < 2:
        raise ktap.Skip("one CPU")
    return cpus[:2]


def steer(env, name, value):
    """Sets a file of the receive queue."""
    path = "%s/queues/rx-0/%s" % (env.lo, name)
    if not os.path.exists(path):
        raise ktap.Skip("no CONFIG_RPS")
    kernel.write(path, str(value))


def measure(env, count, function):
    """{name: {cpu: number}} of softnet_stat while a function sends; lo and rlo count exactly `count`."""
    before, link, rlo = net.softnet(), net.flat_stats(), env.counts()
    function()
    after = net.softnet()
    grown, want = net.delta(link, net.flat_stats()), {"packets": count, "accepted": count}
    ktap.equal("lo's packets", (grown["tx.packets"], grown["rx.packets"]), (count, count))
    ours = net.delta(rlo, env.counts())
    ktap.equal("rlo's packets", {k: v for k, v in ours.items() if k != "bytes"}, want if env.is_rlo else {})
    found = {name: net.softnet_delta(before, after, column) for name, column in (
        ("processed", softnet.PROCESSED), ("rps", softnet.RECEIVED_RPS), ("dropped", softnet.DROPPED))}
    ktap.equal("dropped", sum(found["dropped"].values()), 0)
    return found


def processed_on(found, target, count, steered):
    """Fails unless that CPU processed them, and was interrupted for it if they were steered there."""
    ktap.check(count <= found["processed"][target] <= count + OTHERS, "processed of %d for CPU %d: %r" % (count, target, found))
    for cpu in found["processed"]:
        if cpu != target:
            ktap.check(found["processed"][cpu] <= OTHERS, "CPU %d processed too: %r" % (cpu, found))
            ktap.equal("received_rps of CPU %d" % cpu, found["rps"][cpu], 0)
    ktap.check(bool(found["rps"][target]) == steered, "received_rps: %r" % found)


@ktap.case(net.LANES)
def rps(lane):
    """Not steered, packets are received where they are sent; steered, on the other CPU; then not any more."""
    here, there = two_cpus()
    env = net.enter(lane)
    net.pin(here)
    for address in V4_V6:
        pair = net.udp_pair(address)
        # Only a connected socket remembers its CPU.
        pair[1].connect(pair[0].getsockname())
        for mask, target in (("0", here), ("%x" % (1 << there), there), ("%x" % (1 << here), here), ("0", here)):
            steer(env, "rps_cpus", mask)
            net.send_udp(pair, 4, 100)
            found = measure(env, 200, lambda p=pair: net.send_udp(p, 200, 500))
            processed_on(found, target, 200, target != here)
            ktap.equal("SO_INCOMING_CPU", pair[1].getsockopt(socket.SOL_SOCKET, SO_INCOMING_CPU), target)


@ktap.case(net.LANES)
def rfs(lane):
    """Packets follow the CPU on which the program receives."""
    here, there = two_cpus()
    with softnet.Setting(FLOW_ENTRIES, 1024, "CONFIG_RPS"):
        def body(env):
            steer(env, "rps_flow_cnt", 1024)
            steer(env, "rps_cpus", "%x" % (1 << here | 1 << there))
            for address in V4_V6:
                # Connected, so that the flow is the socket's.
                sender, receiver = net.udp_pair(address)
                receiver.connect(sender.getsockname())
                for target in (there, here, there):
                    def send(count, receiving=target):
                        for i in range(count):
                            net.pin(here)
                            sender.send(net.datagram(i, 300))
                            net.pin(receiving)
                            net.check_datagram(receiver.recv(1000), i, 300)
                    send(20)
                    found = measure(env, 100, lambda: send(100))
                    processed_on(found, target, 100, target != here)
                    ktap.equal("SO_INCOMING_CPU", receiver.getsockopt(socket.SOL_SOCKET, SO_INCOMING_CPU), target)
            steer(env, "rps_flow_cnt", 0)
            steer(env, "rps_cpus", 0)
        net.in_lane(lane, body)


@ktap.case(net.LANES)
def flow_limit(lane):
    """In a backlog that is half full the large flow is cut, and counted as such; the small one gets through."""
    cpu = net.cpus()[0]
    large, small, limit = 350, 5, 400

    def body(env):
        net.pin(cpu)
        flood, other = net.udp_pair("127.0.0.1", 8 << 20), net.udp_pair("127.0.0.1")
        plug = softnet.Plug()
        for i in range(large):
            flood[0].send(net.datagram(i, 100))
        for i in range(small):
            other[0].send(net.datagram(i, 100))
        before, rlo = net.softnet(), env.counts()
        plug.release()
        for i in range(small):
            net.check_datagram(other[1].recv(1000), i, 100)
        got = []
        flood[1].setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                got.append(int.from_bytes(flood[1].recv(1000)[4:8], "big"))
        after = net.softnet()
        lost = large - len(got)
        ktap.check(got == sorted(set(got)) and 0 < lost < large, "%d of %d came" % (len(got), large))
        ktap.equal("flow_limit_count, dropped",
                   [net.softnet_delta(before, after, c)[cpu] for c in (softnet.FLOW_LIMIT, softnet.DROPPED)], [lost, lost])
        ours = net.delta(rlo, env.counts())
        ours.pop("bytes", None)
        ktap.equal("rlo's", ours, {"packets": large + small, "accepted": len(got) + small, "dropped": lost} if env.is_rlo else {})
        return lost
    with softnet.Setting(softnet.MAX_BACKLOG, limit, "CONFIG_SYSCTL"), softnet.Setting(TX_BIAS, 16, "CONFIG_SYSCTL"), \
            softnet.Setting(FLOW_LIMIT_CPUS, "%x" % (1 << cpu), "CONFIG_NET_FLOW_LIMIT"):
        want, got = net.in_lane("lo", body), net.in_lane(lane, body)
    ktap.equal("lost", got, want)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
