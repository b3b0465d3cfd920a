#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A device that lies: write-backs that it never made, in the VM's memory. Boot with port.py hostile."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import glob
import random
import struct
import time

import bpf
import forge
import kernel
import ktap
import net
import port
from forge import DD, EOP, VP, frame

# What one buffer holds, which the device was told, and how many pieces a packet can have.
BUFFER, FRAGMENTS = 3072, 17
RANDOM_SECONDS = 5 if ktap.SLOW == 1 else 20
# sysfs of the first port's namespace.
SYS = "/tmp/rnet-sys"


class Forger:
    """A quiet pair whose first port's receive ring is written to by us."""

    def __init__(self, queues=1):
        self.pair = port.Pair("rigb-igb")
        self.pair.run(0, "ethtool -L %%s combined %d" % queues)
        self.pair.wait_link()
        forge.quiet(self.pair)
        self.pair.ping()
        self.registers, self.ram = forge.Registers(self.pair.devices[0]), forge.Ram()
        self.ring = forge.RxRing(self.registers, self.ram)
        with self.pair.side(0):
            self.sniffer = net.Sniffer(port.NAMES[0])
        self.log = kernel.Log()
        self.before = self.counts()

    def counts(self):
        """All counters."""
        return {**forge.own_statistics(self.pair), **self.pair.statistics(0)}

    def grown(self, **wanted):
        """Waits until the counters have grown by exactly this much."""
        seen = {}

        def is_so():
            now = self.counts()
            seen.update((name, now[name] - self.before[name]) for name in wanted)
            return seen == wanted
        try:
            ktap.wait_for("counters", is_so, 3)
        except ktap.Failure:
            ktap.equal("counters", seen, wanted)
        self.before = self.counts()

    def write(self, *descriptors):
        """Write-backs."""
        self.ring.write_back(*descriptors)

    def works(self):
        """The ring goes on."""
        self.pair.ping()
        self.pair.exchange(count=64)
        self.sniffer.frames()
        self.before = self.counts()


@ktap.case(limit=120)
def lengths():
    """0, less than a header, more than the buffer: dropped, counted, one line in the log."""
    forger = Forger()
    for length in (0, BUFFER + 1, 4096, 16384, 65535):
        forger.write(frame(length))
        forger.grown(rx_length_errors=1, rx_errors=1, rx_packets=0)
    for length in (1, 13):
        forger.write(frame(length))
        forger.grown(rx_length_errors=1, rx_errors=1, rx_packets=0)
    ktap.check(forger.log.lines("queue 0: the device wrote 65535 bytes"), "nothing in the log")
    ktap.equal("frames that came", forger.sniffer.frames(), [])
    # What a buffer can hold is a frame, whatever is in it.
    for length in (14, 60, 1514, BUFFER):
        forger.write(frame(length))
        forger.grown(rx_packets=1, rx_bytes=length, rx_length_errors=0)
    ktap.equal("lengths that came", [len(found[2]) for found in forger.sniffer.frames()], [14, 60, 1514, BUFFER])
    forger.works()
    start = time.monotonic()
    for _ in range(40):
        forger.write(frame(65535))
    forger.grown(rx_length_errors=40)
    # Ten in five seconds, which may begin in between.
    most = 20 + 10 * int((time.monotonic() - start) / 5)
    said = len(forger.log.lines("the device wrote"))
    ktap.check(said <= min(most, 39), "the log is flooded: %d lines" % said)
    forger.works()


def down_and_up(pair):
    """The first port goes down with what has come of a frame, and up with a new ring."""
    port.settled()
    pair.run(0, "ip link set dev %s down")
    pair.run(0, "ip link set dev %s up")
    pair.wait_link()
    forge.quiet(pair)


@ktap.case(limit=120)
def frames_without_an_end():
    """More pieces than a packet can have, no end at all, an end alone: one frame is dropped, the next comes."""
    forger = Forger()
    forger.write(*[frame(BUFFER, DD)] * 40)
    forger.grown(rx_length_errors=1, rx_packets=0)
    forger.write(frame(100))
    forger.write(frame(100))
    # The first of these ended what was being skipped.
    forger.grown(rx_packets=1, rx_length_errors=0)
    # As many as fit, and one more.
    forger.write(*[frame(BUFFER, DD)] * FRAGMENTS, frame(100))
    forger.grown(rx_packets=1, rx_length_errors=0, rx_bytes=FRAGMENTS * BUFFER + 100)
    forger.write(*[frame(BUFFER, DD)] * (FRAGMENTS + 1), frame(100))
    forger.grown(rx_packets=0, rx_length_errors=1)
    # A piece of nothing, of too much, and a damaged one, inside and at the end.
    for bad in (frame(0, DD), frame(65535, DD), frame(100, DD | 1 << 31)):
        forger.write(frame(1000, DD), bad, frame(1000))
        forger.grown(rx_packets=0, rx_errors=1)
        forger.write(frame(1000, DD), (bad[0], bad[1] | EOP))
        forger.grown(rx_packets=0, rx_errors=1)
        forger.works()
    # A frame that never ends, when the port goes down: nothing is lost, which kmemleak would see.
    forger.write(*[frame(BUFFER, DD)] * 5)
    down_and_up(forger.pair)
    forger.pair.ping()


@ktap.case(limit=120)
def programs():
    """A frame begins without a program and ends with one: it is dropped, the program sees the next one."""
    forger, runs = Forger(), bpf.Counters(1)
    program = bpf.Program(bpf.XDP, [runs.add(0), bpf.verdict(bpf.XDP_PASS), bpf.exit_()])
    for _ in range(3):
        forger.write(frame(1000, DD))
        port.settled()
        with forger.pair.side(0):
            bpf.need_xdp(port.NAMES[0], program.fd, bpf.DRV_MODE)
        forger.write(frame(500))
        forger.grown(rx_packets=0, rx_length_errors=1, rx_errors=1)
        forger.write(frame(100))
        forger.grown(rx_packets=1, rx_bytes=100)
        # In two buffers: no program can see it.
        forger.write(frame(BUFFER, DD), frame(100))
        forger.grown(rx_packets=0, rx_length_errors=1)
        with forger.pair.side(0):
            bpf.need_xdp(port.NAMES[0], -1, bpf.DRV_MODE)
    ktap.equal("runs of the program", runs.read(), [3])
    forger.works()


@ktap.case(limit=120)
def programs_for_pieces():
    """What has no end, no beginning or too many pieces, for a program that takes them: dropped, and the next one comes."""
    runs = bpf.Counters(1)
    program = bpf.Program(bpf.XDP, [runs.add(0), bpf.verdict(bpf.XDP_PASS), bpf.exit_()], flags=bpf.HAS_FRAGS)
    for _ in range(2):
        forger = Forger()

        def attach(fd, pair=forger.pair):
            with pair.side(0):
                bpf.need_xdp(port.NAMES[0], fd, bpf.DRV_MODE)
        attach(program.fd)
        # Begins with the program, ends without it: for the stack.
        forger.write(frame(1000, DD), frame(700, DD))
        port.settled()
        attach(-1)
        forger.write(frame(500))
        forger.grown(rx_packets=1, rx_bytes=2200, rx_errors=0)
        attach(program.fd)
        forger.write(*[frame(BUFFER, DD)] * FRAGMENTS, frame(100))
        forger.grown(rx_packets=1, rx_length_errors=0, rx_bytes=FRAGMENTS * BUFFER + 100)
        forger.write(*[frame(BUFFER, DD)] * (FRAGMENTS + 1), frame(100))
        forger.grown(rx_packets=0, rx_length_errors=1)
        forger.write(*[frame(BUFFER, DD)] * 40, frame(100), frame(100))
        forger.grown(rx_packets=1, rx_length_errors=1)
        for bad in (frame(0, DD), frame(65535, DD), frame(100, DD | 1 << 31)):
            forger.write(frame(1000, DD), bad, frame(1000))
            forger.grown(rx_packets=0, rx_errors=1)
        forger.write(frame(13, DD), frame(1000))
        forger.grown(rx_packets=0, rx_length_errors=1)
        # Without an end when the port goes down.
        forger.write(*[frame(BUFFER, DD)] * 5)
        down_and_up(forger.pair)
        attach(-1)
        forger.pair.ping()
    ktap.check(runs.read()[0] >= 4, "runs of the program: %s" % runs.read())


@ktap.case(limit=120)
def not_done():
    """A length and an end without the bit that says that the device is done: nothing comes of it."""
    forger = Forger()
    address = forger.ring.base + 16 * forger.ring.get(forge.RDH)
    forger.ram.write(address + 8, struct.pack("<Q", frame(100, EOP)[1]))
    forger.registers.write(forge.EICS, 0x3ff)
    port.settled()
    forger.grown(rx_packets=0, rx_errors=0)
    # Then it is.
    forger.write(frame(100))
    forger.grown(rx_packets=1, rx_bytes=100)
    forger.works()


@ktap.case(limit=120)
def kinds_and_flags():
    """Every packet type, hash type and error bit, and those that mean nothing."""
    forger = Forger()
    damaged = sum(1 << bit for bit in (24, 25, 26, 28, 31))
    for bit in range(2, 32):
        forger.write(frame(60, DD | EOP | 1 << bit))
        bad = int(bool(damaged & 1 << bit))
        forger.grown(rx_packets=1 - bad, rx_errors=bad, rx_length_errors=0)
    for kind in range(1 << 4):
        forger.write(frame(60, kind=kind, rss=0xffffffff))
    forger.grown(rx_packets=16)
    for bit in range(4, 17):
        forger.write(frame(60, kind=1 << bit))
    forger.grown(rx_packets=13)
    for tag in (0, 1, 0xfff, 0xffff):
        forger.write(frame(60, DD | EOP | VP, vlan=tag))
    forger.grown(rx_packets=4)
    forger.works()


@ktap.case(limit=200)
def random_write_backs():
    """Whatever may come, as long as there is time; the ring goes on."""
    forger = Forger()
    seed = int.from_bytes(os.urandom(4), "big")
    ktap.note("seed %d" % seed)
    chance, count = random.Random(seed), 0
    end = time.monotonic() + RANDOM_SECONDS
    while time.monotonic() < end:
        batch = []
        for _ in range(min(chance.randrange(1, 40), forger.ring.room())):
            high = chance.getrandbits(64)
            # Mostly believable, to get further than the first check.
            if chance.random() < 0.7:
                high = high & ~(0xfff << 20 | 0xffff << 32) | chance.choice((0, 13, 14, 60, 1514, 3072, 3073)) << 32
            batch.append((chance.getrandbits(64), high | DD))
        forger.write(*batch)
        count += len(batch)
    ktap.note("%d write-backs" % count)
    # The last one may have left a frame that has no end.
    forger.write(frame(60))
    port.settled()
    forger.works()


def call_all_sent(forger):
    """20 packets for a device that has stopped sending, and that says of its whole ring that it is done.
    How many count as sent; None if the driver has made the queue anew meanwhile."""
    pair, registers, ram = forger.pair, forger.registers, forger.ram
    # Byte queue limits would let two of them into the ring, and begin anew with each reset.
    limits = glob.glob(SYS + "/class/net/%s/queues/tx-*/byte_queue_limits/limit_min" % port.NAMES[0])
    ktap.check(limits, "no byte queue limits")
    for path in limits:
        kernel.write(path, "1000000")
    pair.ping()
    before = pair.statistics(0)["tx_packets"]
    base, length = registers.read(forge.TDBAL) | registers.read(forge.TDBAH) << 32, registers.read(forge.TDLEN)
    registers.write(forge.TXDCTL, registers.read(forge.TXDCTL) & ~forge.ENABLE)
    sender, receiver = pair.udp()
    with sender, receiver:
        for n in range(20):
            sender.send(b"x" * (100 + n))
        ring = bytearray(ram.read(base, length))
        for at in range(12, length, 16):
            ring[at] |= 1
        # A queue that was found to be stuck has another ring by now, and this memory another owner.
        if registers.read(forge.TXDCTL) & forge.ENABLE or registers.read(forge.TDBAL) != base & 0xffffffff:
            return None
        ram.write(base, bytes(ring))
        registers.write(forge.EICS, 0x3ff)
        port.settled()
    return pair.statistics(0)["tx_packets"] - before


@ktap.case(limit=120)
def sent_too_early():
    """Packets that the device calls sent and has not looked at count as sent, once each; the ring goes on."""
    forger = Forger()
    pair, registers = forger.pair, forger.registers
    with pair.side(0):
        os.makedirs(SYS, exist_ok=True)
        kernel.mount("sysfs", SYS, "sysfs", 0)
    for _ in range(5):
        sent = call_all_sent(forger)
        # Where this took too long, the queue was found to be stuck, and made anew.
        stuck = forger.log.lines("does not move")
        if sent is not None and not stuck:
            break
        pair.wait_link()
        forge.quiet(pair)
    ktap.equal("packets sent", sent, 20)
    # The device would read memory that is somebody else's by now.
    registers.write(forge.TDH, registers.read(forge.TDT))
    registers.write(forge.TXDCTL, registers.read(forge.TXDCTL) | forge.ENABLE)
    pair.ping()


if __name__ == "__main__":
    sys.exit(port.main())
