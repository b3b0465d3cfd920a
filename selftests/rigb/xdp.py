#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Native XDP: programs in the driver, with every verdict, frames of others, and what changes under them.

The first port has the program, the second sends. Frames are of a protocol that nobody else speaks,
and numbered.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import errno
import socket
import struct
import threading
import time

import bpf
import ktap
import net
import port
import tools
from bpf import R0, R1, R2, R3, R4, R5, R6, R7, R9
from forge import own_statistics
from viewed import COUNT, KIND, SWAP, Seen, for_ours, moved_head, moved_tail, payloads, text

# What a program could see at most: a buffer less a header and two tags.
LARGEST = 3072 - 22


@ktap.case(port.FEW)
def verdicts(drivers):
    """pass, drop, tx, aborted and one that there is not: what arrives where, and who counts it."""
    pair = Seen(drivers)
    sizes = [60 + 36 * n for n in range(COUNT)]
    want, runs = [text(n, size) for n, size in enumerate(sizes)], bpf.Counters(1)
    for name, action, at in (("pass", bpf.verdict(bpf.XDP_PASS), 0), ("drop", bpf.verdict(bpf.XDP_DROP), None),
                             ("tx", [SWAP, bpf.verdict(bpf.XDP_TX)], 1), ("aborted", bpf.verdict(bpf.XDP_ABORTED), None),
                             ("77", bpf.verdict(77), None)):
        pair.attach(for_ours([bpf.mov(R7, R2), runs.add(0), bpf.mov(R2, R7), action]))
        pair.wait_link()
        pair.ping()
        start, before, packets = runs.read()[0], pair.counters(), [pair.statistics(end) for end in (0, 1)]
        pair.send(sizes)
        for end in (0, 1):
            ktap.equal("%s: frames at port %d" % (name, end), pair.came(end, COUNT if at == end else 0), want if at == end else [])
        ktap.equal("%s: runs of the program" % name, runs.read()[0] - start, COUNT)
        if pair.drivers[0] == "rigb":
            ktap.equal("%s: counters" % name, [now - old for now, old in zip(pair.counters(), before)],
                       {"pass": [0, 0, 0], "tx": [0, COUNT, 0]}.get(name, [COUNT, 0, 0]))
        now = pair.statistics(0)
        ktap.check(now["rx_packets"] - packets[0]["rx_packets"] >= COUNT, "%s: not counted as received" % name)
        if at == 1:
            ktap.check(now["tx_packets"] - packets[0]["tx_packets"] >= COUNT, "not counted as sent")
            ktap.check(pair.statistics(1)["rx_packets"] - packets[1]["rx_packets"] >= COUNT, "not received")
    pair.attach(None)
    pair.wait_link()
    pair.send(sizes)
    ktap.equal("frames without a program", pair.came(0, COUNT), want)


@ktap.case(port.FEW)
def adjusted(drivers):
    """Longer and shorter at both ends, and metadata for the stack: the frame is what the program has made of it."""
    pair = Seen(drivers)
    for name, action, change in (
            ("20 bytes less in front", [moved_head(20), bpf.verdict(bpf.XDP_PASS)], lambda data: data[20:]),
            ("100 bytes more in front", [moved_head(-100), bpf.verdict(bpf.XDP_PASS)], lambda data: (100 + len(data), data)),
            ("50 bytes less behind", [moved_tail(-50), bpf.verdict(bpf.XDP_PASS)], lambda data: data[:-50]),
            ("200 bytes more behind", [moved_tail(200), bpf.verdict(bpf.XDP_PASS)], lambda data: data + bytes(200))):
        pair.attach(for_ours(action))
        pair.wait_link()
        pair.send([300] * COUNT)
        for number, data in enumerate(pair.came(0, COUNT)):
            want = change(text(number, 300))
            if isinstance(want, tuple):
                ktap.equal(name + ", length", len(data), want[0])
                data, want = data[want[0] - len(want[1]):], want[1]
            ktap.check(data == want, "%s: frame %d differs" % (name, number))
    # Metadata: four bytes in front of the frame, which a classifier finds again.
    right = bpf.Counters(1)
    pair.attach(for_ours([bpf.mov(R1, R9), bpf.mov(R2, -4), bpf.call(bpf.XDP_ADJUST_META), bpf.jump("pass", R0, "!=", 0),
                          bpf.load(4, R2, R9, 8), bpf.load(4, R3, R9, 0), bpf.mov(R4, R2), bpf.alu("add", R4, 4),
                          bpf.jump("pass", R4, ">", R3), bpf.store(4, R2, 0, 0x1234abcd), bpf.verdict(bpf.XDP_PASS)]))
    classifier = bpf.Program(bpf.SCHED_CLS, [
        bpf.load(4, R2, R1, 140), bpf.load(4, R3, R1, 76), bpf.mov(R4, R2), bpf.alu("add", R4, 4), bpf.jump("out", R4, ">", R3),
        bpf.load(4, R5, R2, 0), bpf.jump("out", R5, "!=", 0x1234abcd), right.add(0), "out", bpf.mov(R0, -1), bpf.exit_()])
    pair.wait_link()
    with pair.side(0):
        link = classifier.link(port.NAMES[0], bpf.AT_TCX, 0)
    pair.send([300] * COUNT)
    ktap.equal("frames", len(pair.came(0, COUNT)), COUNT)
    ktap.equal("frames with metadata", right.read(), [COUNT])
    os.close(link)


@ktap.case(port.FEW)
def redirected(drivers):
    """From the port to a veth, from a veth through the port, and to another CPU: whole, once, in order."""
    tools.need("VETH")
    pair = Seen(drivers)
    with pair.side(0):
        tools.ip_batch("link add v0 mtu 3000 type veth peer name v1 mtu 3000", "link set v0 up", "link set v1 up")
        # A veth takes frames of others only if its peer has a NAPI.
        tools.run("ethtool -K v1 gro on")
        veth, own = socket.if_nametoindex("v0"), socket.if_nametoindex(port.NAMES[0])
        other = net.Sniffer("v1")
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sender.bind(("v1", 0))
    devices, cpus = bpf.Map(bpf.DEVMAP, entries=4), bpf.Map(bpf.CPUMAP, 4, 8, max(net.cpus()) + 1)
    with pair.side(0):
        devices.set(0, veth)
        devices.set(1, own)
    sizes = [60 + 36 * n for n in range(COUNT)]
    want = [text(n, size) for n, size in enumerate(sizes)]
    pair.attach(for_ours([bpf.redirect_map(devices, 0)]))
    pair.wait_link()
    before = pair.counters()
    pair.send(sizes)
    ktap.check(payloads(other, COUNT, "the veth") == want, "other frames came to the veth")
    if pair.drivers[0] == "rigb":
        ktap.equal("counters", [now - old for now, old in zip(pair.counters(), before)], [0, 0, COUNT])
    ktap.equal("frames for the stack", pair.came(0, 0), [])
    # The other way: out of the veth's driver into the port's.
    with pair.side(0):
        bpf.need_xdp("v0", for_ours([bpf.redirect_map(devices, 1)]).fd, bpf.DRV_MODE)
    macs = pair.head[6:12] + pair.head[:6]
    for number, size in enumerate(sizes):
        sender.send(macs + struct.pack("!H", KIND) + text(number, size))
    ktap.check(pair.came(1, COUNT) == want, "other frames left the port")
    with pair.side(0):
        bpf.need_xdp("v0", -1, bpf.DRV_MODE)
    # Through the port to itself, which is told once more in its own poll function.
    pair.attach(for_ours([SWAP, bpf.redirect_map(devices, 1)]))
    pair.wait_link()
    pair.send(sizes)
    ktap.check(pair.came(1, COUNT) == want, "other frames came back")
    # To each CPU.
    for cpu in net.cpus():
        cpus.set(cpu, struct.pack("=II", 512, 0))
        pair.attach(for_ours([bpf.redirect_map(cpus, cpu)]))
        pair.wait_link()
        pair.send(sizes)
        ktap.check(pair.came(0, COUNT) == want, "other frames came by CPU %d" % cpu)
    pair.attach(None)
    sender.close()


@ktap.case(port.FEW)
def in_pieces(drivers):
    """Frames of several pieces, and very short ones, out of a veth through the port."""
    tools.need("VETH")
    pair = Seen(drivers, 9000)
    with pair.side(0):
        tools.ip_batch("link add v0 mtu 9000 type veth peer name v1 mtu 9000", "link set v0 up", "link set v1 up")
        own = socket.if_nametoindex(port.NAMES[0])
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sender.bind(("v1", 0))
        bpf.need_xdp("v0", for_ours([bpf.mov(R1, own), bpf.mov(R2, 0), bpf.call(bpf.REDIRECT)], bpf.HAS_FRAGS).fd, bpf.DRV_MODE)
    macs = pair.head[6:12] + pair.head[:6] + struct.pack("!H", KIND)
    sizes = [30 + 224 * n for n in range(COUNT)]
    for number, size in enumerate(sizes):
        sender.send(macs + text(number, size))
    want = [text(n, size) for n, size in enumerate(sizes)]
    came = pair.came(1, COUNT)
    ktap.check([data[:len(text)] for data, text in zip(came, want)] == want, "other frames came: %s" % [len(data) for data in came])
    # Cut to a bare header, sent back: the device cannot send less than 17 bytes.
    pair.attach(None)
    pair.mtu(1500)
    pair.attach(for_ours([SWAP, bpf.mov(R1, R9), bpf.mov(R2, -100), bpf.call(bpf.XDP_ADJUST_TAIL), bpf.verdict(bpf.XDP_TX)]))
    pair.wait_link()
    pair.send([100] * COUNT)
    came = pair.came(1, COUNT)
    ktap.equal("short frames", [any(data) for data in came], [False] * COUNT)
    sender.close()


@ktap.case(port.FEW)
def tags(drivers):
    """With rxvlan off a program sees tags, and frames leave with them; with it on, the device has taken them."""
    pair = Seen(drivers)
    tagged = bpf.Counters(1)
    see = bpf.Program(bpf.XDP, [bpf.xdp_needs(40, "pass"), bpf.load(2, R5, R2, 12), bpf.jump("pass", R5, "!=", socket.htons(0x8100)),
                                tagged.add(0), "pass", bpf.mov(R0, bpf.XDP_PASS), bpf.exit_()])
    pair.attach(see)
    for stripping, count in (("on", 0), ("off", COUNT)):
        pair.run(0, "ethtool -K %%s rxvlan %s rx-vlan-filter off" % stripping)
        pair.wait_link()
        before = tagged.read()[0]
        for number in range(COUNT):
            pair.sock.send(pair.head[:12] + struct.pack("!HHH", 0x8100, 5, KIND) + text(number, 100))
        # What comes behind them is there.
        pair.ping()
        port.settled()
        ktap.equal("tags seen with rxvlan " + stripping, tagged.read()[0] - before, count)


@ktap.case(limit=120)
def mtu():
    """A program sees frames in one buffer: longer ones are refused, with a reason, before and after."""
    pair = Seen("rigb-igb")
    program = for_ours(bpf.verdict(bpf.XDP_PASS))
    pair.mtu(LARGEST + 1)
    with pair.side(0):
        error, why = bpf.attach_xdp(port.NAMES[0], program.fd, bpf.DRV_MODE)
    ktap.equal("error", error, "EINVAL")
    ktap.check("MTU" in why, "the reason is %r" % why)
    pair.mtu(LARGEST)
    pair.attach(program)
    status, _, _ = pair.attempt(0, "ip link set dev %%s mtu %d" % (LARGEST + 1))
    ktap.check(status, "a larger MTU was taken")
    ktap.equal("MTU", pair.link(0)["mtu"], LARGEST)
    sizes = [LARGEST - 3, LARGEST - 2, LARGEST - 1, LARGEST]
    pair.send(sizes)
    ktap.equal("lengths", [len(data) for data in pair.came(0, len(sizes))], sizes)
    pair.exchange(size=LARGEST - 28)
    # rx-all lets longer frames in, which no program can see.
    pair.run(0, "ethtool -K %s rx-all on")
    pair.run(1, "ip link set dev %s mtu 9216")
    pair.wait_link()
    before = own_statistics(pair)["rx_length_errors"]
    pair.send([9000] * 5)
    pair.send([100])
    ktap.equal("lengths", [len(data) for data in pair.came(0, 1)], [100])
    ktap.equal("length errors", own_statistics(pair)["rx_length_errors"] - before, 5)
    pair.attach(None)
    pair.run(0, "ip link set dev %s mtu 9216")
    pair.wait_link()
    pair.exchange(size=9000)


def both_ways(pair, stop, errors):
    """TCP both ways until told to stop."""
    try:
        one, other = pair.tcp()
        with one, other:
            number = 0
            while not stop.is_set():
                for source, sink in ((one, other), (other, one)):
                    source.sendall(net.datagram(number, 40000))
                    net.check_datagram(net.read_exactly(sink, 40000), number, 40000)
                number += 1
            errors.append(number)
    except (OSError, ktap.Failure) as error:
        errors.append(error)


@ktap.case(limit=200)
def under_traffic():
    """Attached, exchanged and detached while TCP flows: the link stays, nothing is lost."""
    pair = Seen("rigb-rigb")
    counters = bpf.Counters(2)
    programs = [bpf.Program(bpf.XDP, [counters.add(n), bpf.verdict(bpf.XDP_PASS), bpf.exit_()]) for n in (0, 1)]
    changes, lost = pair.file(0, "carrier_changes"), pair.statistics(0)
    stop, done = threading.Event(), []
    # A socket's namespace is that of the thread that makes it.
    traffic = threading.Thread(target=both_ways, args=(pair, stop, done))
    traffic.start()
    port.settled()
    for _ in range(10):
        for n in (0, 1):
            start = counters.read()[n]
            pair.attach(programs[n])
            ktap.wait_for("program %d runs" % n, lambda n=n, start=start: counters.read()[n] > start + 10, 20)
        pair.attach(None)
    # A poll that runs has the program yet.
    port.settled()
    ended = counters.read()
    port.settled()
    stop.set()
    traffic.join()
    ktap.check(isinstance(done[0], int) and done[0] > 0, "traffic: %r" % done)
    ktap.equal("runs after it was detached", counters.read(), ended)
    ktap.equal("changes of the link", pair.file(0, "carrier_changes"), changes)
    now = pair.statistics(0)
    ktap.equal("lost", [now[name] - lost[name] for name in ("rx_dropped", "rx_errors", "tx_dropped")], [0] * 3)


@ktap.case(limit=200)
def comes_and_goes():
    """Frames of a veth leave through a port that goes down and up, changes its rings and is taken away with a program."""
    tools.need("VETH")
    pair = Seen("rigb-rigb")
    with pair.side(0):
        tools.ip_batch("link add v0 type veth peer name v1", "link set v0 up", "link set v1 up")
        own = socket.if_nametoindex(port.NAMES[0])
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sender.bind(("v1", 0))
        bpf.need_xdp("v0", for_ours([bpf.mov(R1, own), bpf.mov(R2, 0), bpf.call(bpf.REDIRECT)]).fd, bpf.DRV_MODE)
    pair.attach(for_ours([SWAP, bpf.verdict(bpf.XDP_TX)]))
    frame = pair.head[6:12] + pair.head[:6] + struct.pack("!H", KIND) + text(0, 1000)
    stop, errors = threading.Event(), []

    def flood():
        while not stop.is_set():
            try:
                for _ in range(20):
                    sender.send(frame)
                # What comes back from the first port's program.
                pair.send([200] * 20)
            except OSError as error:
                # The second port has no link while the first one is away.
                if error.errno not in (errno.ENETDOWN, errno.ENOBUFS):
                    errors.append(error)
            time.sleep(0.001)

    def lengths():
        return {len(one[2]) for one in pair.sniffers[1].frames() if one[0] != net.PACKET_OUTGOING and one[1] == KIND}
    thread = threading.Thread(target=flood)
    thread.start()
    try:
        for n in range(6):
            for change in ("ip link set dev %s down", "ip link set dev %s up", "ethtool -G %%s rx %d tx %d" % (64 << n % 3, 64 << n % 3),
                           "ethtool -L %%s combined %d" % (1 + n % 4)):
                pair.run(0, change)
                time.sleep(0.05 * ktap.SLOW)
        pair.wait_link()
        lengths()
        seen = set()
        # The veth's, and those that are sent back.
        ktap.wait_for("frames leave again", lambda: seen.update(lengths()) or {1014, 214} <= seen, 20)
        # Away with all of it.
        port.unbind(pair.devices[0])
    finally:
        stop.set()
        thread.join()
    sender.close()
    ktap.equal("errors", errors, [])
    pair = port.Pair("rigb-rigb")
    ktap.check("xdp" not in pair.link(0), "there still is a program")
    pair.ping()


if __name__ == "__main__":
    sys.exit(port.main())
