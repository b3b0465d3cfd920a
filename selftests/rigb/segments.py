#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What is cut, and by whom: UDP, tunnels, headers that the device cannot be told."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import json
import socket
import struct
import threading

import kernel
import ktap
import net
import netlink
import port
import tools

UDP_SEGMENT = 103
PIECE, PIECES = 1000, 8
ADDRESSES = ("198.51.100.1", "198.51.100.2")


def features(pair, end):
    """{feature: {"active": ..., "fixed": ...}}"""
    return json.loads(pair.run(end, "ethtool --json -k %s"))[0]


def emulated(pair):
    """Whether it is QEMU's model of the chip."""
    return kernel.read("%s/devices/%s/subsystem_vendor" % (port.PCI, pair.devices[0])) == "0x1af4"


def cut(pair, source):
    """The lengths in which datagrams arrive that the sender wants to be cut."""
    sender, receiver = pair.udp(source=source)
    with sender, receiver:
        sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, PIECE)
        data = os.urandom(PIECE * PIECES)
        sender.send(data)
        lengths, got = [], b""
        receiver.settimeout(3 * ktap.SLOW)
        while len(got) < len(data):
            try:
                piece = receiver.recv(65536)
            except TimeoutError:
                break
            lengths.append(len(piece))
            got += piece
        if len(lengths) == PIECES:
            ktap.check(sorted(got) == sorted(data), "the bytes differ")
        return lengths


@ktap.case()
def udp_segmentation():
    """Datagrams come as they were meant, since QEMU, which cannot cut them, is not asked to. That it cannot is shown."""
    pair = port.Pair("rigb-igb")
    pair.ping()
    shown = features(pair, 0)["tx-udp-segmentation"]
    ktap.equal("tx-udp-segmentation", (shown["active"], shown["fixed"]), (not emulated(pair), False))
    for n in range(4):
        ktap.equal("datagrams, as it is at first (%d)" % n, cut(pair, 0), [PIECE] * PIECES)
    pair.run(0, "ethtool -K %s tx-udp-segmentation on")
    pair.wait_link()
    if emulated(pair):
        # Fragments of one datagram: rigb's, and the in-tree driver's, which has it on.
        ktap.equal("datagrams, cut by QEMU for rigb", cut(pair, 0), [PIECE * PIECES])
        ktap.equal("datagrams, cut by QEMU for igb", cut(pair, 1), [PIECE * PIECES])
    else:
        ktap.equal("datagrams, cut by the chip", cut(pair, 0), [PIECE] * PIECES)
    pair.run(0, "ethtool -K %s tx-udp-segmentation off")
    pair.wait_link()
    ktap.equal("datagrams, with it off again", cut(pair, 0), [PIECE] * PIECES)


def retransmitted(pair, end):
    """Segments of TCP that were sent once more."""
    with pair.side(end):
        return int(json.loads(tools.run("nstat -aszj"))["kernel"]["TcpRetransSegs"])


def stream(pair, addresses, option=None, size=2 << 20):
    """A megabyte or two each way, with a socket option one way; how many segments were sent again."""
    one, other = pair.tcp(addresses)
    with one, other:
        before = [retransmitted(pair, end) for end in (0, 1)]
        if option:
            one.setsockopt(*option)
        # The end that has accepted the connection would not find its new MSS by itself.
        for source, sink in ((one, other),) if option else ((one, other), (other, one)):
            data = os.urandom(size // 16) * 16
            thread = threading.Thread(target=source.sendall, args=(data,))
            thread.start()
            got = net.read_exactly(sink, size)
            thread.join()
            ktap.check(got == data, "the bytes differ")
        return [retransmitted(pair, end) - n for end, n in zip((0, 1), before)]


def no_worse(before, after):
    """Fails if a packet was dropped or damaged."""
    for end in (0, 1):
        for name in ("tx_dropped", "tx_errors", "rx_errors"):
            ktap.equal("%s of %s" % (name, port.NAMES[end]), after[end][name], before[end][name])


TUNNELS = {
    "vxlan": "type vxlan id 7 dstport 4789 local %s remote %s",
    "vxlan-csum": "type vxlan id 7 dstport 4789 udpcsum local %s remote %s",
    "gretap": "type gretap local %s remote %s",
    "ipip": "type ipip local %s remote %s",
}


@ktap.case(TUNNELS, limit=200)
def tunnels(kind):
    """TCP in a tunnel: intact, and nothing has to be sent twice because it was cut or summed up wrongly."""
    pair = port.Pair("rigb-rigb")
    shown = features(pair, 0)
    ktap.equal("tx-gso-partial", shown["tx-gso-partial"]["active"], not emulated(pair))
    for end in (0, 1):
        pair.run(end, "ethtool -G %s rx 4096")
        pair.run(end, "ip link add name t0 " + TUNNELS[kind] % (port.V4[end], port.V4[1 - end]))
        pair.run(end, "ip addr add %s/24 dev t0" % ADDRESSES[end])
        pair.run(end, "ip link set dev t0 up")
    pair.wait_link()
    pair.ping(address=ADDRESSES[1])
    before = [pair.statistics(end) for end in (0, 1)]
    again = stream(pair, ADDRESSES)
    ktap.check(max(again) <= 20, "segments were sent again: %r" % again)
    no_worse(before, [pair.statistics(end) for end in (0, 1)])


NETDEV_CMD_QSTATS_GET, NETDEV_A_QSTATS_IFINDEX = 12, 1
TX_PACKETS, GSO_PACKETS, GSO_WIRE_PACKETS, GSO_WIRE_BYTES = 10, 28, 30, 31


def queue_statistics(pair, end):
    """What netdev-genl says of all queues of a port."""
    with pair.side(end):
        genl = netlink.Socket(netlink.NETLINK_GENERIC)
        index = netlink.attribute(NETDEV_A_QSTATS_IFINDEX, socket.if_nametoindex(port.NAMES[end]))
        answers, error = genl.ask(genl.family("netdev"), netlink.genl(NETDEV_CMD_QSTATS_GET, index), dump=True)
    ktap.equal("the answers, an error", (len(answers), error), (1, ""))
    # 64 bits where 32 do not suffice.
    return {kind: struct.unpack("Q" if len(value) == 8 else "I", value)[0] for kind, value in netlink.attributes(answers[0][4:])}


@ktap.case(("on", "off"), limit=120)
def counted(tso):
    """netdev-genl says how many frames the port has made of how many packets; igb has received them."""
    pair = port.Pair("rigb-igb")
    pair.run(0, "ethtool -K %s tso " + tso)
    pair.run(1, "ethtool -G %s rx 4096")
    pair.wait_link()
    pair.ping()
    before, theirs, size = queue_statistics(pair, 0), pair.statistics(1)["rx_packets"], 2 << 20
    stream(pair, port.V4, size=size)
    # Sent packets are counted when the ring is cleaned.
    pair.ping()
    after, theirs = queue_statistics(pair, 0), pair.statistics(1)["rx_packets"] - theirs
    sent, packets, frames, octets = (after[kind] - before[kind] for kind in (TX_PACKETS, GSO_PACKETS, GSO_WIRE_PACKETS, GSO_WIRE_BYTES))
    ktap.note("%d frames, %d received; %d of %d packets, with %d bytes" % (sent, theirs, frames, packets, octets))
    ktap.check(abs(sent - theirs) <= 8, "%d frames sent, %d received" % (sent, theirs))
    if tso == "off":
        ktap.equal("segmented", (packets, frames, octets), (0, 0, 0))
        return
    # Headers of Ethernet, IPv4, TCP with a time stamp.
    payload = octets - frames * (14 + 20 + 32)
    ktap.check(0.9 * size <= payload <= size * 1.1, "%d bytes of %d were segmented" % (payload, size))
    ktap.check(0.9 * payload / 1448 <= frames <= sent, "%d frames of %d bytes" % (frames, payload))
    ktap.check(frames / 46 <= packets <= frames / 2, "%d packets for %d frames" % (packets, frames))


@ktap.case(limit=120)
def long_headers():
    """Headers longer than the device can be told are summed up and cut by the stack, not dropped."""
    pair = port.Pair("rigb-rigb")
    for end in (0, 1):
        pair.run(end, "ethtool -G %s rx 4096")
    pair.wait_link()
    # Destination options of 536 bytes: unknown ones, that the receiver is to skip.
    option = lambda length: bytes((0x1e, length)) + bytes(length)
    header = bytes((0, 66)) + option(255) + option(255) + option(18)
    ktap.equal("length of the header", len(header), 536)
    before = [pair.statistics(end) for end in (0, 1)]
    again = stream(pair, port.V6, (socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, header), 1 << 20)
    after = [pair.statistics(end) for end in (0, 1)]
    # With these headers more packets are needed than the stream alone would have.
    ktap.check(after[0]["tx_packets"] - before[0]["tx_packets"] > (1 << 20) // 920, "the header is not in the packets")
    no_worse(before, after)
    ktap.check(max(again) <= 20, "segments were sent again: %r" % again)


if __name__ == "__main__":
    sys.exit(port.main())
