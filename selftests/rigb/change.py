#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Whatever is changed while packets fly: streams go on, with the same bytes, and no counter goes back."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import contextlib
import threading

import bpf
import ktap
import net
import port

RIGB = ("rigb-igb", "rigb-rigb")


class Streams:
    """Two TCP streams, one each way, until they are stopped; every byte is compared."""

    def __init__(self, pair):
        self.done = threading.Event()
        self.failures, self.blocks = [], [0, 0]
        self.sockets, self.threads = [], []
        for n, source in enumerate((0, 1)):
            one, other = pair.tcp()
            if source:
                one, other = other, one
            self.sockets += [one, other]
            for target in (self._send, self._receive):
                self.threads.append(threading.Thread(target=target, args=((one, other), n)))
        for thread in self.threads:
            thread.start()

    def _send(self, ends, n):
        block, seq = os.urandom(20000), 0
        try:
            while not self.done.is_set():
                ends[0].sendall(seq.to_bytes(8, "big") + block[:8] + block)
                seq += 1
            ends[0].shutdown(1)
        except OSError as error:
            self.failures.append("stream %d: sending: %s" % (n, error))

    def _receive(self, ends, n):
        first, seq = None, 0
        try:
            while data := net.read_exactly(ends[1], 20016):
                first = first or data[8:]
                if data != seq.to_bytes(8, "big") + first:
                    self.failures.append("stream %d: block %d differs" % (n, seq))
                    return
                seq += 1
                self.blocks[n] = seq
        except OSError as error:
            self.failures.append("stream %d: receiving: %s" % (n, error))

    def moved(self):
        """Waits until both have gone on."""
        was = list(self.blocks)
        ktap.wait_for("both streams go on", lambda: self.failures or all(
            now > before + 1 for now, before in zip(self.blocks, was)), 30)
        ktap.equal("failures", self.failures, [])

    def stop(self):
        """Ends them; fails if anything was lost or changed."""
        self.done.set()
        for thread in self.threads:
            thread.join()
        for sock in self.sockets:
            sock.close()
        ktap.equal("failures", self.failures, [])
        ktap.note("blocks: %s" % self.blocks)


@contextlib.contextmanager
def streams(pair):
    """Traffic around what is inside."""
    running = Streams(pair)
    try:
        running.moved()
        yield running
        running.moved()
    finally:
        running.done.set()
    running.stop()


def change(pair, commands):
    """Each command, under traffic; packets and bytes never go back."""
    last = pair.statistics(0)
    with streams(pair) as running:
        for command in commands:
            pair.run(0, command)
            running.moved()
            now = pair.statistics(0)
            for name, value in last.items():
                ktap.check(now[name] >= value, "%s: %s went from %d to %d" % (command, name, value, now[name]))
            last = now


@ktap.case(RIGB, limit=200)
def rings(drivers):
    """Longer and shorter rings."""
    change(port.Pair(drivers), ["ethtool -G %%s rx %d tx %d" % both for both in ((64, 64), (4096, 4096), (512, 72), (256, 256))])


@ktap.case(RIGB, limit=200)
def channels(drivers):
    """More and fewer queues."""
    change(port.Pair(drivers), ["ethtool -L %%s combined %d" % count for count in (1, 4, 16, 3, 2)])


@ktap.case(RIGB, limit=200)
def mtu(drivers):
    """The MTU, up and down; the other end takes the largest all the time."""
    pair = port.Pair(drivers)
    pair.run(1, "ip link set dev %s mtu 9216")
    pair.wait_link()
    change(pair, ["ip link set dev %%s mtu %d" % size for size in (9216, 1500, 4000, 1280, 1500)])


@ktap.case(RIGB, limit=200)
def offloads(drivers):
    """Offloads."""
    change(port.Pair(drivers), ["ethtool -K %%s %s %s" % (name, how) for name in ("tso", "tx", "sg", "rx", "gro", "rxvlan")
                                for how in ("off", "on")])


@ktap.case(RIGB, limit=200)
def filters(drivers):
    """Promiscuous, all multicast, more addresses than the device compares, VLANs that come and go."""
    commands = ["ip link set dev %s promisc on", "ip link set dev %s promisc off",
                "ip link set dev %s allmulticast on", "ip link set dev %s allmulticast off"]
    commands += ["bridge fdb add 02:00:00:00:01:%02x dev %%s self" % n for n in range(30)]
    commands += ["ip link add link %s name v1 type vlan id 1001", "ip link set dev v1 up", "ip link del dev v1"]
    change(port.Pair(drivers), commands)


@ktap.case(RIGB, limit=200)
def xdp(drivers):
    """A generic XDP program is attached and detached; frames really pass through it."""
    pair = port.Pair(drivers)
    hits = bpf.Counters(1)
    program = bpf.Program(bpf.XDP, [hits.add(0), bpf.mov(bpf.R0, bpf.XDP_PASS), bpf.exit_()])
    with streams(pair) as running:
        for _ in range(5):
            before = hits.read()[0]
            with pair.side(0):
                bpf.need_xdp(port.NAMES[0], program.fd)
            running.moved()
            ktap.check(hits.read()[0] > before, "no frame came through the program")
            with pair.side(0):
                bpf.need_xdp(port.NAMES[0], -1)
            running.moved()


@ktap.case(RIGB, limit=200)
def down_and_up(drivers):
    """Down and up under traffic: TCP outlives it."""
    pair = port.Pair(drivers)
    with streams(pair) as running:
        for _ in range(3):
            pair.run(0, "ip link set dev %s down")
            pair.run(0, "ip link set dev %s up")
            running.moved()


if __name__ == "__main__":
    sys.exit(port.main())
