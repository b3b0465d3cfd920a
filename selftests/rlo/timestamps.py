#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Time stamps of sending and arrival (SO_TIMESTAMPING), UDP and TCP, as the kernel's lo gives them."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import ctypes
import errno
import fcntl
import select
import socket
import struct
import subprocess
import time

import ktap
import net

V4_V6 = ("127.0.0.1", "::1")
SO_TIMESTAMPNS, SO_TIMESTAMPING, SCM_TIMESTAMPING_OPT_STATS = 35, 37, 54
# SOF_TIMESTAMPING_*.
TX_HARDWARE, TX_SOFTWARE, RX_HARDWARE, RX_SOFTWARE, SOFTWARE, RAW_HARDWARE = 1, 2, 4, 8, 16, 64
OPT_ID, TX_SCHED, TX_ACK, OPT_CMSG, OPT_TSONLY, OPT_STATS = 1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12
# What the kernel says a stamp is of.
SND, SCHED, ACK = 0, 1, 2
SO_EE_ORIGIN_TIMESTAMPING = 4
SIOCSHWTSTAMP, SIOCGHWTSTAMP = 0x89b0, 0x89b1
TCP_NLA_TOTAL_RETRANS, TCP_NLA_BYTES_SENT = 5, 18
IP_RECVERR = {(socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25)}


def seconds_ns(data):
    """A struct timespec in ns."""
    seconds, nanoseconds = struct.unpack_from("qq", data)
    return seconds * 10 ** 9 + nanoseconds


def stamp(sock, flags=0):
    """One message with its stamps: data, software, hardware, kind, id, origin, statistics."""
    ktap.check(select.select([sock], [], [sock] if flags else [], 20) != ([], [], []), "no message after 20 s")
    data, control, _, _ = sock.recvmsg(70000, 4096, flags)
    found = {"data": data}
    for level, kind, value in control:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPING):
            found["software"], found["other"], found["hardware"] = (seconds_ns(value[i:]) for i in (0, 16, 32))
        elif (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            found["ns"] = seconds_ns(value)
        elif (level, kind) == (socket.SOL_SOCKET, SCM_TIMESTAMPING_OPT_STATS):
            found["statistics"] = value
        elif (level, kind) in IP_RECVERR:
            code, found["origin"], _, _, _, found["kind"], found["id"] = struct.unpack_from("IBBBBII", value)
            ktap.equal("error of a time stamp", code, errno.ENOMSG)
    return found


def sent(sock, count):
    """That many stamps of sending: {(id, kind): message}."""
    found = {}
    for _ in range(count):
        message = stamp(sock, socket.MSG_ERRQUEUE)
        ktap.equal("origin", message["origin"], SO_EE_ORIGIN_TIMESTAMPING)
        ktap.equal("stamps by hardware", (message["hardware"], message["other"]), (0, 0))
        key = (message["id"], message["kind"])
        ktap.check(key not in found, "two stamps of %r" % (key,))
        found[key] = message
    ktap.fails("EAGAIN", "one more stamp", sock.recvmsg, 1, 1024, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    return found


def switch(sock, flags):
    """SO_TIMESTAMPING."""
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, flags)


def stamping():
    """Arrivals are stamped by the kernel from now on (it switches that on a little later than asked), while this lives."""
    one, two = net.tcp_pair("127.0.0.1")
    switch(two, RX_SOFTWARE | SOFTWARE)

    def stamped():
        one.send(b"x")
        return "software" in stamp(two)
    ktap.wait_for("arrivals are stamped", stamped, 30)
    return one, two


def receive(sock):
    """The message that is there, stamped before anybody looked."""
    ktap.check(select.select([sock], [], [], 20)[0], "nothing came in 20 s")
    seen, message = time.time_ns(), stamp(sock)
    ktap.check(message.get("software", message.get("ns", seen + 1)) <= seen, "arrival was not stamped when it happened")
    return message


@ktap.case(net.LANES)
def udp(lane):
    """Queued, sent and arrived, each once, numbered, in this order; the error queue has the data, or not."""
    net.enter(lane)
    keep = stamping()
    for address in V4_V6:
        for only in (0, OPT_TSONLY):
            sender, receiver = net.udp_pair(address)
            switch(sender, TX_SCHED | TX_SOFTWARE | SOFTWARE | OPT_ID | OPT_CMSG | only)
            switch(receiver, RX_SOFTWARE | SOFTWARE)
            for number in range(4):
                payload = net.datagram(number, 300)
                begin = time.time_ns()
                sender.send(payload)
                arrived = receive(receiver)
                end = time.time_ns()
                ktap.equal("data", arrived["data"], payload)
                ktap.equal("stamps of arrival by hardware", (arrived["hardware"], arrived["other"]), (0, 0))
                seen = sent(sender, 2)
                ktap.equal("stamps", sorted(seen), [(number, SND), (number, SCHED)])
                queued, left = seen[number, SCHED], seen[number, SND]
                order = [begin, queued["software"], left["software"], arrived["software"], end]
                ktap.check(order == sorted(order), "not in order: %r" % [t - begin for t in order])
                for message in (queued, left):
                    ktap.check(message["data"] == b"" if only else message["data"].endswith(payload),
                               "%d bytes came with a stamp" % len(message["data"]))
    del keep


@ktap.case(net.LANES)
def udp_switched_off(lane):
    """Without the flag that asks for it nothing is stamped; a control message asks for one datagram."""
    net.enter(lane)
    for address in V4_V6:
        sender, receiver = net.udp_pair(address)
        switch(sender, SOFTWARE | OPT_TSONLY)
        switch(receiver, SOFTWARE)
        for number in range(3):
            ask = [(socket.SOL_SOCKET, SO_TIMESTAMPING, struct.pack("I", TX_SOFTWARE))] if number == 1 else []
            sender.sendmsg([b"data"], ask)
            ktap.check("software" not in stamp(receiver), "a stamp of arrival that nobody asked for")
            if number == 1:
                ktap.check(stamp(sender, socket.MSG_ERRQUEUE)["software"] > 0, "no time in a stamp")
        ktap.fails("EAGAIN", "one more stamp", sender.recvmsg, 1, 1024, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)


@ktap.case(net.LANES)
def timestampns(lane):
    """SO_TIMESTAMPNS: arrival, UDP and TCP, and both directions of lo seen by a packet socket."""
    net.enter(lane)
    keep = stamping()
    for address in V4_V6:
        tap = net.Sniffer("lo").sock
        tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        for sender, receiver in (net.udp_pair(address), net.tcp_pair(address)):
            while select.select([tap], [], [], 0)[0]:
                tap.recv(1)
            receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            begin = time.time_ns()
            sender.send(b"when?")
            arrived = receive(receiver)
            end = time.time_ns()
            out, back = stamp(tap), stamp(tap)
            order = [begin, out["ns"], back["ns"], end]
            ktap.check(out["ns"] < back["ns"] and order == sorted(order), "on lo: %r" % [t - begin for t in order])
            ktap.check(begin <= arrived["ns"] <= end, "arrival: %d of %d ns" % (arrived["ns"] - begin, end - begin))
    del keep


@ktap.case(net.LANES)
def tcp(lane):
    """Queued, sent and acknowledged, with the number of the last byte; statistics of the connection."""
    net.enter(lane)
    keep = stamping()
    for address in V4_V6:
        one, two = net.tcp_pair(address)
        switch(one, TX_SCHED | TX_SOFTWARE | TX_ACK | SOFTWARE | OPT_ID | OPT_TSONLY | OPT_STATS)
        switch(two, RX_SOFTWARE | SOFTWARE)
        one.settimeout(None)
        total = 0
        for size in (1, 1000, 60000):
            begin = time.time_ns()
            one.sendall(bytes(size))
            arrived = receive(two)
            ktap.check(begin <= arrived["software"] <= time.time_ns(), "time of arrival")
            net.read_exactly(two, size - len(arrived["data"]))
            total += size
            seen = sent(one, 3)
            end = time.time_ns()
            ktap.equal("stamps", sorted(seen), [(total - 1, SND), (total - 1, SCHED), (total - 1, ACK)])
            order = [begin] + [seen[total - 1, kind]["software"] for kind in (SCHED, SND, ACK)] + [end]
            ktap.check(order == sorted(order), "not in order: %r" % [t - begin for t in order])
            ktap.check(arrived["software"] <= order[3], "acknowledged before it arrived")
            counts = {kind: tcp_statistics(message["statistics"]) for (_, kind), message in seen.items()}
            ktap.equal("bytes sent, and segments sent again, when it was acknowledged",
                       (counts[ACK][TCP_NLA_BYTES_SENT], counts[ACK][TCP_NLA_TOTAL_RETRANS]), (total, 0))
    del keep


def tcp_statistics(data):
    """{attribute: number}."""
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("HH", data, at)
        found[kind] = int.from_bytes(data[at + 4:at + length], "little")
        at += (length + 3) & ~3
    return found


@ktap.case(net.LANES)
def hardware(lane):
    """Stamps by hardware: none come, and to configure them is refused as on lo."""
    def body(_env):
        found = {}
        sender, receiver = net.udp_pair("127.0.0.1")
        switch(sender, TX_HARDWARE | RAW_HARDWARE | OPT_TSONLY)
        switch(receiver, RX_HARDWARE | RAW_HARDWARE)
        sender.send(b"data")
        ktap.check(not stamp(receiver).get("hardware"), "a stamp of arrival")
        ktap.fails("EAGAIN", "a stamp of sending", sender.recvmsg, 1, 1024, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        for request in (SIOCGHWTSTAMP, SIOCSHWTSTAMP):
            for config in ((0, 0, 0), (0, 1, 1), (0, 1, 0), (1, 0, 0), (0, 99, 99)):
                memory = (ctypes.c_int * 3)(*config)
                arg = struct.pack("16sQ16x", b"lo", ctypes.addressof(memory))
                found["%#x %r" % (request, config)] = [ktap.error_of(fcntl.ioctl, sender, request, arg), list(memory)]
        found["ethtool -T"] = subprocess.run(["ethtool", "-T", "lo"], capture_output=True, text=True, check=True).stdout
        return found
    want, got = net.in_lane("lo", body), net.in_lane(lane, body)
    ktap.equal("answers", got, want)
    ktap.check(all(value[0] for key, value in want.items() if key.startswith("0x")), "lo has hardware stamps: %r" % want)
    ktap.check("software-transmit" in got["ethtool -T"], "ethtool -T: " + got["ethtool -T"])


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
