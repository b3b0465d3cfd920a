#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""rsoftnet's files: modes, nonsense, missing privileges, filters, snapshots while packets pass."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import signal
import socket
import time

import kernel
import ktap
import net
import rsoftnet

NONSENSE = ("", "2", "-1", "yes", "1 1", "onx", "0x", "\0", "1\0", "x" * 4000)


def tree():
    """[(path below the top, mode)] of all files."""
    return [(os.path.relpath(os.path.join(top, name), rsoftnet.TOP), os.stat(os.path.join(top, name)).st_mode & 0o7777)
            for top, _, names in os.walk(rsoftnet.TOP) for name in names]


@ktap.case()
def modes():
    """Every file is root's alone, and what can be read can be read."""
    wanted = {"enable": 0o600, "functions": 0o600, "reset": 0o200, "device": 0o600, "netns": 0o600}
    files = tree()
    ktap.check(len(files) > 100, "only %d files" % len(files))
    for name, mode in files:
        ktap.equal("mode of " + name, oct(mode), oct(wanted.get(os.path.basename(name), 0o400)))
        ktap.equal("owner of " + name, os.stat(rsoftnet.path(name)).st_uid, 0)
        if mode & 0o400:
            kernel.read(rsoftnet.path(name))


@ktap.case()
def nonsense():
    """Nonsense is EINVAL and changes nothing."""
    rsoftnet.enter()
    rsoftnet.put("stage/xmit/enable", 1)
    rsoftnet.put("latency/poll/enable", 1)
    net.send_udp(net.udp_pair("127.0.0.1"), 10, 100)
    time.sleep(0.1)

    def state():
        return {name: kernel.read(rsoftnet.path(name)) for name, mode in tree()
                if mode & 0o600 == 0o600 or name == "stage/xmit/count"}
    before = state()
    for name, mode in tree():
        base = os.path.basename(name)
        for text in NONSENSE:
            if mode & 0o200 and base in ("enable", "reset", "functions"):
                ktap.fails("EINVAL", "%r to %s" % (text, name), os.write,
                           os.open(rsoftnet.path(name), os.O_WRONLY), (text + "\n").encode())
    for text in ("-1", "1x", "0x", "99999999999", "lo"):
        ktap.fails("EINVAL", "%r to filter/netns" % text, rsoftnet.put, "filter/netns", text)
    for text in ("1", "4026531000"):
        ktap.fails("ENOENT", "%r to filter/netns" % text, rsoftnet.put, "filter/netns", text)
    for text in ("nosuch", "lo ", " lo", "x" * 100, "lo/x", "..", "\xff"):
        ktap.fails("ENODEV|EINVAL", "%r to filter/device" % text, kernel.write, rsoftnet.path("filter/device"),
                   text.encode("latin-1"))
    ktap.fails("EINVAL", "a zero to filter/device", kernel.write, rsoftnet.path("filter/device"), b"lo\0")
    ktap.equal("state", state(), before)
    ktap.equal("xmit", before["stage/xmit/count"], "10")


@ktap.case()
def privileges():
    """Without CAP_NET_ADMIN nothing can be written, whatever was opened before."""
    rsoftnet.quiet()
    opened = os.open(rsoftnet.path("enable"), os.O_WRONLY)

    def powerless():
        kernel.drop_net_admin()
        ktap.fails("EPERM", "enable", rsoftnet.put, "enable", 1)
        ktap.fails("EPERM", "an open file", os.write, opened, b"1")
        ktap.fails("EPERM", "filter", rsoftnet.put, "filter/device", "lo")

    def nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        for name in ("snapshot", "enable", "stage/xmit/count", "backlog/processed"):
            ktap.fails("EACCES", "reading %s as nobody" % name, kernel.read, rsoftnet.path(name))
    ktap.value_of(powerless)
    ktap.value_of(nobody)
    ktap.equal("enable", kernel.read(rsoftnet.path("enable")), "0")


@ktap.case()
def enabling():
    """The files of a group say whether all, none or some of it is on."""
    rsoftnet.quiet()
    state = lambda *names: tuple(kernel.read(rsoftnet.path(name, "enable") if name else rsoftnet.path("enable")) for name in names)
    ktap.equal("at first", state("", "stage", "latency", "stage/drop"), ("0", "0", "0", "0"))
    rsoftnet.put("stage/drop/enable", "on")
    ktap.equal("one on", state("", "stage", "latency", "stage/drop", "stage/xmit"), ("partial", "partial", "0", "1", "0"))
    rsoftnet.put("stage/enable", "y")
    ktap.equal("stages on", state("", "stage", "latency", "stage/xmit"), ("partial", "1", "0", "1"))
    rsoftnet.put("enable", 1)
    ktap.equal("all on", state("", "stage", "latency", "latency/poll"), ("1", "1", "1", "1"))
    rsoftnet.put("stage/enable", 0)
    ktap.equal("stages off", state("", "stage", "latency"), ("partial", "0", "1"))
    ktap.equal("a function's, not asked for", state("stage/ip"), ("0",))
    if not ktap.error_of(rsoftnet.put, "stage/udp/enable", 1):
        ktap.equal("a function on", state("stage/udp", "latency"), ("1", "1"))
    rsoftnet.put("enable", "off")
    ktap.equal("functions off", state(*("stage/" + name for name in rsoftnet.FUNCTIONS)), ("0",) * len(rsoftnet.FUNCTIONS))
    ktap.equal("all off", state("", "stage", "latency"), ("0", "0", "0"))


@ktap.case()
def off_counts_nothing():
    """What is off does not count; what was counted stays until it is reset."""
    rsoftnet.enter()
    rsoftnet.put("stage/xmit/enable", 1)
    pair = net.udp_pair("127.0.0.1")
    net.send_udp(pair, 7, 100)
    rsoftnet.put("stage/xmit/enable", 0)
    net.send_udp(pair, 9, 100)
    seen = rsoftnet.Snapshot()
    ktap.equal("counts", {name: seen.count(name) for name in rsoftnet.STAGES}, dict.fromkeys(rsoftnet.STAGES, 0) | {"xmit": 7})
    rsoftnet.put("stage/netif_rx/reset", 1)
    ktap.equal("after another's reset", rsoftnet.stage("xmit"), 7)
    rsoftnet.put("stage/xmit/reset", 1)
    ktap.equal("after its reset", rsoftnet.stage("xmit"), 0)


@ktap.case()
def by_device():
    """Only one device's packets are counted; when it is gone nothing is, and a new one of its name is not it."""
    rsoftnet.enter(filtered=False)
    net.ip("link add one type veth peer name two")
    for name in ("one", "two"):
        net.set_up(name)
    frame = b"\xff" * 6 + b"\0" * 6 + b"\x88\xb5" + b"x" * 50

    def send(name, count):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            for _ in range(count):
                sock.sendto(frame, (name, 0))
    time.sleep(0.5)
    rsoftnet.put("filter/device", "two")
    rsoftnet.put("stage/enable", 1)
    start = rsoftnet.Snapshot()
    send("one", 20)
    send("lo", 5)
    time.sleep(0.2)
    seen = rsoftnet.Snapshot()
    count = lambda name: seen.count(name) - start.count(name)
    ktap.check(20 <= count("netif_rx") <= 25, "handed over by two: %d" % count("netif_rx"))
    ktap.check(count("xmit") <= 5, "sent by two: %d" % count("xmit"))
    ktap.equal("deliver", count("deliver"), count("netif_rx"))
    net.ip("link del one")
    ktap.equal("the filter", kernel.read(rsoftnet.path("filter/device")), "(gone)")
    net.ip("link add one type veth peer name two")
    for name in ("one", "two"):
        net.set_up(name)
    rsoftnet.put("reset", 1)
    send("one", 20)
    time.sleep(0.1)
    ktap.equal("counted without the device", [rsoftnet.stage(n) for n in ("xmit", "netif_rx", "deliver")], [0, 0, 0])
    rsoftnet.put("filter/device", "")
    ktap.equal("the filter", kernel.read(rsoftnet.path("filter/device")), "")
    send("one", 5)
    ktap.check(rsoftnet.stage("xmit") >= 5, "nothing is counted without a filter")


@ktap.case()
def by_namespace():
    """Only one namespace's packets are counted, and none when it has ended."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        os.unshare(os.CLONE_NEWNET)
        net.set_up("lo")
        theirs.send(b"%d" % rsoftnet.netns_inum())
        theirs.recv(1)
        net.send_udp(net.udp_pair("127.0.0.1"), 30, 100)
        theirs.send(b".")
        time.sleep(600)
    inum = int(ours.recv(100))
    rsoftnet.quiet()
    os.unshare(os.CLONE_NEWNET)
    net.set_up("lo")
    rsoftnet.put("filter/netns", inum)
    rsoftnet.put("stage/enable", 1)
    pair = net.udp_pair("127.0.0.1")
    net.send_udp(pair, 20, 100)
    ours.send(b".")
    ours.recv(1)
    net.send_udp(pair, 20, 100)
    time.sleep(0.1)
    ktap.equal("its packets", [rsoftnet.stage(n) for n in ("xmit", "netif_rx", "deliver", "wakeup")], [30] * 4)
    ktap.equal("the filter", rsoftnet.number("filter/netns"), inum)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    ktap.wait_for("the namespace is gone", lambda: kernel.read(rsoftnet.path("filter/netns")) == "(gone)", 20)
    rsoftnet.put("reset", 1)
    net.send_udp(pair, 20, 100)
    ktap.equal("without it", [rsoftnet.stage(n) for n in ("xmit", "netif_rx", "deliver")], [0, 0, 0])


def read_pieces(size):
    """The snapshot, read in pieces of so many bytes."""
    fd, text = os.open(rsoftnet.path("snapshot"), os.O_RDONLY), b""
    while part := os.read(fd, size):
        text += part
    os.close(fd)
    return text.decode()


@ktap.case()
def snapshots():
    """Under traffic, whatever the size of the pieces: one text, whose sums fit and where no stage is ahead of one before it."""
    rsoftnet.enter()
    rsoftnet.put("enable", 1)
    traffic = net.Traffic(("127.0.0.1",), tcp=False)
    last = 0
    for i in range(40):
        seen = rsoftnet.Snapshot(read_pieces((4096, 1, 100, 65536)[i % 4] if i < 8 else 4096))
        way = [seen.count(name) for name in ("xmit", "netif_rx", "deliver")]
        ktap.equal("a packet is where it was before", way, sorted(way, reverse=True))
        ktap.check(way[2] >= last, "deliver went from %d to %d" % (last, way[2]))
        last = way[2]
    ktap.check(last > 0, "no traffic")
    traffic.stop()


@ktap.case()
def many_readers():
    """Sixteen can read at the same time, each its own text; one more ends the first one's reading."""
    fds = [os.open(rsoftnet.path("snapshot"), os.O_RDONLY) for _ in range(17)]
    heads = [os.read(fd, 300) for fd in fds]
    ktap.fails("EAGAIN", "the first goes on", os.read, fds[0], 300)
    times = set()
    for fd, head in list(zip(fds, heads))[1:]:
        text = head
        while part := os.read(fd, 3000):
            text += part
        times.add(rsoftnet.Snapshot(text.decode()).other["time_ns"])
    ktap.equal("texts", len(times), 16)
    os.lseek(fds[0], 0, os.SEEK_SET)
    ktap.check(os.read(fds[0], 300).startswith(b"rsoftnet 1\n"), "beginning anew")


ktap.finally_(rsoftnet.quiet)
if __name__ == "__main__":
    sys.exit(rsoftnet.main())
