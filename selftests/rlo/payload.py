#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What is sent over lo arrives as it was sent: TCP, UDP, ping, SCTP."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import hashlib
import re
import socket
import struct
import subprocess
import threading
import time

import ktap
import net

V4_V6 = ("127.0.0.1", "::1")
SO_TIMESTAMPNS, SO_TIMESTAMPING = 35, 37


def stream(address, size, chunks, big=None):
    """Sends `size` bytes both ways at once and compares their hashes."""
    data = os.urandom(1 << 20) * (size >> 20)
    ends = net.tcp_pair(address)
    for end in ends:
        end.settimeout(60)
        if big:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, big)
    failed = []

    def send(sock, payload):
        try:
            at = i = 0
            while at < len(payload):
                chunk = chunks[i % len(chunks)]
                sock.sendall(payload[at:at + chunk])
                at += chunk
                i += 1
            sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            failed.append("send: %s" % error)

    def receive(sock, want):
        try:
            digest, count = hashlib.sha256(), 0
            while part := sock.recv(1 << 18):
                digest.update(part)
                count += len(part)
            if count != len(want):
                failed.append("%d bytes came, not %d" % (count, len(want)))
            elif digest.digest() != hashlib.sha256(want).digest():
                failed.append("the bytes that came are not those that were sent")
        except OSError as error:
            failed.append("receive: %s" % error)

    back = data[::-1]
    threads = [threading.Thread(target=f, args=a) for f, a in (
        (send, (ends[0], data)), (send, (ends[1], back)), (receive, (ends[1], data)), (receive, (ends[0], back)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ktap.equal("%s, %d bytes" % (address, size), failed, [])


@ktap.case(net.LANES)
def tcp(lane):
    """A few MB both ways at once, in pieces of many sizes."""
    env = net.enter(lane)
    before = env.rlo("bytes")
    for address in V4_V6:
        stream(address, 2 << 20, (1, 700, 1460, 9000, 65536, 300000))
    grown = env.rlo("bytes") - before
    if env.is_rlo:
        ktap.check(grown >= 8 << 20, "rlo counted only %d bytes" % grown)
    else:
        ktap.equal("bytes that rlo counted", grown, 0)


@ktap.case(net.LANES)
def tcp_small_mtu(lane):
    """The same with lo's MTU at an Ethernet's, and with segmentation off."""
    net.enter(lane)
    net.set_mtu("lo", 1500)
    stream("127.0.0.1", 1 << 20, (65536, 10000))
    subprocess.run(["ethtool", "-K", "lo", "tso", "off", "gso", "off"], check=True, capture_output=True)
    stream("::1", 1 << 20, (65536, 10000))


@ktap.case(net.LANES)
def tcp_big(lane):
    """The same with packets larger than 64 KiB (BIG TCP), which lo allows."""
    env = net.enter(lane)
    net.ip("link set lo gso_max_size 400000 gso_ipv4_max_size 400000")
    before = net.flat_stats()
    for address in V4_V6:
        stream(address, 4 << 20, (4 << 20,), big=8 << 20)
    grown = net.delta(before, net.flat_stats())
    ktap.check(env.is_rlo is False or env.rlo("bytes") >= 16 << 20, "rlo counted too little")
    net.ip("link set lo gso_max_size 524280")
    ktap.check(grown["tx.bytes"] >= 16 << 20, "lo counted too little")


@ktap.case(net.LANES)
def udp(lane):
    """Datagrams of many sizes, each with a number and a checksum; none lost, doubled or late."""
    net.enter(lane)
    for address in V4_V6:
        pair = net.udp_pair(address)
        for size, count in ((8, 200), (100, 50), (1472, 50), (1473, 20), (9000, 20), (32768, 10), (65507, 10)):
            net.send_udp(pair, count, size, window=8)
        for size in (0, 1, 7):
            pair[0].send(b"1234567"[:size])
            ktap.equal("datagram of %d bytes" % size, pair[1].recv(100), b"1234567"[:size])


@ktap.case(net.LANES)
def udp_segmented(lane):
    """One send that is many datagrams (UDP_SEGMENT), which lo does not cut."""
    env = net.enter(lane)
    for address in V4_V6:
        pair = net.udp_pair(address)
        pair[0].setsockopt(socket.IPPROTO_UDP, 103, 1000)
        before = env.counts()
        pair[0].send(b"".join(net.datagram(i, 1000) for i in range(40)))
        for i in range(40):
            net.check_datagram(pair[1].recv(2000), i, 1000)
        grown = net.delta(before, env.counts())
        if env.is_rlo:
            ktap.equal("rlo's packets", grown["packets"], 1)


@ktap.case(net.LANES)
def udp_no_checksum_offload(lane):
    """With checksums made and checked in software nothing changes."""
    net.enter(lane)
    subprocess.run(["ethtool", "-K", "lo", "rx", "off"], capture_output=True, check=False)
    for address in V4_V6:
        net.send_udp(net.udp_pair(address), 20, 5000)


@ktap.case(net.LANES)
def ping(lane):
    """ping with a pattern, which it compares."""
    env = net.enter(lane)
    for address, size in (("127.0.0.1", 56), ("127.0.0.1", 60000), ("::1", 56), ("::1", 60000), ("127.9.9.9", 16)):
        before = env.rlo("packets")
        done = subprocess.run(["ping", "-n", "-c", "5", "-i", "0.01", "-W", "3", "-p", "a55a0ff0", "-s", str(size), address],
                              capture_output=True, text=True, check=False)
        text = done.stdout + done.stderr
        ktap.check(done.returncode == 0 and re.search(r"5 packets transmitted, 5 received,( \+0 duplicates,)? 0% packet loss", text),
                   "ping %s with %d bytes: %s" % (address, size, text))
        ktap.check("wrong data" not in text and "DUP" not in text, "ping: " + text)
        if env.is_rlo:
            ktap.equal("rlo's packets for 5 pings of %d bytes to %s" % (size, address), env.rlo("packets") - before, 10)


def stamp_of(sock, flags=0):
    """The (first) time stamp that came with a packet, in ns of the real-time clock."""
    _, control, _, _ = sock.recvmsg(4096, 1024, flags)
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind in (SO_TIMESTAMPNS, SO_TIMESTAMPING):
            seconds, nanoseconds = struct.unpack_from("qq", data)
            return seconds * 10 ** 9 + nanoseconds
    raise ktap.Failure("no time stamp")


@ktap.case(net.LANES)
def timestamps(lane):
    """Software time stamps of sending and of arrival, and arrival's is not that of sending."""
    net.enter(lane)
    for address in V4_V6:
        sender, receiver = net.udp_pair(address)
        receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        # TX_SOFTWARE, SOFTWARE, OPT_TSONLY
        sender.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, 1 << 1 | 1 << 4 | 1 << 11)
        tap = net.Sniffer("lo").sock
        tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        for _ in range(5):
            begin = time.time_ns()
            sender.send(b"when?")
            arrived = stamp_of(receiver)
            end = time.time_ns()
            left = stamp_of(sender, socket.MSG_ERRQUEUE)
            ktap.check(begin <= left <= arrived <= end, "sent at 0, left at %d, arrived at %d, received at %d ns"
                       % (left - begin, arrived - begin, end - begin))
            out, back = stamp_of(tap), stamp_of(tap)
            ktap.check(begin <= out < back <= end, "on lo: out at %d, in at %d ns" % (out - begin, back - begin))


@ktap.case(net.LANES)
def sctp(lane):
    """SCTP, whose checksum lo does not compute."""
    if subprocess.run(["modprobe", "sctp"], capture_output=True, check=False).returncode:
        raise ktap.Skip("no SCTP in this kernel")
    net.enter(lane)
    for address in V4_V6:
        with socket.socket(net.family(address), socket.SOCK_STREAM, 132) as listener:
            listener.bind((address, 0))
            listener.listen(1)
            one = socket.socket(net.family(address), socket.SOCK_STREAM, 132)
            one.settimeout(10)
            one.connect(listener.getsockname())
            two, _ = listener.accept()
            data = os.urandom(100000)
            one.sendall(data[:50000])
            one.sendall(data[50000:])
            two.settimeout(10)
            ktap.check(net.read_exactly(two, len(data)) == data, "SCTP to %s: other bytes came" % address)
            one.close()
            two.close()


@ktap.case(net.LANES)
def unix_and_raw(lane):
    """A frame written to lo as it is (AF_PACKET) arrives; one that is too short harms nobody."""
    env = net.enter(lane)
    sniffer = net.Sniffer("lo")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind(("lo", 0))
        frame = bytes(12) + b"\x88\xb5" + b"local experiment" * 4
        sock.send(frame)
        ktap.equal("frames", [(f[0], f[2]) for f in sniffer.frames(b"local experiment")],
                   [(net.PACKET_OUTGOING, frame), (net.PACKET_HOST, frame)])
        foreign = b"\x02\0\0\0\0\x09" + frame[6:]
        sock.send(foreign)
        ktap.equal("kinds of a frame for another host", [f[0] for f in sniffer.frames(b"local experiment")],
                   [net.PACKET_OUTGOING, 3])
        # The sender says another protocol than its header: on arrival the header counts.
        sock.sendto(frame, ("lo", 0x1234))
        ktap.equal("protocols of a frame", [f[1] for f in sniffer.frames(b"local experiment")], [0x1234, 0x88B5])
        sock.send(bytes(14))
        results = [ktap.error_of(sock.send, bytes(n)) for n in (1, 13)]
        ktap.equal("frames shorter than a header", results, ["EINVAL", "EINVAL"])
    if env.is_rlo:
        ktap.check(env.rlo("packets") >= 3, "rlo counted %d" % env.rlo("packets"))
    net.send_udp(net.udp_pair("127.0.0.1"), 10, 100)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
