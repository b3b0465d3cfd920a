#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""SCTP, raw sockets, multicast and broadcast over lo: what arrives, and how many copies."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import contextlib
import socket
import struct

import ktap
import net
import sctp
import tools

V4_V6 = ("127.0.0.1", "::1")
IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_ADD_MEMBERSHIP, IP_HDRINCL = 32, 34, 35, 3
IPV6_RECVERR, IP_RECVERR = 25, 11


# --- SCTP ---------------------------------------------------------------------------

@ktap.case(net.LANES)
def sctp_one_to_one(lane):
    """A connection with several streams, both ways; ended, and aborted."""
    sctp.need()
    env = net.enter(lane)
    for address in V4_V6:
        with sctp.opened(address, socket.SOCK_STREAM) as listener:
            listener.bind((address, 0))
            listener.listen(2)
            for abort in (False, True):
                one = sctp.opened(address, socket.SOCK_STREAM)
                before = tools.snmp(), tools.tx_packets(), env.rlo("packets")
                one.connect(listener.getsockname())
                two, _ = listener.accept()
                two.settimeout(20)
                ktap.equal("events", (sctp.next_event(one), sctp.next_event(two)), (0, 0))
                status = struct.unpack_from("=iiIHHHH", one.getsockopt(sctp.SOL_SCTP, sctp.SCTP_STATUS, 176))
                ktap.equal("streams in and out", status[5:], (sctp.STREAMS, sctp.STREAMS))
                sctp.exchange(one, two)
                sctp.exchange(two, one, first=1000)
                if abort:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()
                ktap.equal("event after the end (abort: %r)" % abort, sctp.next_event(two), 1 if abort else 3)
                ktap.fails("ECONNRESET" if abort else "", "receiving then", two.recv, 10)
                two.close()
                ktap.wait_for("no association", lambda: not tools.snmp()["SctpCurrEstab"])
                grown = tools.snmp_since(before[0])
                packets = tools.tx_packets() - before[1]
                ktap.check(packets > 50, "only %d packets" % packets)
                ktap.equal("SCTP's packets out and in", (grown["SctpOutSCTPPacks"], grown["SctpInSCTPPacks"]),
                           (packets, packets))
                ktap.equal("wrong checksums", grown.get("SctpChecksumErrors", 0), 0)
                ktap.equal("rlo's packets", env.rlo("packets") - before[2], packets if env.is_rlo else 0)


@ktap.case(net.LANES)
def sctp_one_to_many(lane):
    """One socket with two peers; one association ends, the other is aborted."""
    sctp.need()
    net.enter(lane)
    for address in V4_V6:
        with contextlib.ExitStack() as stack:
            server, *clients = [stack.enter_context(sctp.opened(address, socket.SOCK_SEQPACKET)) for _ in range(3)]
            server.bind((address, 0))
            server.listen(5)
            where = server.getsockname()
            known = []
            for i, client in enumerate(clients):
                client.bind((address, 0))
                client.sendmsg([b"hello"], sctp.sndrcv(i + 1, 0, 77), 0, where)
                stream, ppid, data, assoc, peer = sctp.next_message(server)
                ktap.equal("first message", (stream, ppid, data, peer[:2]),
                           (i + 1, 77, b"hello", client.getsockname()[:2]))
                known.append((assoc, peer))
            ktap.check(known[0][0] != known[1][0], "two peers are one association")
            for client, (assoc, peer) in zip(clients, known):
                sctp.exchange(client, server, to=where)
                sctp.exchange(server, client, assoc=assoc, to=peer, first=500)
            for flag, client, event in ((sctp.SCTP_EOF, clients[0], 3), (sctp.SCTP_ABORT, clients[1], 1)):
                client.sendmsg([], sctp.sndrcv(0, flag), 0, where)
                ktap.equal("event at the server after flag %d" % flag, sctp.next_event(server), event)


# --- raw sockets ----------------------------------------------------------------------

def checksum(data):
    """The Internet's."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def echo(kind, ident, seq, payload):
    """An ICMP message; for v6 the kernel fills the checksum in."""
    head = struct.pack("!BBHHH", kind, 0, 0, ident, seq)
    return head[:2] + struct.pack("!H", checksum(head + payload) if kind < 128 else 0) + head[4:] + payload


def drain(sock):
    """Everything that waits in a socket."""
    found = []
    sock.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(sock.recv(70000))
    return found


@ktap.case(net.LANES)
def raw_icmp(lane):
    """Echo by hand, with the kernel's header and (v4) our own: request and reply, each seen once."""
    net.enter(lane)
    for own in (False, True):
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
            sock.setsockopt(socket.IPPROTO_IP, IP_HDRINCL, int(own))
            for size in (0, 1, 56, 1473, 65535 - 28):
                payload = net.datagram(size, size) if size >= 8 else b"\x5a" * size
                message = echo(8, 4711, size, payload)
                header = struct.pack("!BBHHHBBH4s4s", 0x45, 0x10, 0, 99, 0, 33, 1, 0,
                                     *map(socket.inet_aton, ("127.3.3.3", "127.0.0.9")))
                sock.sendto(header + message if own else message, ("127.0.0.9", 0))
                got = drain(sock)
                ktap.equal("kinds of ICMP seen", [g[20] for g in got], [8, 0])
                for i, packet in enumerate(got):
                    ends = ("127.3.3.3" if own else "127.0.0.1", "127.0.0.9")
                    ktap.equal("addresses", tuple(map(socket.inet_ntoa, (packet[12:16], packet[16:20]))),
                               ends[::-1] if i else ends)
                    ktap.equal("checksums", (checksum(packet[:20]), checksum(packet[20:])), (0, 0))
                    ktap.equal("length", struct.unpack_from("!H", packet, 2)[0], len(packet))
                    ktap.check(packet[28:] == payload, "other bytes came")
                    if own and not i:
                        ktap.equal("TOS, number, TTL", (packet[1], packet[4:6], packet[8]), (0x10, b"\0\x63", 33))
            ktap.fails("EMSGSIZE", "a packet of 65536 bytes", sock.sendto, bytes(65536 - (0 if own else 20)),
                       ("127.0.0.9", 0))
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
        for size in (0, 1, 56, 1473, 65535 - 8):
            payload = net.datagram(size, size) if size >= 8 else b"\x5a" * size
            sock.sendto(echo(128, 4711, size, payload), ("::1", 0))
            got = drain(sock)
            ktap.equal("kinds of ICMPv6 seen", [g[0] for g in got], [128, 129])
            for message in got:
                pseudo = socket.inet_pton(socket.AF_INET6, "::1") * 2 + struct.pack("!II", len(message), 58)
                ktap.equal("checksum", checksum(pseudo + message), 0)
                ktap.check(message[8:] == payload, "other bytes came")
        ktap.fails("EMSGSIZE", "a payload of 65536 bytes", sock.sendto, bytes(65536), ("::1", 0))


@ktap.case(net.LANES)
def raw_other(lane):
    """A protocol of our own (253), sent by a raw socket and by IPPROTO_RAW; copies as many as receivers."""
    net.enter(lane)
    for address in V4_V6:
        v6 = ":" in address
        with contextlib.ExitStack() as stack:
            def opened(protocol):
                return stack.enter_context(socket.socket(net.family(address), socket.SOCK_RAW, protocol))
            sender, whole = opened(253), opened(socket.IPPROTO_RAW)
            receivers = [opened(253) for _ in range(3)]
            text = os.urandom(999)
            sender.sendto(text, (address, 0))
            for sock in receivers:
                ktap.equal("copies of a raw packet", [p[0 if v6 else 20:] for p in drain(sock)], [text])
            raw = socket.inet_pton(net.family(address), address)
            if v6:
                header = struct.pack("!IHBB", 6 << 28 | 0x12345, len(text), 253, 77) + raw + raw
            else:
                header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 77, 253, 0, raw, raw)
            sniffer = net.Sniffer("lo")
            whole.sendto(header + text, (address, 0))
            for sock in receivers:
                ktap.equal("copies of a packet with a header", [p[0 if v6 else 20:] for p in drain(sock)], [text])
            frames = sniffer.frames(text)
            ktap.equal("frames", [f[0] for f in frames], [net.PACKET_OUTGOING, net.PACKET_HOST])
            ktap.equal("TTL on lo", {f[2][14 + (7 if v6 else 8)] for f in frames}, {77})
            if v6:
                ktap.equal("IPv6 header on lo", {f[2][14:54] for f in frames}, {header})
            ktap.equal("IPPROTO_RAW receives", drain(whole), [])


# --- ICMP errors ----------------------------------------------------------------------

@ktap.case(net.LANES)
def icmp_errors(lane):
    """A closed port, an unknown protocol: the error reaches the socket that sent, with its cause."""
    net.enter(lane)
    for address in V4_V6:
        v6 = ":" in address
        level, option = (socket.IPPROTO_IPV6, IPV6_RECVERR) if v6 else (socket.IPPROTO_IP, IP_RECVERR)
        before = tools.snmp()
        sender, receiver = net.udp_pair(address)
        closed = receiver.getsockname()[:2]
        receiver.close()
        sender.setsockopt(level, option, 1)
        sender.settimeout(10)
        sender.send(b"is anybody there?")
        ktap.fails("ECONNREFUSED", "receiving after a closed port of " + address, sender.recv, 10)
        data, control, _, where = sender.recvmsg(1000, 1000, socket.MSG_ERRQUEUE)
        error = struct.unpack_from("=IBBBxII", control[0][2])
        ktap.equal("error queue", (data, where[:2], error[1:4]),
                   (b"is anybody there?", closed, (3, 1, 4) if v6 else (2, 3, 3)))
        offender = socket.inet_ntop(net.family(address), control[0][2][24:40] if v6 else control[0][2][20:24])
        ktap.equal("offender", offender, address)
        with socket.socket(net.family(address), socket.SOCK_RAW, 58 if v6 else 1) as icmp:
            # A raw socket of a protocol makes it a known one: this has to go out with a header of ours.
            with socket.socket(net.family(address), socket.SOCK_RAW, socket.IPPROTO_RAW) as whole:
                packed = socket.inet_pton(net.family(address), address)
                header = (struct.pack("!IHBB", 6 << 28, 4, 254, 9) + packed * 2 if v6 else
                          struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 9, 254, 0, packed, packed))
                whole.sendto(header + b"what", (address, 0))
            got = [p[0 if v6 else 20:] for p in drain(icmp)]
            ktap.equal("answers to an unknown protocol", [(p[0], p[1]) for p in got], [(4, 1) if v6 else (3, 2)])
            ktap.equal("what they quote", got[0][8 + (40 if v6 else 20):], b"what")
        grown = tools.snmp_since(before)
        keys = ("Icmp6InDestUnreachs", "Icmp6OutDestUnreachs") if v6 else ("IcmpInDestUnreachs", "IcmpOutDestUnreachs")
        ktap.equal("counted unreachables", [grown.get(key) for key in keys], [1, 1] if v6 else [2, 2])


# --- multicast and broadcast ------------------------------------------------------------

def join(sock, group, index):
    """Joins a group on a device."""
    if ":" in group:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                        socket.inet_pton(socket.AF_INET6, group) + struct.pack("i", index))
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_ADD_MEMBERSHIP,
                        socket.inet_aton(group) + bytes(4) + struct.pack("i", index))


def direct(sock, group, index, loop):
    """The device that multicast leaves on, and whether to this host as well."""
    if ":" in group:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, loop)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_IF, bytes(8) + struct.pack("i", index))
        sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_LOOP, loop)


def group_socket(group, port=0, member=True):
    """A receiver of a group on lo."""
    sock = socket.socket(net.family(group), socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((group, port, 0, 1) if group.startswith("ff02") else (group, port))
    if member:
        join(sock, group, socket.if_nametoindex("lo"))
    return sock


def multicast(group, receivers, loop):
    """What one datagram to a group gives: (copies at each receiver, kinds of frames)."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(group_socket(group, 0, receivers > 0))
        port = first.getsockname()[1]
        socks = [first] + [stack.enter_context(group_socket(group, port)) for _ in range(receivers - 1)]
        sender = stack.enter_context(socket.socket(net.family(group), socket.SOCK_DGRAM))
        direct(sender, group, socket.if_nametoindex("lo"), loop)
        sniffer = net.Sniffer("lo")
        text = b"to the group " + group.encode()
        sender.sendto(text, (group, port))
        kinds = [kind for kind, _, _ in sniffer.frames(text)]
        return [drain(sock).count(text) for sock in socks[:receivers]], kinds


GROUPS = ("239.1.2.3", "224.0.0.77", "ff15::1234", "ff02::77")


def all_copies(_env):
    """Of all groups and numbers of receivers."""
    tools.ip_batch("route add 224.0.0.0/4 dev lo", "route add local ff00::/8 dev lo table local")
    seen = {}
    for group in GROUPS:
        for receivers in (0, 1, 3):
            for loop in (0, 1):
                seen["%s %d %d" % (group, receivers, loop)] = multicast(group, receivers, loop)
    return seen


@ktap.case(net.LANES)
def multicast_copies(lane):
    """One copy for each receiver; the loop option makes no more of them on lo."""
    seen = all_copies(net.enter(lane))
    ktap.equal("groups", len(seen), 24)
    for name, (copies, kinds) in seen.items():
        receivers = int(name.split()[1])
        ktap.equal("copies " + name, copies, [1] * receivers)
        # The packet that lo carries comes back to everybody; the copy that the loop option makes
        # is not made where lo is the way out.
        ktap.equal("frames " + name, kinds, [net.PACKET_OUTGOING, net.PACKET_HOST])


@ktap.case(net.LANES)
def multicast_elsewhere(lane):
    """The copy of what leaves on another device, for the receivers here, does not go over lo."""
    env = net.enter(lane)
    tools.ip_batch("link add d0 type dummy", "addr add 192.0.2.1/24 dev d0", "addr add 2001:db8::1/64 dev d0 nodad",
                   "link set d0 up")
    index = socket.if_nametoindex("d0")
    for group in ("239.1.2.3", "ff15::1234"):
        for loop in (0, 1):
            with group_socket(group, 0, False) as receiver, socket.socket(net.family(group),
                                                                          socket.SOCK_DGRAM) as sender:
                join(receiver, group, index)
                direct(sender, group, index, loop)
                lo, other = net.Sniffer("lo"), net.Sniffer("d0")
                before = env.rlo("packets")
                sender.sendto(b"to a group elsewhere", (group, receiver.getsockname()[1]))
                ktap.wait_for("the frame", lambda: other.frames(b"to a group elsewhere"))
                if loop:
                    receiver.settimeout(10)
                    ktap.equal("copy", receiver.recv(100), b"to a group elsewhere")
                ktap.equal("copies (loop %d)" % loop, drain(receiver), [])
                ktap.equal("frames on lo", lo.frames(b"to a group elsewhere"), [])
                ktap.equal("rlo's packets", env.rlo("packets") - before, 0)


@ktap.case(net.LANES)
def broadcast(lane):
    """127.255.255.255 takes SO_BROADCAST and reaches each socket once."""
    env = net.enter(lane)
    for receivers in (0, 1, 3):
        with contextlib.ExitStack() as stack:
            socks = []
            for i in range(max(receivers, 1)):
                sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                sock.bind(("0.0.0.0" if i % 2 else "127.255.255.255", socks[0].getsockname()[1] if socks else 0))
                socks.append(sock)
            where = ("127.255.255.255", socks[0].getsockname()[1])
            if not receivers:
                socks.pop().close()
            sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            ktap.fails("EACCES", "a broadcast without SO_BROADCAST", sender.sendto, b"x", where)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sniffer = net.Sniffer("lo")
            before, rlo = tools.snmp(), env.rlo("packets")
            sender.sendto(b"to everybody", where)
            ktap.equal("copies", [drain(sock) for sock in socks], [[b"to everybody"]] * receivers)
            ktap.equal("kinds of frames", [f[0] for f in sniffer.frames(b"to everybody")],
                       [net.PACKET_OUTGOING, net.PACKET_HOST])
            ktap.equal("rlo's packets", env.rlo("packets") - rlo, int(env.is_rlo))
            grown = tools.snmp_since(before)
            ktap.equal("IP's broadcasts out and in", (grown.get("IpExtOutBcastPkts"), grown.get("IpExtInBcastPkts")),
                       (1, 1))
            # No answer to a broadcast that nobody wants.
            ktap.equal("ICMP", grown.get("IcmpOutDestUnreachs", 0), 0)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
