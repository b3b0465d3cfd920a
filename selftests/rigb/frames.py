#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Odd and hostile frames from somebody else on the wire, a device that sends whatever it is told to.

Boot with port.py hostile. Where the kernel has no driver for that device, the other port sends, no
longer frames than it can.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import random
import socket
import struct
import time
import zlib

import forge
import ktap
import net
import port
import tools

IDS = ("0x1af4", "0x1000"), ("0x1af4", "0x1041")
# QEMU itself crashes when the headers in front of SCTP say that they are longer than the frame: it makes a CRC of as
# many bytes as are left, less than none (net_rx_pkt_validate_l4_csum() of QEMU 10.0). So SCTP comes with room for it,
# and no extension header of IPv6 says that SCTP follows.
SCTP_ENOUGH = 60 + 12
AFTER_EXTENSION = (1, 6, 17, 41, 59)
RANDOM_SECONDS = float(os.environ.get("RNET_RANDOM", "0")) or (4 if ktap.SLOW == 1 else 15)


def sum16(data):
    """The Internet checksum."""
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(payload, protocol=17, *, ihl=5, length=None, bad=False):
    """An IPv4 packet from an address that nobody has to the first port."""
    total = 20 + len(payload) if length is None else length
    addresses = socket.inet_aton("192.0.2.77") + socket.inet_aton(port.V4[0])
    header = struct.pack("!BBHHHBBH", 0x40 | ihl, 0, total, 1, 0x4000, 64, protocol, 0) + addresses
    return header[:10] + struct.pack("!H", sum16(header) ^ (0x5555 if bad else 0)) + header[12:] + payload


def udp(dport, payload, bad=False):
    """A UDP datagram with its checksum."""
    head = struct.pack("!HHHH", 7, dport, 8 + len(payload), 0)
    pseudo = socket.inet_aton("192.0.2.77") + socket.inet_aton(port.V4[0]) + struct.pack("!HH", 17, 8 + len(payload))
    return head[:6] + struct.pack("!H", sum16(pseudo + head + payload) ^ (0x5555 if bad else 0)) + payload


class Attacker:
    """A pair, and somebody who sends frames to its first port."""

    def __init__(self, drivers="rigb-igb"):
        self.pair = port.Pair(drivers)
        self.mac = bytes.fromhex(self.pair.link(0)["address"].replace(":", ""))
        name = port.stranger()
        self.longest = 60000 if name else 9216
        if name:
            tools.run("ip link set dev %s mtu 65535 up" % name)
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        else:
            ktap.note("the other port sends")
            self.pair.run(1, "ip link set dev %s mtu 9216")
            self.pair.wait_link()
            self.sock = self.pair.socket(1, socket.AF_PACKET, socket.SOCK_RAW)
        self.sock.setsockopt(socket.SOL_SOCKET, net.SO_SNDBUFFORCE, 1 << 20)
        self.sock.bind((name or port.NAMES[1], 0))
        with self.pair.side(0):
            self.sniffer = net.Sniffer(port.NAMES[0])
        self.pair.ping()

    def send(self, payload, kind=0x0800, to=None):
        """A frame; what is shorter than a header is sent as it is."""
        data = (to or self.mac) + b"\2\0\0\0\0\x4d" + struct.pack("!H", kind) + payload
        if len(data) - 14 <= self.longest:
            self.sock.send(data)

    def settle(self):
        """The frames that have come, by the time that one that was sent behind them has."""
        mark, came = os.urandom(50), []

        def seen():
            # Again and again: the ring may be full yet.
            self.send(mark, 0x88b6)
            found = self.sniffer.frames()
            came.extend(one for one in found if one[1] != 0x88b6)
            return any(mark in one[2] for one in found)
        ktap.wait_for("a frame behind all others", seen)
        return came

    def works(self):
        """Both ends go on."""
        self.settle()
        self.pair.ping()
        self.pair.exchange(count=32)
        self.pair.exchange(source=1, count=32)


@ktap.case(limit=120)
def sizes():
    """14 to 60,000 bytes. What fits into the MTU comes in as it is, or padded; nothing is cut short."""
    attacker = Attacker()
    for mtu in (1500, 9216):
        attacker.pair.run(0, "ip link set dev %%s mtu %d" % mtu)
        attacker.pair.wait_link()
        attacker.pair.ping()
        attacker.sniffer.frames()
        errors = forge.own_statistics(attacker.pair)
        sent = [n for n in (0, 1, 28, 45, 46, 47, 1499, 1500, 1501, 1504, 1508, 1509, 1514, 2000, 3000, 4000, 8192, 9216,
                            9217, 9230, 16000, 30000, 60000) if n <= attacker.longest]
        for n in sent:
            attacker.send(os.urandom(n), 0x88b5)
        came = [len(found[2]) - 14 for found in attacker.settle() if found[1] == 0x88b5]
        for n in sent:
            if n <= mtu:
                ktap.check(n in came or (n < 46 and 46 in came), "MTU %d: %d bytes did not come: %s" % (mtu, n, came))
        # A device may take in a frame that is longer by tags.
        ktap.check(all(n <= mtu + 8 for n in came), "MTU %d: %s came" % (mtu, came))
        now = forge.own_statistics(attacker.pair)
        ktap.equal("length errors", now["rx_length_errors"] - errors["rx_length_errors"], 0)
        attacker.works()


@ktap.case(limit=120)
def everything_is_let_in():
    """rx-all: long and damaged frames come in too, in as many buffers as they need, and nothing breaks."""
    attacker = Attacker()
    attacker.pair.run(0, "ethtool -K %s rx-all on")
    attacker.pair.wait_link()
    for n in (1515, 1536, 2047, 2048, 2049, 3071, 3072, 3073, 4096, 6144, 9000, 16000, 16384, 40000, 60000):
        for _ in range(8):
            attacker.send(os.urandom(n), 0x88b5)
    ktap.note("lengths that came: %s" % sorted({len(found[2]) for found in attacker.settle()}))
    attacker.works()


@ktap.case(limit=120)
def checksums():
    """Damaged headers and checksums reach no socket, right ones do; the device's verdict is counted."""
    attacker = Attacker()
    receiver = attacker.pair.socket(0, socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((port.V4[0], 0))
    receiver.settimeout(1 * ktap.SLOW)
    number = receiver.getsockname()[1]
    before = forge.own_statistics(attacker.pair)["rx_csum_err"]
    for name, packet in (
            ("UDP checksum", ipv4(udp(number, b"bad", bad=True))),
            ("IP checksum", ipv4(udp(number, b"bad"), bad=True)),
            ("IP header of 16 bytes", ipv4(udp(number, b"bad"), ihl=4)),
            ("IP header of 60 bytes", ipv4(udp(number, b"bad"), ihl=15)),
            ("IP packet longer than the frame", ipv4(udp(number, b"bad"), length=1400)),
            ("IP packet shorter than its header", ipv4(udp(number, b"bad"), length=10))):
        attacker.send(packet)
        attacker.send(ipv4(udp(number, b"good")))
        ktap.equal("what came behind a wrong " + name, receiver.recv(100), b"good")
    # IP and UDP checksums: two frames that the device itself finds wrong.
    ktap.wait_for("checksum errors are counted",
                  lambda: forge.own_statistics(attacker.pair)["rx_csum_err"] >= before + 2, 3)
    receiver.close()
    attacker.works()


@ktap.case(limit=120)
def tags():
    """VLAN tags that end too early, pile up, or have nothing behind them."""
    attacker = Attacker()
    pair = attacker.pair
    pair.run(0, "ip link add link %s name v5 type vlan id 5")
    pair.run(0, "ip link set dev v5 up")
    for stripping in ("on", "off"):
        pair.run(0, "ethtool -K %%s rxvlan %s" % stripping)
        pair.wait_link()
        for cut in range(5):
            attacker.send(struct.pack("!HH", 5, 0x0800)[:cut], 0x8100)
            attacker.send(struct.pack("!HHHH", 5, 0x8100, 6, 0x0800)[:4 + cut], 0x8100)
            attacker.send(struct.pack("!HHHH", 5, 0x8100, 6, 0x0800)[:4 + cut], 0x88a8)
        for depth in (1, 2, 3, 10, 300):
            attacker.send(struct.pack("!HH", 5, 0x8100) * depth + struct.pack("!HH", 5, 0x0800) + ipv4(udp(9, b"x")), 0x8100)
        # Tagged with nothing but a priority, and with every number that there is.
        for vid in (0, 1, 4094, 4095):
            attacker.send(struct.pack("!HH", 0xe000 | vid, 0x0800) + ipv4(udp(9, b"x")), 0x8100)
        attacker.works()


@ktap.case(limit=120)
def pause():
    """PAUSE frames: the port goes on, whatever they ask for, and the stack does not see them."""
    attacker = Attacker()
    for quanta in (0xffff, 0, 1, 0xffff):
        for to in (b"\1\x80\xc2\0\0\1", None):
            attacker.send(struct.pack("!HH", 1, quanta) + bytes(42), 0x8808, to)
    attacker.send(struct.pack("!H", 0x101) + bytes(44), 0x8808, b"\1\x80\xc2\0\0\1")
    attacker.works()


@ktap.case(limit=200)
def random_frames():
    """Whatever may come, as long as there is time, with headers that look real."""
    attacker = Attacker("rigb-rigb")
    seed = int(os.environ.get("RNET_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
    ktap.note("seed %d (RNET_SEED=)" % seed)
    chance, count = random.Random(seed), 0
    kinds = (0x0800, 0x86dd, 0x8100, 0x88a8, 0x0806, 0x8808, 0x88f7, 0, 100, 0xffff)
    end = time.monotonic() + RANDOM_SECONDS
    while time.monotonic() < end:
        size = chance.choice((chance.randrange(0, 100), chance.randrange(0, 1515), chance.randrange(0, attacker.longest)))
        noise = chance.randbytes(min(size, 200))
        body = noise + bytes(size - len(noise))
        if chance.random() < 0.5:
            protocol = chance.choice((1, 6, 17, 132, 41, 47, 0))
            if protocol == 132 and size < SCTP_ENOUGH:
                protocol = 17
            extension = bytes([chance.choice(AFTER_EXTENSION)]) + body[1:] if protocol == 0 else body
            body = chance.choice((
                ipv4(body, protocol, ihl=chance.choice((5, 5, 5, 6, 15, 0)), length=min(20 + size, 65535), bad=chance.random() < 0.1),
                struct.pack("!IHBB", 6 << 28, size & 0xffff, protocol, 64) + chance.randbytes(16)
                + socket.inet_pton(socket.AF_INET6, port.V6[0]) + extension))
        attacker.send(body, chance.choice(kinds), chance.choice((None, b"\xff" * 6, b"\1\0\x5e\0\0\1", chance.randbytes(6))))
        count += 1
    ktap.note("%d frames, %x" % (count, zlib.crc32(noise)))
    attacker.works()


if __name__ == "__main__":
    sys.exit(port.main())
