#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""AF_XDP in copy mode on rlo's NAPI delivery: frames in and out, and settings that change under it."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import socket
import threading
import time

import bpf
import kernel
import ktap
import net
import tools
import xsk
from queues import counters, ethtool, fresh, setting

PORT = 3000


def program(sockets, actions=1):
    """Native XDP on lo: datagrams to PORT go to the AF_XDP socket of queue 0, all others pass: (counters, program)."""
    hits = bpf.Counters(actions + 1)
    prog = bpf.by_port(hits, [bpf.redirect_map(sockets, i, bpf.XDP_PASS) for i in range(actions)], PORT)
    bpf.need_xdp("lo", prog.fd, bpf.DRV_MODE)
    return hits


CPUS = net.cpus()


def begin(queue=0, flags=xsk.COPY):
    """A namespace, its lo with NAPI delivery, a socket on a queue, and a map with it; this process on the queue's CPU."""
    tools.need("XDP_SOCKETS")
    env = fresh()
    net.pin(CPUS[queue])
    sock = xsk.Xsk()
    sock.bind("lo", queue, flags)
    sockets = bpf.Map(xsk.XSKMAP, entries=4)
    sockets.set(queue, sock.sock.fileno())
    return env, sock, sockets


def frames(sock, count):
    """The payloads of the next frames, whose headers have to be right."""
    found = []
    for _ in range(count):
        got = []
        ktap.wait_for("frame %d of %d" % (len(found), count), lambda g=got: g.append(sock.received()) or g[-1])
        version = got[-1][14] >> 4
        ktap.equal("ethertype", got[-1][12:14], b"\x08\x00" if version == 4 else b"\x86\xdd")
        found.append(got[-1][42 if version == 4 else 62:])
    return found


def to_xsk(sock, address, sizes, first=0):
    """Datagrams to a socket of nobody, which have to be in the AF_XDP socket, in order."""
    sender = socket.socket(net.family(address), socket.SOCK_DGRAM)
    sender.connect((address, PORT))
    for number, size in enumerate(sizes, first):
        sender.send(net.datagram(number, size))
    for number, (size, payload) in enumerate(zip(sizes, frames(sock, len(sizes))), first):
        net.check_datagram(payload, number, size)


@ktap.case()
def received():
    """What a program redirects is in the socket: content, order, lengths; what is too long for it is counted."""
    _, sock, sockets = begin()
    ktap.equal("zero-copy", sock.options() & 1, 0)
    hits = program(sockets)
    for address in ("127.0.0.1", "::1"):
        for _ in range(5):
            to_xsk(sock, address, [30, 31, 63, 64, 500, 1472, 3000, 3700] * 5)
    ktap.equal("frames that the program saw", hits.read()[0], 2 * 5 * 40)
    ktap.equal("statistics", {k: v for k, v in sock.statistics().items() if v and "empty" not in k}, {})
    # The others go where they always went.
    net.send_udp(net.udp_pair("127.0.0.1"), 50, 1000)
    net.send_udp(net.udp_pair("::1"), 50, 1000)
    # A chunk has 4,096 bytes, of which the kernel keeps 256.
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(("127.0.0.1", PORT))
    sender.send(bytes(6000))
    ktap.wait_for("the frame that is too long is counted", lambda: sock.statistics()["rx_dropped"] == 1)
    ktap.equal("something arrived", sock.received(), None)
    to_xsk(sock, "127.0.0.1", [100] * 10)
    # More than there is room for.
    for number in range(100):
        sender.send(net.datagram(number, 100))
    # The last ones may wait for more.
    ktap.wait_for("the program has seen them", lambda: hits.read()[0] == 2 * 5 * 40 + 1 + 10 + 100)
    for number, payload in enumerate(frames(sock, xsk.ENTRIES)):
        net.check_datagram(payload, number, 100)
    lost = sock.statistics()
    ktap.note(lost)
    ktap.equal("frames for which there was no room", lost["rx_ring_full"] + lost["rx_dropped"] - 1, 100 - xsk.ENTRIES)
    to_xsk(sock, "::1", [200] * 30)


@ktap.case()
def sent():
    """What the socket sends arrives at an ordinary socket, and at itself; content, order, and rlo's counters."""
    env, sock, sockets = begin()
    tools.run("sysctl -qw net.ipv4.conf.lo.route_localnet=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.lo.rp_filter=0".split())
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 4000))
    receiver.settimeout(5 * ktap.SLOW)
    program(sockets)
    before, taken = env.counts()["packets"], counters()["packets"]
    for turn in range(5):
        for number in range(32):
            sock.queue(xsk.udp_frame(net.datagram(turn * 32 + number, 100 + 100 * number), 4000))
        sock.kick()
        for number in range(32):
            net.check_datagram(receiver.recv(5000), turn * 32 + number, 100 + 100 * number)
    ktap.equal("packets that rlo counted", env.counts()["packets"] - before, 160)
    ktap.equal("packets of the queues", counters()["packets"] - taken, 160)
    # To itself: out and in.
    for number in range(32):
        sock.queue(xsk.udp_frame(net.datagram(number, 300), PORT))
    sock.kick()
    for number, payload in enumerate(frames(sock, 32)):
        net.check_datagram(payload, number, 300)
    # Nonsense is refused or dropped, not believed.
    sock.tx.put(1 << 40, 100, 0)
    ktap.error_of(sock.kick)
    ktap.equal("descriptors that are wrong", sock.statistics()["tx_invalid_descs"], 1)
    sock.queue(b"short")
    ktap.error_of(sock.kick)
    net.send_udp(net.udp_pair("127.0.0.1"), 20, 100)


@ktap.case()
def refused():
    """Zero-copy, queues that there are not, a queue that is taken; what cannot be sent is not."""
    tools.need("XDP_SOCKETS")
    fresh()
    sock = xsk.Xsk()
    ktap.fails("EOPNOTSUPP|ENOTSUP", "zero-copy", sock.bind, "lo", 0, xsk.ZEROCOPY)
    ktap.fails("EINVAL", "a queue too many", sock.bind, "lo", os.cpu_count())
    sock.bind("lo", 0)
    ktap.fails("EBUSY", "a queue that is taken", xsk.Xsk().bind, "lo", 0)
    sock.close()
    # Neither is asked for: it is copied.
    sock = xsk.Xsk()
    ktap.wait_for("the queue is free again", lambda: not ktap.error_of(sock.bind, "lo", 0, 0))
    ktap.equal("zero-copy", sock.options() & 1, 0)
    if len(CPUS) > 1:
        # lo has one queue to send to. The kernel says nothing about frames for others, and does not send them.
        other = xsk.Xsk()
        other.bind("lo", 1)
        before = counters()["packets"]
        other.queue(xsk.udp_frame(b"x" * 100, 4000))
        ktap.fails("", "sending on a queue that only receives", other.kick)
        time.sleep(0.1)
        ktap.equal("packets sent on it", counters()["packets"] - before, 0)
        ktap.equal("frames that are done", other.completion.take(), None)


@ktap.case()
def queues():
    """Each queue has its socket; frames of one do not come to the other."""
    if len(CPUS) < 2:
        raise ktap.Skip("one CPU")
    _, sock, sockets = begin()
    other = xsk.Xsk()
    other.bind("lo", 1)
    sockets.set(1, other.sock.fileno())
    # PORT goes to the socket of queue 0, the next one to that of queue 1.
    hits = program(sockets, 2)
    to_xsk(sock, "127.0.0.1", [100] * 20)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(("127.0.0.1", PORT + 1))
    for number in range(20):
        sender.send(net.datagram(number, 100))
    ktap.wait_for("the program has seen them", lambda: hits.read()[1] == 20)
    ktap.equal("on queue 0, for the socket of queue 1", [sock.received(), other.received()], [None, None])
    net.pin(CPUS[1])
    for number in range(20):
        sender.send(net.datagram(number, 100))
    for number, payload in enumerate(frames(other, 20)):
        net.check_datagram(payload, number, 100)


@ktap.case()
def changed_under_it():
    """Delivery, channels, the device switched under a socket, with and without traffic: refused, or it goes on."""
    queue = len(CPUS) - 1
    env, sock, sockets = begin(queue)
    # Without a program: the socket alone keeps its queue.
    ktap.fails("EBUSY", "switching off under a socket", kernel.write, env.lo + "/rlo/delivery", "backlog")
    if queue:
        status, _, error = ethtool("-L", "lo", "rx", 1)
        ktap.check(status != 0, "a queue with a socket was switched off")
        ktap.note("ethtool -L: %s" % error.strip())
    hits = bpf.Counters(2)
    prog = bpf.by_port(hits, [bpf.redirect_map(sockets, queue, bpf.XDP_PASS)], PORT)
    bpf.need_xdp("lo", prog.fd, bpf.DRV_MODE)
    to_xsk(sock, "127.0.0.1", [100] * 20)
    # What else can be changed, under frames.
    ended, drained = threading.Event(), []

    def traffic():
        net.pin(CPUS[queue])
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while not ended.is_set():
            ktap.error_of(sender.sendto, bytes(200), ("127.0.0.1", PORT))
            while frame := sock.received():
                drained.append(len(frame))
    thread = threading.Thread(target=traffic)
    thread.start()
    for turn in range(5):
        for command in (("-C", "lo", "rx-frames", 1 + turn), ("-G", "lo", "rx", 64 << turn)):
            setting(*command)
        kernel.write(env.lo + "/threaded", "%d" % (turn % 2))
        ktap.fails("EBUSY", "switching off under frames", kernel.write, env.lo + "/rlo/delivery", "backlog")
        bpf.need_xdp("lo", -1, bpf.DRV_MODE)
        bpf.need_xdp("lo", prog.fd, bpf.DRV_MODE)
        net.set_up("lo", False)
        net.set_up("lo", True)
    ended.set()
    thread.join()
    ktap.check(drained and set(drained) == {242}, "frames: %r" % set(drained))
    kernel.write(env.lo + "/threaded", "0")
    setting("-C", "lo", "rx-usecs", 0)
    while sock.received():
        pass
    to_xsk(sock, "127.0.0.1", [150] * 20)
    # The socket goes while frames are on their way; then all can be switched off.
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(50):
        sender.sendto(bytes(200), ("127.0.0.1", PORT))
    sock.close()
    for _ in range(50):
        sender.sendto(bytes(200), ("127.0.0.1", PORT))
    bpf.need_xdp("lo", -1, bpf.DRV_MODE)
    ktap.wait_for("delivery is switched off", lambda: not ktap.error_of(kernel.write, env.lo + "/rlo/delivery", "backlog"))
    # A socket on the one queue of the backlog works as on lo, and keeps nothing from being switched on.
    sock = xsk.Xsk()
    sock.bind("lo", 0)
    env.deliver("napi")
    ktap.fails("EBUSY", "switching off under a socket", kernel.write, env.lo + "/rlo/delivery", "backlog")
    sock.close()
    ktap.wait_for("delivery is switched off", lambda: not ktap.error_of(kernel.write, env.lo + "/rlo/delivery", "backlog"))
    net.send_udp(net.udp_pair("127.0.0.1"), 20, 100)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
