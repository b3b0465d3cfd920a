# SPDX-License-Identifier: GPL-2.0
"""Two ports, programs on the first (XDP), and numbered frames of a protocol that nobody else speaks."""

import socket
import struct

import bpf
import ktap
import net
import port
from bpf import R0, R1, R2, R3, R4, R5, R6, R7, R9
from forge import own_statistics

KIND = 0x88b5
COUNT = 40
# The two MAC addresses change places.
SWAP = [bpf.load(4, R5, R2, 0), bpf.load(4, R6, R2, 6), bpf.store(4, R2, 0, R6), bpf.store(4, R2, 6, R5),
        bpf.load(2, R5, R2, 4), bpf.load(2, R6, R2, 10), bpf.store(2, R2, 4, R6), bpf.store(2, R2, 10, R5)]

# The frame is looked at anew, after it was moved; shorter than a header it passes.
MOVED = [bpf.load(4, R2, R9, 0), bpf.load(4, R3, R9, 4), bpf.mov(R4, R2), bpf.alu("add", R4, 14), bpf.jump("pass", R4, ">", R3)]


def moved_head(by):
    """Less in front of the frame, or more (negative), and the header of our frames there; then the frame as in MOVED."""
    keep = [bpf.load(4, R6, R2, 0), bpf.load(2, R7, R2, 4)]
    copy = [bpf.store(4, R2, 0, R6), bpf.store(2, R2, 4, R7), bpf.store(4, R2, 6, 0x02020202), bpf.store(2, R2, 10, 0x202),
            bpf.store(2, R2, 12, socket.htons(KIND))]
    return [keep, bpf.mov(R1, R9), bpf.mov(R2, by), bpf.call(bpf.XDP_ADJUST_HEAD), bpf.jump("pass", R0, "!=", 0), MOVED, copy]


def moved_tail(by):
    """More behind the frame, or less (negative); R0 is not 0 where that cannot be."""
    return [bpf.mov(R1, R9), bpf.mov(R2, by), bpf.call(bpf.XDP_ADJUST_TAIL)]


def payloads(sniffer, count, where, kind=KIND):
    """What frames carry that a device has received: waits for so many, and some time for more."""
    found = []

    def enough():
        found.extend(one[2][14:] for one in sniffer.frames() if one[0] != net.PACKET_OUTGOING and one[1] == kind)
        return len(found) >= count
    if count:
        ktap.wait_for("%d frames at %s" % (count, where), enough, 10)
    port.settled()
    enough()
    return found


def for_ours(action, flags=0):
    """A program that does this to frames of ours, which have 40 bytes at least; all else passes."""
    return bpf.Program(bpf.XDP, [bpf.mov(R9, R1), bpf.xdp_needs(40, "pass"), bpf.load(2, R5, R2, 12),
                                 bpf.jump("pass", R5, "!=", socket.htons(KIND)), action, bpf.exit_(),
                                 "pass", bpf.mov(R0, bpf.XDP_PASS), bpf.exit_()], flags=flags)


def text(number, size):
    """The payload of a frame."""
    return net.datagram(number, size)


class Seen(port.Pair):
    """A pair with somebody who sends on the second port and sniffers on both."""

    def __init__(self, drivers, mtu=1500):
        super().__init__(drivers, mtu)
        self.sock = self.socket(1, socket.AF_PACKET, socket.SOCK_RAW)
        self.sock.bind((port.NAMES[1], 0))
        macs = [bytes.fromhex(self.link(end)["address"].replace(":", "")) for end in (0, 1)]
        self.head = macs[0] + macs[1] + struct.pack("!H", KIND)
        self.sniffers = []
        for end in (0, 1):
            with self.side(end):
                self.sniffers.append(net.Sniffer(port.NAMES[end]))
        self.ping()

    def attach(self, program, end=0):
        """Attaches a program in the driver, or detaches (None)."""
        with self.side(end):
            bpf.need_xdp(port.NAMES[end], program.fd if program else -1, bpf.DRV_MODE)

    def send(self, sizes):
        """Frames whose payloads have these sizes."""
        for number, size in enumerate(sizes):
            self.sock.send(self.head + text(number, size))

    def came(self, end, count, kind=KIND):
        """The payloads of frames that a port has received: waits for so many, and some time for more."""
        return payloads(self.sniffers[end], count, "port %d" % end, kind)

    def counters(self):
        """What the first port has counted for programs."""
        stats = own_statistics(self)
        return [stats.get(name, 0) for name in ("rx_xdp_dropped", "rx_xdp_sent", "rx_xdp_redirected")]
