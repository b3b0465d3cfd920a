#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What is sent is what arrives, in both directions, between all pairs of drivers."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import socket

import ktap
import net
import port

# Around what the headers of IPv4 and IPv6 leave of an MTU; the largest is cut into fragments.
ROOM = {"v4": 28, "v6": 48}
MTUS = (1500, 1501, 9216, 68, 1280)


def addresses(version):
    """Those of both ends."""
    return port.V4 if version == "v4" else port.V6


def datagrams(pair, mtu, version):
    """Sizes around the edge, one and two bytes beyond it, and many fragments."""
    edge = mtu - ROOM[version]
    sizes = [8, 9, 17, 18, 19, edge - 1, edge, edge + 1, edge + 2]
    # A datagram of many fragments: at 68 bytes each that would be too many for the stack.
    if mtu >= 1280:
        sizes += [2 * mtu, 5 * mtu, 65000]
    for source in (0, 1):
        both = pair.udp(addresses(version), source)
        for size in sizes:
            net.send_udp(both, 4, max(size, 8), window=4)
        for sock in both:
            sock.close()


def stream(pair, version, blocks=20, size=60000):
    """TCP both ways, compared."""
    one, other = pair.tcp(addresses(version))
    block = os.urandom(size)
    for n in range(blocks):
        for source, sink in ((one, other), (other, one)):
            stamp = n.to_bytes(8, "big")
            source.sendall(stamp + block)
            ktap.check(net.read_exactly(sink, 8 + size) == stamp + block, "TCP block %d differs" % n)
    for source, sink in ((one, other), (other, one)):
        source.shutdown(socket.SHUT_WR)
        ktap.equal("bytes after the end of the stream", sink.recv(1), b"")


@ktap.case(port.PAIRS, limit=120)
def ping(drivers):
    """ARP and neighbour discovery, small and large."""
    pair = port.Pair(drivers)
    for end in (0, 1):
        pair.ping(end=end, address=port.V4[1 - end])
        pair.ping(end=end, address=port.V6[1 - end])
        pair.ping(end=end, address=port.V4[1 - end], size=1472)
        pair.ping(end=end, address=port.V4[1 - end], size=20000)
        pair.ping(end=end, address=port.V4[1 - end], size=0)


@ktap.case(port.PAIRS, limit=300)
def udp(drivers):
    """Datagrams of all sizes around the edge of every MTU."""
    pair = port.Pair(drivers)
    for mtu in MTUS:
        pair.mtu(mtu)
        pair.up(mtu)
        datagrams(pair, mtu, "v4")
        if mtu >= 1280:
            datagrams(pair, mtu, "v6")


@ktap.case(port.PAIRS, limit=300)
def tcp(drivers):
    """Streams both ways at every MTU; segmentation really is the device's."""
    pair = port.Pair(drivers)
    for mtu in MTUS:
        pair.mtu(mtu)
        pair.up(mtu)
        blocks = 2 if mtu < 1280 else 20
        before = pair.statistics(0), pair.statistics(1)
        stream(pair, "v4", blocks)
        if mtu >= 1280:
            stream(pair, "v6", blocks)
        after = pair.statistics(0), pair.statistics(1)
        # What one end counts as sent, the other counts as received: frames, not what the stack made.
        for end in (0, 1):
            sent = after[end]["tx_packets"] - before[end]["tx_packets"]
            came = after[1 - end]["rx_packets"] - before[1 - end]["rx_packets"]
            # So small frames overrun the ring, which QEMU counts nowhere.
            ktap.check(mtu < 1280 or abs(sent - came) <= 20 + sent // 50, "MTU %d: %d frames sent, %d received" % (mtu, sent, came))
            for name in ("rx_dropped", "rx_errors", "tx_dropped", "tx_errors"):
                # The in-tree driver counts every short frame as an error.
                if pair.drivers[end] == "rigb":
                    ktap.equal("MTU %d: %s of %s" % (mtu, name, port.NAMES[end]), after[end][name], 0)


OFFLOADS = (
    "tx off", "rx off", "sg off", "tso off", "gro off", "gso off", "rxvlan off", "rxhash off",
    "tx off rx off gro off", "tso off gro off rxvlan off", "sg off rx off rxhash off",
)


@ktap.case(("rigb-igb", "rigb-rigb"), limit=300)
def offloads(drivers):
    """Each offload off, and some together: the same bytes."""
    pair = port.Pair(drivers)
    pair.run(0, "ip link add link %s name vlan7 type vlan id 7")
    for setting in OFFLOADS:
        pair.run(0, "ethtool -K %s " + setting)
        stream(pair, "v4", 3)
        stream(pair, "v6", 3)
        datagrams(pair, 1500, "v4")
        pair.run(0, "ethtool -K %s " + setting.replace("off", "on"))
    stream(pair, "v4", 3)


@ktap.case(port.PAIRS, limit=200)
def vlan(drivers):
    """VLANs, one tag and two, tagged by the device or the stack; another VLAN stays out."""
    pair = port.Pair(drivers)
    for setting in ("on", "off"):
        pair.run(0, "ethtool -K %s rxvlan " + setting)
        for end in (0, 1):
            pair.run(end, "ip link add link %s name v5 type vlan id 5")
            pair.run(end, "ip link add link v5 name v5.6 type vlan id 6")
            pair.run(end, "ip addr add 198.51.100.%d/24 dev v5" % (end + 1))
            pair.run(end, "ip addr add 203.0.113.%d/24 dev v5.6" % (end + 1))
            pair.run(end, "ip link set dev v5 up")
            pair.run(end, "ip link set dev v5.6 up")
        for prefix in ("198.51.100.%d", "203.0.113.%d"):
            # QEMU writes no checksums behind two tags in the frame. igb does not know.
            if prefix.startswith("203") and setting == "off" and "igb" in pair.drivers:
                continue
            both = [prefix % (end + 1) for end in (0, 1)]
            pair.ping(address=both[1])
            one = pair.udp(both)
            net.send_udp(one, 8, 1400, window=4)
            one, other = pair.tcp(both)
            block = os.urandom(50000)
            one.sendall(block)
            ktap.check(net.read_exactly(other, 50000) == block, "TCP over a VLAN differs")
        for end in (0, 1):
            pair.run(end, "ip link del dev v5")


@ktap.case(port.PAIRS, limit=120)
def multicast(drivers):
    """A group that was joined comes in, also when the driver is asked to take all."""
    pair = port.Pair(drivers)
    for mode in ("", "allmulticast", "promisc"):
        if mode:
            pair.run(1, "ip link set dev %%s %s on" % mode)
        receiver = pair.socket(1, socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("239.1.2.3", 0))
        group = socket.inet_aton("239.1.2.3") + socket.inet_aton(port.V4[1])
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        sender = pair.socket(0, socket.AF_INET, socket.SOCK_DGRAM)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(port.V4[0]))
        sender.connect(receiver.getsockname())
        port.settled()
        net.send_udp((sender, receiver), 8, 500, window=2)
        if mode:
            pair.run(1, "ip link set dev %%s %s off" % mode)


@ktap.case(port.PAIRS, limit=120)
def address(drivers):
    """Another MAC address: frames to it come in, frames to the old one do not."""
    pair = port.Pair(drivers)
    pair.ping()
    pair.run(0, "ip link set dev %s address 02:00:00:00:00:77")
    ktap.equal("address", pair.link(0)["address"], "02:00:00:00:00:77")
    pair.run(1, "ip neigh flush all")
    pair.ping(end=1, address=port.V4[0])
    pair.run(1, "ip neigh replace %s lladdr 52:54:00:00:00:01 dev %%s" % port.V4[0])
    status, _, _ = pair.attempt(1, "ping -q -c 2 -i 0.2 -W 1 " + port.V4[0])
    ktap.check(status != 0, "frames to the old address still come in")
    status, _, _ = pair.attempt(0, "ip link set dev %s address 01:00:00:00:00:01")
    ktap.check(status != 0, "a multicast address was taken")


if __name__ == "__main__":
    sys.exit(port.main())
