#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""rlo's NAPI delivery: what can be seen and set, and what works on it that cannot on lo."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import re
import socket
import struct
import threading
import time

import kernel
import ktap
import net
import netlink
from queues import counters, ethtool, fresh, setting

SO_BUSY_POLL, SO_INCOMING_NAPI_ID, SO_PREFER_BUSY_POLL = 46, 56, 69
SOL_UDP, UDP_GRO, UDP_SEGMENT = 17, 104, 103
# <linux/netdev.h>
QUEUE_GET, NAPI_GET = 10, 11
QUEUE_ID, QUEUE_IFINDEX, QUEUE_TYPE, QUEUE_NAPI = 1, 2, 3, 4
NAPI_IFINDEX, NAPI_ID = 1, 2


def softirqs():
    """NET_RX softirqs so far, of all CPUs."""
    line = next(line for line in kernel.read("/proc/softirqs").splitlines() if "NET_RX" in line)
    return sum(map(int, line.split()[1:]))


def netdev(command, kind, payload=b""):
    """Answers of netdev-genl, as dicts of numbers."""
    sock = netlink.Socket(protocol=16)
    answers, error = sock.ask(sock.family("netdev"), netlink.genl(command, payload), dump=True)
    ktap.equal("netdev-genl %s" % kind, error, "")
    return [{key: struct.unpack("I", value[:4])[0] for key, value in netlink.attributes(answer[4:])} for answer in answers]


@ktap.case()
def off_is_lo():
    """Without it nothing of it is to be seen; what is no delivery is refused, and so is one for a taken-over lo."""
    env = net.enter("replacement")
    if not net.NAPI:
        ktap.equal("at first", kernel.read(env.lo + "/rlo/delivery"), "backlog")
    for how in ("napi", "backlog"):
        env.deliver(how)
    for option in ("-l", "-c", "-g", "-S"):
        status, _, _ = ethtool(option, "lo")
        ktap.check(status != 0, "ethtool %s answers" % option)
    ktap.equal("queues", sorted(os.listdir(env.lo + "/queues")), ["rx-0", "tx-0"])
    for text in ("NAPI", "napi 1", "1", "x" * 4000):
        ktap.fails("EINVAL", "delivery %r" % text[:10], kernel.write, env.lo + "/rlo/delivery", text)
    env.deliver("backlog")
    net.send_udp(net.udp_pair("127.0.0.1"), 20, 100)
    other = net.enter("takeover")
    ktap.fails("ENOTSUP", "NAPI on a taken-over lo", kernel.write, other.lo + "/rlo/delivery", "napi")
    kernel.write(other.lo + "/rlo/delivery", "backlog")


@ktap.case()
def seen():
    """Channels, netdev-genl, sysfs and sockets agree on the queues and their NAPIs."""
    env = fresh()
    cpus = os.cpu_count()
    channels = setting("-l", "lo")
    ktap.equal("channels", re.findall(r"^RX:\s+(\d+)", channels, re.M), [str(cpus)] * 2)
    ktap.equal("queues in sysfs", sum(q.startswith("rx-") for q in os.listdir(env.lo + "/queues")), cpus)
    index = struct.pack("I", socket.if_nametoindex("lo"))
    napis = netdev(NAPI_GET, "napi-get", netlink.attribute(NAPI_IFINDEX, index))
    ktap.equal("NAPIs", len(napis), cpus)
    queues = [q for q in netdev(QUEUE_GET, "queue-get", netlink.attribute(QUEUE_IFINDEX, index)) if q[QUEUE_TYPE] == 0]
    ktap.equal("NAPIs of the queues", sorted(q[QUEUE_NAPI] for q in queues), sorted(n[NAPI_ID] for n in napis))
    for cpu in net.cpus():
        net.pin(cpu)
        for pair in (net.udp_pair("127.0.0.1"), net.tcp_pair("::1")):
            pair[0].send(b"x" * 10)
            pair[1].recv(100)
            came = pair[1].getsockopt(socket.SOL_SOCKET, SO_INCOMING_NAPI_ID)
            want = next(q[QUEUE_NAPI] for q in queues if q[QUEUE_ID] == cpu % cpus)
            ktap.equal("NAPI of a packet from CPU %d" % cpu, came, want)


@ktap.case()
def settings():
    """What can be set is what is shown; what cannot be is refused with a reason and changes nothing."""
    fresh()
    setting("-C", "lo", "rx-usecs", 77, "rx-frames", 5, "adaptive-rx", "off")
    text = setting("-c", "lo")
    for want in ("Adaptive RX: off", "rx-usecs:\t77", "rx-frames:\t5"):
        ktap.check(want in text, "%r is not in: %s" % (want, text))
    setting("-G", "lo", "rx", 4096)
    ktap.equal("ring", re.findall(r"^RX:\s+(\d+)", setting("-g", "lo"), re.M), ["16384", "4096"])
    most = os.cpu_count()
    setting("-L", "lo", "rx", 1)
    ktap.equal("channels", re.findall(r"^RX:\s+(\d+)", setting("-l", "lo"), re.M), [str(most), "1"])
    setting("-L", "lo", "rx", most)
    before = [setting(option, "lo") for option in ("-c", "-g", "-l")]
    for command, reason in (("-C lo rx-usecs 10001", "10 ms"), ("-C lo rx-frames 0", "1 to 1024"), ("-C lo rx-frames 1025", "1 to 1024"),
                            ("-G lo rx 63", "64 to 16384"), ("-G lo rx 16385", ""), ("-L lo rx 0", ""),
                            ("-L lo rx %d" % (most + 1), ""), ("-L lo tx 2", ""), ("-C lo tx-usecs 1", "")):
        status, _, errors = ethtool(*command.split())
        ktap.check(status != 0 and reason in errors, "%s: status %d, %s" % (command, status, errors.strip()))
    setting("-C", "lo", "rx-frames", 600)
    status, _, errors = ethtool("-G", "lo", "rx", 512)
    ktap.check(status != 0 and "batch" in errors, "a ring below a batch: %s" % errors)
    setting("-C", "lo", "rx-frames", 5)
    ktap.equal("after what was refused", [setting(option, "lo") for option in ("-c", "-g", "-l")], before)


@ktap.case()
def batches():
    """A burst is delivered in batches; a packet that waits for an answer is not held back."""
    fresh()
    net.pin(net.cpus()[0])
    sender, receiver = net.udp_pair("127.0.0.1")
    count = 1000

    def burst():
        before = softirqs()
        for i in range(count):
            sender.send(net.datagram(i, 64))
        for i in range(count):
            net.check_datagram(receiver.recv(100), i, 64)
        return softirqs() - before
    setting("-C", "lo", "rx-usecs", 10000)
    batched, found = burst(), counters()
    ktap.check(found["batches"] >= count // 100, "only %d batches" % found["batches"])
    setting("-C", "lo", "rx-usecs", 0)
    single = burst()
    ktap.note("NET_RX softirqs for %d datagrams: %d in batches, %d without" % (count, batched, single))
    # Where 32 datagrams take longer than 10 ms, the timer ends batches.
    ktap.check(batched < single // (4 if ktap.SLOW == 1 else 2), "%d softirqs with batches, %d without" % (batched, single))
    # One at a time: by far less than the 10 ms that a batch may wait here.
    setting("-C", "lo", "rx-usecs", 10000, "adaptive-rx", "on")
    start = time.monotonic()
    for i in range(200):
        sender.send(net.datagram(i, 64))
        net.check_datagram(receiver.recv(100), i, 64)
        time.sleep(0)
    took = (time.monotonic() - start) / 200
    waits = counters()["expired"] - found["expired"]
    ktap.note("%.0f us each, %d timers" % (took * 1e6, waits))
    ktap.check(waits <= 20, "%d of 200 packets were held back until the timer" % waits)
    # A sender that sleeps in between waits for something: not one of its packets is held back.
    before = counters()["expired"]
    for i in range(100):
        sender.send(net.datagram(i, 64))
        net.check_datagram(receiver.recv(100), i, 64)
        time.sleep(0.001)
    ktap.equal("held back of a sender that sleeps", counters()["expired"] - before, 0)


@ktap.case()
def not_adaptive():
    """Without adaptive-rx every packet waits, for rx-usecs or rx-frames packets."""
    fresh()
    net.pin(net.cpus()[0])
    setting("-C", "lo", "adaptive-rx", "off", "rx-usecs", 10000, "rx-frames", 8)
    sender, receiver = net.udp_pair("127.0.0.1")
    receiver.setblocking(False)
    # TCP and discovery may have left something.
    time.sleep(0.05)
    # On a slow machine the 10 ms may be over before the seventh was sent: it is tried again.
    for _ in range(20):
        receiver.setblocking(False)
        expired = counters()["expired"]
        for i in range(7):
            sender.send(net.datagram(i, 64))
        came = []
        early = ktap.error_of(lambda: came.append(receiver.recv(100)))
        in_time = counters()["expired"] == expired
        sender.send(net.datagram(7, 64))
        receiver.settimeout(5 * ktap.SLOW)
        for i in range(8):
            net.check_datagram(came[i] if i < len(came) else receiver.recv(100), i, 64)
        if in_time:
            break
    if in_time:
        ktap.equal("before the batch was full", early, "EAGAIN")
    else:
        ktap.note("this machine is too slow to see seven packets wait")
    sender.send(net.datagram(8, 64))
    net.check_datagram(receiver.recv(100), 8, 64)


def answer(sock, count):
    """Sends back what comes."""
    for _ in range(count):
        data, address = sock.recvfrom(2000)
        sock.sendto(data, address)


def exchange(busy, count=300):
    """Requests and answers between two threads, perhaps polling; how many packets were polled for."""
    sender, receiver = net.udp_pair("127.0.0.1")
    for sock in (sender, receiver):
        # With a timeout of Python's sockets do not block, and poll only once.
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(10 * ktap.SLOW), 0))
        if busy:
            sock.setsockopt(socket.SOL_SOCKET, SO_BUSY_POLL, 2000)
            sock.setsockopt(socket.SOL_SOCKET, SO_PREFER_BUSY_POLL, 1)
    before = polled()
    thread = threading.Thread(target=answer, args=(receiver, count))
    thread.start()
    for i in range(count):
        sender.send(net.datagram(i, 200))
        net.check_datagram(sender.recv(2000), i, 200)
    thread.join()
    return polled() - before


def polled():
    """Packets that a socket has found by polling."""
    lines = [line.split() for line in kernel.read("/proc/net/netstat").splitlines() if line.startswith("TcpExt:")]
    return int(dict(zip(*lines))["BusyPollRxPackets"])


@ktap.case()
def busy_poll():
    """SO_BUSY_POLL polls the queue of the packets, which it cannot on lo."""
    env = fresh("backlog")
    ktap.equal("packets polled for on the backlog", exchange(True), 0)
    env.deliver("napi")
    ktap.equal("packets polled for without the option", exchange(False), 0)
    found = exchange(True)
    ktap.note("%d of 600 packets were polled for" % found)
    ktap.check(found > 0, "SO_BUSY_POLL polls for nothing")
    # Deferred interrupts, as SO_PREFER_BUSY_POLL is meant to be used: nothing gets stuck.
    for name, value in (("napi_defer_hard_irqs", "2"), ("gro_flush_timeout", "200000")):
        kernel.write(env.lo + "/" + name, value)
    found = exchange(True)
    ktap.note("%d of 600 with deferred interrupts" % found)
    exchange(False)
    net.send_udp(net.udp_pair("::1"), 100, 500)


@ktap.case()
def threaded():
    """NAPI threads deliver instead of softirqs."""
    env = fresh()
    kernel.write(env.lo + "/threaded", "1")

    def names():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                found.append(kernel.read("/proc/%s/comm" % pid))
            except OSError:
                pass
        return [name for name in found if name.startswith("napi/lo-")]
    ktap.equal("threads", len(names()), os.cpu_count())
    net.send_udp(net.udp_pair("127.0.0.1"), 200, 300)
    one, two = net.tcp_pair("::1")
    one.sendall(b"y" * 100000)
    ktap.equal("bytes", len(net.read_exactly(two, 100000)), 100000)
    kernel.write(env.lo + "/threaded", "0")
    net.send_udp(net.udp_pair("127.0.0.1"), 50, 300)
    env.deliver("backlog")
    ktap.wait_for("the threads end", lambda: not names(), 20)


@ktap.case()
def aggregated():
    """Datagrams that wait together are put together (GRO) for a socket that wants it; TCP always is."""
    fresh()
    setting("-K", "lo", "rx-udp-gro-forwarding", "on")
    net.pin(net.cpus()[0])
    setting("-C", "lo", "adaptive-rx", "off", "rx-usecs", 10000, "rx-frames", 16)
    sender, receiver = net.udp_pair("127.0.0.1")
    receiver.setsockopt(SOL_UDP, UDP_GRO, 1)
    for _ in range(16):
        sender.send(b"z" * 500)
    sizes, total = [], 0
    while total < 16 * 500:
        data, ancillary, _, _ = receiver.recvmsg(70000, 100)
        total += len(data)
        sizes.append((len(data), [struct.unpack("i", value[:4])[0] for _, kind, value in ancillary if kind == UDP_GRO]))
    ktap.note("%r %r" % (sizes, counters()))
    ktap.check(max(size for size, _ in sizes) > 500, "nothing was put together: %r" % sizes)
    ktap.check(all(segment == [500] for size, segment in sizes if size > 500), "sizes of segments: %r" % sizes)
    setting("-K", "lo", "gro", "off")
    for _ in range(16):
        sender.send(b"z" * 500)
    ktap.equal("without GRO", {len(receiver.recv(70000)) for _ in range(16)}, {500})
    # Segments of TCP that the sender has cut: fewer packets reach IP than were sent.
    setting("-K", "lo", "tso", "off", "gso", "off")
    net.set_mtu("lo", 1500)
    grown = {}
    for gro in ("off", "on"):
        setting("-K", "lo", "gro", gro)
        one, two = net.tcp_pair("127.0.0.1")
        before = net.ip_packets()
        for _ in range(8):
            one.sendall(b"t" * 30000)
            ktap.equal("bytes", len(net.read_exactly(two, 30000)), 30000)
        time.sleep(0.05)
        grown[gro] = {key: value - before[key] for key, value in net.ip_packets().items()}
    ktap.note("IP with GRO off and on: %r" % grown)
    ktap.check(grown["on"]["in"] < grown["off"]["in"] * 3 // 4, "%r" % grown)


@ktap.case()
def bounded():
    """A queue takes no more than its ring has room for; what is dropped is counted where users look."""
    env = fresh()
    cpu = net.cpus()[0]
    net.pin(cpu)
    setting("-L", "lo", "rx", 1)
    setting("-G", "lo", "rx", 64)
    kernel.write(env.lo + "/threaded", "1")
    pids = [pid for pid in os.listdir("/proc") if pid.isdigit() and os.path.exists("/proc/%s/comm" % pid)
            and kernel.read("/proc/%s/comm" % pid).startswith("napi/lo-")]
    for pid in pids:
        os.sched_setaffinity(int(pid), {cpu})
    sender, receiver = net.udp_pair("127.0.0.1", rcvbuf=8 << 20)
    before, stats = env.counts(), net.flat_stats()
    # Nobody else runs on this CPU while 500 are sent.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    for i in range(500):
        sender.send(net.datagram(i, 64))
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    ktap.wait_for("the rest arrives", lambda: counters()["packets"] + counters()["dropped"] >= 500, 20)
    arrived, receiver_error = 0, ""
    receiver.setblocking(False)
    while not receiver_error:
        receiver_error = ktap.error_of(receiver.recv, 100)
        arrived += not receiver_error
    dropped = 500 - arrived
    ktap.note("%d of 500 arrived" % arrived)
    ktap.check(64 <= arrived < 400, "%d of 500 arrived" % arrived)
    ktap.equal("drops of the queue", counters()["dropped"], dropped)
    ktap.equal("drops that rlo counts", env.counts()["dropped"] - before["dropped"], dropped)
    ktap.equal("rx_dropped", net.flat_stats()["rx.dropped"] - stats["rx.dropped"], dropped)
    # With a send buffer for a few datagrams the sender has to wait instead, and nothing is dropped.
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    sender.setblocking(False)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    refused = [ktap.error_of(sender.send, net.datagram(i, 64)) for i in range(200)]
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    ktap.check("EAGAIN" in refused, "a small send buffer never was full")
    receiver.settimeout(5 * ktap.SLOW)
    for i in [i for i, error in enumerate(refused) if not error]:
        net.check_datagram(receiver.recv(100), i, 64)
    ktap.equal("drops meanwhile", counters()["dropped"], dropped)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
