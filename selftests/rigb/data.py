#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What is sent is what arrives, in both directions, between all pairs of drivers."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import itertools
import json
import socket
import threading

import ktap
import net
import port
import sctp
import tools

# Around what the headers of IPv4 and IPv6 leave of an MTU; the largest is cut into fragments.
ROOM = {"v4": 28, "v6": 48}
UDP_SEGMENT = 103
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
        for size in sizes:
            pair.exchange(addresses(version), source, 4, max(size, 8))


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
    for end in (0, 1):
        # A ring that is too short loses frames, which QEMU counts nowhere.
        pair.run(end, "ethtool -G %s rx 4096")
    for mtu in MTUS:
        pair.mtu(mtu)
        pair.up(mtu)
        blocks, size = (1, 20000) if mtu < 1280 else (4, 60000)
        before = pair.statistics(0), pair.statistics(1)
        stream(pair, "v4", blocks, size)
        if mtu >= 1280:
            stream(pair, "v6", blocks, size)
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
                    ktap.equal("MTU %d: %s of %s" % (mtu, name, port.NAMES[end]), after[end][name] - before[end][name], 0)


OFFLOADS = ("rx", "tx", "sg", "tso", "gso", "gro", "rxvlan", "txvlan", "rxhash")


def pairwise(names):
    """Settings of switches, so few that each pair of switches is seen in all four states.

    Of up to ten: all off, then each switch on in another three of five settings. Any two of these
    choices share a setting, and each has one that the other has not (Kleitman and Spencer).
    """
    chosen = dict(zip(names, itertools.combinations(range(5), 3)))
    yield {name: False for name in names}
    for n in range(5):
        yield {name: n in chosen[name] for name in names}


@ktap.case(port.PAIRS, limit=300)
def offloads(drivers):
    """Every pair of offloads in every combination of on and off: the same bytes, with and without a VLAN."""
    pair = port.Pair(drivers)
    for end in (0, 1):
        pair.run(end, "ip link add link %s name v7 type vlan id 7")
        pair.run(end, "ip addr add 198.51.100.%d/24 dev v7" % (end + 1))
        pair.run(end, "ip link set dev v7 up")
    for setting in pairwise(OFFLOADS):
        words = " ".join("%s %s" % (name, "on" if on else "off") for name, on in setting.items())
        # What depends on something that is off stays off; ethtool says so by its status.
        pair.attempt(0, "ethtool -K %s " + words)
        shown = json.loads(pair.run(0, "ethtool --json -k %s"))[0]
        for name, long in (("rx", "rx-checksumming"), ("gro", "generic-receive-offload"), ("rxhash", "receive-hashing")):
            ktap.equal("%s with %s" % (long, words), shown[long]["active"], setting[name])
        pair.wait_link()
        for version in ("v4", "v6"):
            stream(pair, version, 2)
            pair.exchange(addresses(version), 0, 4, 65000)
            pair.exchange(addresses(version), 1, 4, 1000)
        one, other = pair.tcp(("198.51.100.1", "198.51.100.2"))
        block = os.urandom(100000)
        one.sendall(block)
        ktap.check(net.read_exactly(other, len(block)) == block, "TCP over a VLAN differs with " + words)


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
            pair.exchange(both, 0, 8, 1400)
            pair.exchange(both, 1, 4, 9000)
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


@ktap.case(port.PAIRS, limit=120)
def sctp_messages(drivers):
    """SCTP, whose checksum is a CRC, in five streams; with the CRC by the device and by the stack."""
    sctp.need()
    pair = port.Pair(drivers)
    for setting in ("on", "off"):
        pair.attempt(0, "ethtool -K %s tx-checksum-sctp " + setting)
        for version in ("v4", "v6"):
            one, other = addresses(version)
            with pair.side(1):
                listener = sctp.opened(other, socket.SOCK_STREAM)
                listener.bind((other, 0))
                listener.listen(1)
            with pair.side(0):
                client = sctp.opened(one, socket.SOCK_STREAM)
                client.bind((one, 0))
                client.connect(listener.getsockname())
            server, _ = listener.accept()
            server.settimeout(20 * ktap.SLOW)
            sctp.exchange(client, server)
            sctp.exchange(server, client)
            for sock in (client, server, listener):
                sock.close()


@ktap.case(port.PAIRS, limit=120)
def udp_segments(drivers):
    """Eight datagrams in one call stay eight. The in-tree driver leaves that to the device, where QEMU makes one of them."""
    pair = port.Pair(drivers)
    sender, receiver = pair.udp()
    with sender, receiver:
        sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
        parts = [bytes([n]) * 1000 for n in range(8)]
        sender.send(b"".join(parts))
        got = [receiver.recv(70000)]
        if pair.drivers[0] == "igb" and len(got[0]) != 1000:
            ktap.note("igb: the first datagram has %d bytes" % len(got[0]))
            return
        got += [receiver.recv(70000) for _ in range(7)]
        ktap.check(got == parts, "%s bytes" % [len(part) for part in got])


@ktap.case(port.PAIRS, limit=200)
def flows(drivers):
    """Eight streams at the same time, both ways, over all queues that there are."""
    pair = port.Pair(drivers)
    for end in (0, 1):
        pair.run(end, "ethtool -L %%s combined %d" % (4 if pair.drivers[end] == "rigb" else 2))
    pair.wait_link()
    before = [pair.statistics(end) for end in (0, 1)]
    ends = [pair.tcp(addresses("v4" if n % 2 else "v6")) for n in range(8)]
    blocks, failures = [os.urandom(300000) for _ in ends], []

    def send(sock, block):
        sock.sendall(block)

    def receive(sock, block, n):
        if net.read_exactly(sock, len(block)) != block:
            failures.append(n)

    threads = []
    for n, ((one, other), block) in enumerate(zip(ends, blocks)):
        threads += [threading.Thread(target=send, args=(one, block)), threading.Thread(target=receive, args=(other, block, n)),
                    threading.Thread(target=send, args=(other, block)), threading.Thread(target=receive, args=(one, block, -n))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ktap.equal("streams that differ", failures, [])
    for end in (0, 1):
        after = pair.statistics(end)
        ktap.check(after["rx_bytes"] - before[end]["rx_bytes"] >= 8 * 300000, "%r" % after)


@ktap.case(port.PAIRS, limit=120)
def both_ends_dumped(drivers):
    """tcpdump on both ends sees the same packets: what one sends the other receives, tags and all."""
    pair = port.Pair(drivers)
    for end in (0, 1):
        pair.run(end, "ip link add link %s name v9 type vlan id 9")
        pair.run(end, "ip addr add 198.51.100.%d/24 dev v9" % (end + 1))
        pair.run(end, "ip link set dev v9 up")
    pair.ping(address="198.51.100.2")
    dumps = []
    for end in (0, 1):
        with pair.side(end):
            dumps.append(tools.Program("tcpdump -n -e -l -t -i %s vlan 9 and icmp" % port.NAMES[end], ready="listening"))
    pair.ping(address="198.51.100.2", count=10, size=333)
    for dump in dumps:
        dump.wait("ICMP echo reply", 10)
    lines = [dump.stop()[0] for dump in dumps]
    ktap.equal("packets seen", [len(one) for one in lines], [20, 20])
    ktap.equal("what was seen", sorted(lines[0]), sorted(lines[1]))
    ktap.check(all("vlan 9" in line and "length 379" in line for line in lines[0]), lines[0][0])


if __name__ == "__main__":
    sys.exit(port.main())
