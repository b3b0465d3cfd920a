#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The log of events: one for each packet and stage, in order, the last ones when there are many."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import collections
import socket
import time

import kernel
import ktap
import net
import rsoftnet

MARK = 0x5eed
SO_COOKIE = 57
ADDRESSES = {"v4": ("127.0.0.1", 0x0800, 28), "v6": ("::1", 0x86dd, 48)}
WAY = ("xmit", "netif_rx", "deliver")


def marked(address):
    """As net.udp_pair(), the sender's packets with a mark; and the receiver's cookie."""
    sender, receiver = net.udp_pair(address)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
    cookie = int.from_bytes(receiver.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), sys.byteorder)
    return (sender, receiver), cookie


def idle():
    """Lets what is still on its way arrive."""
    time.sleep(0.1 * ktap.SLOW)


@ktap.case(ADDRESSES)
def each_packet(version):
    """Every packet is there at each stage, with its length, protocol and mark, in the order of its way."""
    address, protocol, headers = ADDRESSES[version]
    rsoftnet.enter()
    net.pin(net.cpus()[0])
    pair, cookie = marked(address)
    sniffer = net.Sniffer("lo")
    rsoftnet.put("log/enable", 1)
    start = time.monotonic_ns()
    net.send_udp(pair, 30, 77, window=1)
    end = time.monotonic_ns()
    rsoftnet.put("log/enable", 0)
    events = rsoftnet.events()
    own = [e for e in events if e.get("mark") == MARK]
    ktap.equal("by stage", collections.Counter(e["what"] for e in own), dict.fromkeys(WAY, 30))
    frames = [len(frame) for kind, _, frame in sniffer.frames() if kind == net.PACKET_OUTGOING]
    ktap.equal("lengths, as a packet socket says", sorted({e["len"] for e in own if e["what"] == "xmit"}), sorted(set(frames)))
    for event in own:
        ktap.equal("protocol", event["protocol"], protocol)
        ktap.equal("device", event["dev"], socket.if_nametoindex("lo"))
        ktap.equal("length", event["len"], headers + 77 + (14 if event["what"] == "xmit" else 0))
        ktap.check(start <= event["time"] <= end, "a time that cannot be: %r" % event)
    ktap.equal("the way of each", [e["what"] for e in own], list(WAY) * 30)
    woken = [e for e in events if e["what"] == "wakeup" and e["socket"] == cookie]
    ktap.equal("wake-ups", len(woken), 30)
    for i in range(30):
        ktap.equal("one packet all the way", len({e["packet"] for e in own[3 * i:3 * i + 3]}), 1)
        ktap.check(woken[i]["time"] >= own[3 * i + 2]["time"], "woken before it was delivered")


@ktap.case()
def steered():
    """A steered packet: on the one CPU, the IPI, on the other."""
    cpus = net.cpus()
    if len(cpus) < 2:
        raise ktap.Skip("one CPU")
    lo = rsoftnet.enter()
    kernel.write(lo + "/queues/rx-0/rps_cpus", "%x" % (1 << cpus[1]))
    net.pin(cpus[0])
    pair, _ = marked("127.0.0.1")
    rsoftnet.put("log/enable", 1)
    net.send_udp(pair, 5, 77, window=1)
    idle()
    rsoftnet.put("log/enable", 0)
    events = rsoftnet.events()
    where = [(e["what"], e["cpu"]) for e in events if e.get("mark") == MARK]
    ktap.equal("CPUs", collections.Counter(where), {(w, cpus[w == "deliver"]): 5 for w in WAY})
    calls = [(e["what"], e["cpu"], e["target"]) for e in events if e["what"].startswith("rps_")]
    sent = calls.count(("rps_ipi", cpus[0], "cpu%d" % cpus[1]))
    ktap.check(sent > 0, "no IPI: %r" % calls)
    ktap.equal("answers", calls.count(("rps_answer", cpus[1], "cpu%d" % cpus[1])), sent)


@ktap.case()
def functions():
    """With functions, IP and UDP and the socket's queue are there as well, and who runs the softirq."""
    rsoftnet.enter()
    net.pin(net.cpus()[0])
    pair, cookie = marked("127.0.0.1")
    rsoftnet.put("log/functions", 1)
    rsoftnet.function("log/enable")
    net.send_udp(pair, 10, 77, window=1)
    rsoftnet.put("log/enable", 0)
    rsoftnet.put("log/functions", 0)
    events = rsoftnet.events()
    own = [e["what"] for e in events if e.get("mark") == MARK]
    ktap.equal("the way of each", own, ["xmit", "netif_rx", "enqueue", "deliver", "ip", "udp"] * 10)
    ktap.equal("queued", sum(e["what"] == "sock_queue" and e["socket"] == cookie for e in events), 10)
    known = [e["context"] for e in events if e["what"] == "softirq_entry"]
    who = "do_softirq" if rsoftnet.callers_known() else "-"
    ktap.check(known.count(who) >= 10, "softirqs are run by %r" % known)


@ktap.case()
def dropped():
    """A drop is there with its reason, behind where the packet came by."""
    rsoftnet.enter(filtered=False)
    _, probe = net.udp_pair("127.0.0.1")
    port = probe.getsockname()[1]
    probe.close()
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
    rsoftnet.put("log/enable", 1)
    sender.sendto(b"x", ("127.0.0.1", port))
    idle()
    rsoftnet.put("log/enable", 0)
    own = [e for e in rsoftnet.events() if e.get("mark") == MARK]
    # The answer of ICMP has the mark only where net.ipv4.fwmark_reflect is set.
    ktap.equal("its way", [e["what"] for e in own], list(WAY) + ["drop"])
    ktap.equal("why", own[-1]["reason"], "NO_SOCKET")


@ktap.case()
def overwritten():
    """Of many events the last ones stay, and how many are gone is said."""
    rsoftnet.enter()
    rsoftnet.put("stage/enable", 1)
    rsoftnet.put("log/enable", 1)
    pair, _ = marked("127.0.0.1")
    net.send_udp(pair, 3000, 100)
    rsoftnet.put("log/enable", 0)
    rsoftnet.put("stage/enable", 0)
    seen = rsoftnet.Snapshot()
    counted = sum(seen.count(name) for name in rsoftnet.STAGES if name not in rsoftnet.FUNCTIONS)
    text = kernel.read(rsoftnet.path("log/events"))
    events = rsoftnet.events()
    ktap.equal("events", len(events), 4096)
    lost = int(text.splitlines()[1].split()[1])
    ktap.check(lost + 4096 >= 3000 * len(WAY), "%d are gone" % lost)
    # The stages were on a moment longer.
    ktap.check(lost + 4096 <= counted <= (lost + 4096) * 1.2 + 200, "%d are gone, %d were counted" % (lost, counted))
    ktap.check(any(e["what"] == "deliver" for e in events[-50:]), "the last ones are not there")
    rsoftnet.put("log/reset", 1)
    ktap.equal("after the reset", kernel.read(rsoftnet.path("log/events")), "rsoftnet-log 1\nlost 0\nend")


@ktap.case()
def stages_apart():
    """Logging switches no stage on, and stages that are on count the same with it."""
    rsoftnet.enter()
    rsoftnet.put("stage/netif_rx/enable", 1)
    rsoftnet.put("log/enable", 1)
    pair, _ = marked("127.0.0.1")
    net.send_udp(pair, 50, 100)
    seen = rsoftnet.Snapshot()
    ktap.equal("stages", {name: seen.count(name) for name in WAY}, {"xmit": 0, "netif_rx": 50, "deliver": 0})
    ktap.equal("enable", kernel.read(rsoftnet.path("stage/xmit/enable")), "0")
    before = kernel.read(rsoftnet.path("log/events"))
    rsoftnet.put("log/enable", 0)
    ktap.check(len(before.splitlines()) > 150, "not logged")
    before = kernel.read(rsoftnet.path("log/events"))
    net.send_udp(pair, 50, 100)
    ktap.equal("the log when it is off", kernel.read(rsoftnet.path("log/events")), before)
    ktap.equal("netif_rx", rsoftnet.stage("netif_rx"), 100)


@ktap.case(limit=240)
def busy():
    """Switched, emptied and read under traffic on all CPUs: whole lines, sane times."""
    rsoftnet.enter()
    traffic = [net.Traffic(cpu=cpu) for cpu in net.cpus()[:2]]
    start = time.monotonic_ns()
    for i in range(6):
        rsoftnet.put("log/enable", 1)
        for _ in range(2):
            time.sleep(0.01)
            events = rsoftnet.events()
            now = time.monotonic_ns()
            for event in events:
                ktap.check(start <= event["time"] <= now, "a time that cannot be: %r" % event)
                if event["what"] in WAY:
                    ktap.check(0 < event["len"] < 70000 and event["protocol"] in (0x0800, 0x86dd), "%r" % event)
        if i % 3:
            rsoftnet.put("log/reset", 1)
        rsoftnet.put("log/enable", 0)
    for each in traffic:
        each.stop()


ktap.finally_(rsoftnet.quiet)
if __name__ == "__main__":
    sys.exit(rsoftnet.main())
