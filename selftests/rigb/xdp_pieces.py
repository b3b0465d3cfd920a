#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Native XDP with frames that need several buffers: programs that take them (BPF_F_XDP_HAS_FRAGS), up to the largest MTU.

igb has no such programs, so it is at the other end only.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import socket
import struct
import threading

import bpf
import kernel
import ktap
import net
import port
import tools
from bpf import R0, R1, R2, R3, R4, R6, R7, R9
from forge import own_statistics
from viewed import COUNT, MOVED, SWAP, Seen, for_ours, moved_head, moved_tail, payloads, text

# A buffer has 3072 bytes: from one buffer to four.
SIZES = [60 + 232 * n for n in range(COUNT)]
LARGEST = 9216


def frags(action):
    """A program for frames of ours in any number of pieces."""
    return for_ours(action, bpf.HAS_FRAGS)


@ktap.case(port.FEW)
def verdicts(drivers):
    """pass, drop, tx, aborted: what arrives where, whole, and who counts it; longer ones for the stack before and after."""
    pair = Seen(drivers, LARGEST)
    want, runs = [text(n, size) for n, size in enumerate(SIZES)], bpf.Counters(1)
    for name, action, at in (("pass", bpf.verdict(bpf.XDP_PASS), 0), ("drop", bpf.verdict(bpf.XDP_DROP), None),
                             ("tx", [SWAP, bpf.verdict(bpf.XDP_TX)], 1), ("aborted", bpf.verdict(bpf.XDP_ABORTED), None)):
        pair.attach(frags([bpf.mov(R7, R2), runs.add(0), bpf.mov(R2, R7), action]))
        pair.wait_link()
        pair.ping(size=8000)
        start, before, packets = runs.read()[0], pair.counters(), pair.statistics(0)
        pair.send(SIZES)
        for end in (0, 1):
            came = pair.came(end, COUNT if at == end else 0)
            ktap.check(came == (want if at == end else []), "%s: other frames at port %d: %s" % (name, end, list(map(len, came))))
        ktap.equal("%s: runs of the program" % name, runs.read()[0] - start, COUNT)
        ktap.equal("%s: counters" % name, [now - old for now, old in zip(pair.counters(), before)],
                   {"pass": [0, 0, 0], "tx": [0, COUNT, 0]}.get(name, [COUNT, 0, 0]))
        got = pair.statistics(0)["rx_bytes"] - packets["rx_bytes"]
        ktap.check(got >= sum(SIZES) + 14 * COUNT, "%s: %d bytes counted as received" % (name, got))
    pair.bytes_both_ways()
    pair.attach(None)
    pair.wait_link()
    pair.send(SIZES)
    ktap.check(pair.came(0, COUNT) == want, "other frames without a program")


@ktap.case(port.FEW)
def adjusted(drivers):
    """Longer and shorter at both ends, by less than a piece and by several: the frame is what the program has made of it."""
    pair = Seen(drivers, LARGEST)
    back = [moved_tail(-5000), bpf.jump("pass", R0, "!=", 0), MOVED, SWAP, bpf.verdict(bpf.XDP_TX)]
    sizes = [3300, 3057, 3100, 6130, 6140, 9000, 9216]
    for name, action, least, change in (
            ("20 bytes less in front", [moved_head(20), bpf.verdict(bpf.XDP_PASS)], 0, lambda data: data[20:]),
            ("100 bytes more in front", [moved_head(-100), bpf.verdict(bpf.XDP_PASS)], 0, lambda data: (100 + len(data), data)),
            ("50 bytes less behind", [moved_tail(-50), bpf.verdict(bpf.XDP_PASS)], 0, lambda data: data[:-50]),
            ("2,000 bytes less behind", [moved_tail(-2000), bpf.verdict(bpf.XDP_PASS)], 0, lambda data: data[:-2000]),
            ("5,000 bytes less behind", [moved_tail(-5000), bpf.verdict(bpf.XDP_PASS)], 6000, lambda data: data[:-5000]),
            ("8,000 bytes less behind", [moved_tail(-8000), bpf.verdict(bpf.XDP_PASS)], 9000, lambda data: data[:-8000]),
            ("400 bytes more behind", [moved_tail(400), bpf.verdict(bpf.XDP_PASS)], 0, lambda data: data + bytes(400)),
            ("5,000 bytes less, sent back", back, 6000, lambda data: data[:-5000])):
        pair.attach(frags(action))
        pair.wait_link()
        own = [size for size in sizes if size >= least]
        pair.send(own)
        came = pair.came(1 if "back" in name else 0, len(own))
        ktap.equal(name + ": frames", len(came), len(own))
        for number, (size, data) in enumerate(zip(own, came)):
            want = change(text(number, size))
            if isinstance(want, tuple):
                ktap.equal("%s: length of frame %d" % (name, number), len(data), want[0])
                data, want = data[want[0] - len(want[1]):], want[1]
            ktap.equal("%s: length of frame %d" % (name, number), len(data), len(want))
            ktap.check(data == want, "%s: frame %d differs" % (name, number))


@ktap.case(port.FEW)
def redirected(drivers):
    """To a veth, back through the port, and to another CPU: whole, once, in order."""
    tools.need("VETH")
    pair = Seen(drivers, LARGEST)
    with pair.side(0):
        tools.ip_batch("link add v0 mtu 9216 type veth peer name v1 mtu 9216", "link set v0 up", "link set v1 up")
        # A veth takes frames in pieces if its peer has a program that does.
        bpf.need_xdp("v1", frags(bpf.verdict(bpf.XDP_PASS)).fd, bpf.DRV_MODE)
        veth, own = socket.if_nametoindex("v0"), socket.if_nametoindex(port.NAMES[0])
        other = net.Sniffer("v1")
    devices, cpus = bpf.Map(bpf.DEVMAP, entries=4), bpf.Map(bpf.CPUMAP, 4, 8, max(net.cpus()) + 1)
    with pair.side(0):
        devices.set(0, veth)
        devices.set(1, own)
    want = [text(n, size) for n, size in enumerate(SIZES)]
    pair.attach(frags([bpf.redirect_map(devices, 0)]))
    pair.wait_link()
    before = pair.counters()
    pair.send(SIZES)
    found = payloads(other, COUNT, "the veth")
    ktap.check(found == want, "other frames came to the veth: %s" % list(map(len, found)))
    ktap.equal("counters", [now - old for now, old in zip(pair.counters(), before)], [0, 0, COUNT])
    ktap.equal("frames for the stack", pair.came(0, 0), [])
    pair.attach(frags([SWAP, bpf.redirect_map(devices, 1)]))
    pair.wait_link()
    pair.send(SIZES)
    ktap.check(pair.came(1, COUNT) == want, "other frames came back")
    for cpu in net.cpus():
        cpus.set(cpu, struct.pack("=II", 512, 0))
        pair.attach(frags([bpf.redirect_map(cpus, cpu)]))
        pair.wait_link()
        pair.send(SIZES)
        ktap.check(pair.came(0, COUNT) == want, "other frames came by CPU %d" % cpu)
    pair.attach(None)


@ktap.case(limit=120)
def mtu():
    """With such a program any MTU will do; another kind of program takes its place at a small one only."""
    pair = Seen("rigb-igb")
    program, short = frags(bpf.verdict(bpf.XDP_PASS)), for_ours(bpf.verdict(bpf.XDP_PASS))
    pair.attach(program)
    pair.mtu(LARGEST)
    pair.ping(size=9000)
    with pair.side(0):
        ktap.equal("error", bpf.attach_xdp(port.NAMES[0], short.fd, bpf.DRV_MODE)[0], "EINVAL")
    pair.send(SIZES)
    ktap.equal("frames", len(pair.came(0, COUNT)), COUNT)
    pair.run(0, "ip link set dev %s mtu 1500")
    pair.attach(short)
    status, _, _ = pair.attempt(0, "ip link set dev %%s mtu %d" % LARGEST)
    ktap.check(status, "a larger MTU was taken")
    # rx-all lets longer frames in: those that need several buffers are not for this program.
    pair.run(0, "ethtool -K %s rx-all on")
    pair.wait_link()
    before = own_statistics(pair)["rx_length_errors"]
    pair.send([9000] * 5 + [100])
    ktap.equal("lengths", [len(data) for data in pair.came(0, 1)], [100])
    ktap.equal("length errors", own_statistics(pair)["rx_length_errors"] - before, 5)


@ktap.case(limit=200)
def nothing_kept():
    """Memory of frames in pieces comes back: dropped, sent back, cut."""
    pair = Seen("rigb-igb", LARGEST)
    many = 6000 if ktap.SLOW == 1 else 3000

    def free():
        return int(kernel.read("/proc/meminfo").split("MemAvailable:")[1].split()[0])
    for name, action in (("drop", bpf.verdict(bpf.XDP_DROP)), ("tx", [SWAP, bpf.verdict(bpf.XDP_TX)]), ("cut", [
            moved_tail(-5000), bpf.verdict(bpf.XDP_DROP)])):
        pair.attach(frags(action))
        pair.wait_link()
        pair.send([9000] * 100)
        port.settled()
        before, runs = free(), sum(pair.counters())
        for _ in range(many // 50):
            pair.send([9000] * 50)
            pair.sniffers[1].frames()
        port.settled()
        seen = sum(pair.counters()) - runs
        ktap.check(seen > many // 2, "%s: the program has seen %d of %d frames" % (name, seen, many))
        lost = before - free()
        ktap.note("%s: %d frames, %d KiB less memory" % (name, seen, lost))
        # Two of four pages of each that are not given back are much more.
        ktap.check(lost < seen * 4, "%s: %d KiB less memory after %d frames" % (name, lost, seen))


@ktap.case(limit=200)
def under_traffic():
    """Attached, exchanged and detached while TCP flows in large frames: the link stays, every byte comes."""
    pair = Seen("rigb-rigb", 9000)
    counters = bpf.Counters(2)
    programs = [bpf.Program(bpf.XDP, [counters.add(n), bpf.verdict(bpf.XDP_PASS), bpf.exit_()], flags=bpf.HAS_FRAGS) for n in (0, 1)]
    changes, errors = pair.file(0, "carrier_changes"), []
    stop = threading.Event()

    def both_ways():
        one, other = pair.tcp()
        with one, other:
            number = 0
            while not stop.is_set():
                for source, sink in ((one, other), (other, one)):
                    source.sendall(net.datagram(number, 60000))
                    net.check_datagram(net.read_exactly(sink, 60000), number, 60000)
                number += 1
            errors.append(number)

    def traffic():
        try:
            both_ways()
        except (OSError, ktap.Failure) as error:
            errors.append(error)
    thread = threading.Thread(target=traffic)
    thread.start()
    for _ in range(10):
        for n in (0, 1):
            start = counters.read()[n]
            pair.attach(programs[n])
            ktap.wait_for("program %d runs" % n, lambda n=n, start=start: counters.read()[n] > start + 10, 20)
        pair.attach(None)
    port.settled()
    stop.set()
    thread.join()
    ktap.check(isinstance(errors[0], int) and errors[0] > 0, "traffic: %r" % errors)
    ktap.equal("changes of the link", pair.file(0, "carrier_changes"), changes)
    ktap.note("%d rounds" % errors[0])


if __name__ == "__main__":
    sys.exit(port.main())
