#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""rlo's delivery, backlog or NAPI, and the settings of its queues, changed under traffic: nothing is lost,
doubled, changed or overtaken."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import random
import subprocess
import threading
import time

import endure
import flows
import ktap
import net

ORDER = ("Tcp.RetransSegs", "TcpExt.TCPOFOQueue", "TcpExt.TCPSACKReorder", "TcpExt.TCPTSReorder", "TcpExt.TCPDSACKOfoRecv")  # codespell:ignore
COUNT = endure.count(400, 40)


class Hopping:
    """Moves processes from CPU to CPU, as the scheduler may."""

    def __init__(self, pids):
        self.pids, self.moved, self.over = pids, 0, threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        cpus, pick = sorted(os.sched_getaffinity(0)), random.Random(1)
        while not self.over.is_set():
            for pid in self.pids:
                try:
                    os.sched_setaffinity(pid, {pick.choice(cpus)})
                    self.moved += 1
                except ProcessLookupError:
                    pass
            time.sleep(0.002)

    def stop(self):
        """Ends it; how often."""
        self.over.set()
        self.thread.join()
        return self.moved


def under_traffic(env, change, count=None, pause=0.003):
    """change(i) again and again while TCP, UDP and SCTP are exchanged by processes that change their CPUs."""
    packets, bad = net.ip_packets(), flows.signs()
    # Strict: lo itself lets datagrams overtake each other when the sender changes its CPU; the queues do not.
    traffic = flows.Flows(strict=env.napi)
    hopping = Hopping([pid for pid, _ in traffic.children])
    try:
        for i in range(count or COUNT):
            change(i)
            time.sleep(i % 5 * pause)
            if i % 10 == 9:
                traffic.wait_for_more(2)
        traffic.wait_for_more(8)
    finally:
        moved = hopping.stop()
        again = flows.more_signs(bad)
        sent = traffic.stop()
    net.check_nothing_lost(packets)
    ktap.note("%d changes, %d changes of a CPU, messages %r, overtaken %r, signs %r" % (
        count or COUNT, moved, sent, traffic.reordered(), again))
    return again


def out_of_order(signs):
    """Those of the signs that something was overtaken, or lost."""
    found = {name: count for name, count in signs.items() if name in ORDER}
    # A probe for a loss that there was not, on a slow machine: the receiver says that it has it already.
    again = found.pop("Tcp.RetransSegs", 0) - signs.get("TcpExt.TCPDSACKRecv", 0)
    return found | ({"Tcp.RetransSegs": again} if again > 0 else {})


def ethtool(*args):
    """Runs ethtool; fails with what it says."""
    done = subprocess.run(["ethtool", *map(str, args)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ktap.Failure("ethtool %s: %s" % (" ".join(map(str, args)), done.stderr.strip()))
    return done.stdout


def fresh(napi):
    """A namespace on rlo."""
    env = net.enter("replacement")
    env.napi = napi
    env.deliver("napi" if napi else "backlog")
    return env


@ktap.case(limit=endure.limit(900))
def switched():
    """From one to the other."""
    env = fresh(False)
    # UDP may be overtaken while the backlog has it and the sender moves; that is lo's. TCP and SCTP tell.
    again = under_traffic(env, lambda i: env.deliver(("napi", "backlog")[i % 2]))
    lost = {name: count for name, count in again.items() if "Retrans" in name or "Errors" in name or "Timeouts" in name}
    ktap.equal("lost and sent again", lost, {})


@ktap.case(limit=endure.limit(900))
def switched_on_one_cpu():
    """The same with senders that stay where they are: not even a datagram is overtaken."""
    env = fresh(False)
    packets, bad = net.ip_packets(), flows.signs()
    traffic = flows.Flows(cpu=net.cpus()[-1])
    for i in range(COUNT):
        env.deliver(("napi", "backlog")[i % 2])
        time.sleep(i % 5 * 0.002)
        if i % 10 == 9:
            traffic.wait_for_more(2)
    again = flows.more_signs(bad)
    traffic.stop()
    net.check_nothing_lost(packets)
    ktap.equal("out of order, lost, sent again", out_of_order(again), {})


@ktap.case(limit=endure.limit(900))
def channels():
    """One queue, all of them, and back."""
    env = fresh(True)
    most = len(net.cpus())
    if most < 2:
        raise ktap.Skip("one CPU")
    again = under_traffic(env, lambda i: ethtool("-L", "lo", "rx", 1 + (i + 1) % most))
    ktap.equal("out of order", out_of_order(again), {})


@ktap.case()
def sender_moves():
    """What waits in a queue is not overtaken by what its sender sends on another CPU, where a batch is complete first."""
    fresh(True)
    cpus = net.cpus()
    if len(cpus) < 2:
        raise ktap.Skip("one CPU")
    ethtool("-C", "lo", "adaptive-rx", "off", "rx-usecs", 10000, "rx-frames", 8)
    sender, receiver = net.udp_pair("127.0.0.1")
    receiver.settimeout(10 * ktap.SLOW)
    seen = 0
    for turn in range(40):
        net.pin(cpus[turn % 2])
        start = time.monotonic()
        for i in range(5):
            sender.send(net.datagram(i, 64))
        net.pin(cpus[1 - turn % 2])
        for i in range(5, 13):
            sender.send(net.datagram(i, 64))
        seen += time.monotonic() - start < 0.01
        for i in range(13):
            net.check_datagram(receiver.recv(100), i, 64)
    ktap.note("%d of 40 times all was sent before the time of the first batch was over" % seen)
    ktap.check(seen or ktap.SLOW > 1, "this machine was too slow 40 times")


@ktap.case(limit=endure.limit(900))
def settings():
    """Batches, their times, the ring, steering, GRO and threads."""
    env = fresh(True)
    changes = (
        lambda i: ethtool("-C", "lo", "adaptive-rx", "off", "rx-usecs", i % 3 * 200, "rx-frames", 1 + i % 64),
        lambda i: ethtool("-C", "lo", "adaptive-rx", "on", "rx-usecs", 250, "rx-frames", 32),
        lambda i: ethtool("-G", "lo", "rx", (128, 4096)[i % 2]),
        lambda i: ethtool("-K", "lo", "gro", ("off", "on")[i % 2]),
        lambda i: ethtool("-K", "lo", "ntuple", ("on", "off")[i // 7 % 2]),
        lambda i: open(env.lo + "/threaded", "w", encoding="ascii").write(str(i // 7 % 2)),
        lambda i: ethtool("-K", "lo", "gso", ("off", "on")[i // 7 % 2]),
    )
    again = under_traffic(env, lambda i: changes[i % len(changes)](i), count=2 * COUNT)
    ktap.equal("out of order", out_of_order(again), {})


@ktap.case()
def end_with_packets_inside():
    """A namespace ends while packets wait in its queues; nothing hangs, and nothing is left."""
    before = net.kernel.number(net.REPLACED)
    for _ in range(5):
        def fill():
            fresh(True)
            ethtool("-C", "lo", "adaptive-rx", "off", "rx-usecs", 10000, "rx-frames", 1024)
            sender, _receiver = net.udp_pair("127.0.0.1")
            for i in range(200):
                sender.send(net.datagram(i, 100))
        ktap.value_of(fill)
    ktap.wait_for("the namespaces end", lambda: net.kernel.number(net.REPLACED) <= before, 60)


@ktap.case()
def down_and_up():
    """lo goes down and up while traffic is inside: what was sent before arrives or is counted, and it works again."""
    fresh(True)
    for _ in range(20):
        pair = net.udp_pair("127.0.0.1")
        for i in range(40):
            pair[0].send(net.datagram(i, 100))
        net.set_up("lo", False)
        net.set_up("lo")
        for sock in pair:
            sock.close()
    net.send_udp(net.udp_pair("127.0.0.1"), 50, 300)
    net.send_udp(net.udp_pair("::1"), 50, 300)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
