# SPDX-License-Identifier: GPL-2.0
"""SCTP sockets: messages in streams, and what happens to associations."""

import socket
import struct

import ktap
import net
import tools

SOL_SCTP, SCTP_INITMSG, SCTP_NODELAY, SCTP_EVENTS, SCTP_STATUS, SCTP_DELAYED_SACK = 132, 2, 3, 11, 14, 16
CMSG_SNDRCV = 1
SCTP_EOF, SCTP_ABORT = 0x200, 4
MSG_NOTIFICATION = 0x8000
STREAMS = 5


def opened(address, kind):
    """A socket that asks for some streams and tells which one a message came from."""
    sock = socket.socket(net.family(address), kind, socket.IPPROTO_SCTP)
    sock.settimeout(20)
    net.set_buffer(sock, net.SO_SNDBUFFORCE, socket.SO_SNDBUF, 4 << 20)
    net.set_buffer(sock, net.SO_RCVBUFFORCE, socket.SO_RCVBUF, 4 << 20)
    sock.setsockopt(SOL_SCTP, SCTP_INITMSG, struct.pack("HHHH", STREAMS, STREAMS, 0, 0))
    # Nothing waits for more to come, neither messages nor acknowledgements.
    sock.setsockopt(SOL_SCTP, SCTP_NODELAY, 1)
    sock.setsockopt(SOL_SCTP, SCTP_DELAYED_SACK, struct.pack("=III", 0, 0, 1))
    sock.setsockopt(SOL_SCTP, SCTP_EVENTS, bytes([1, 1] + [0] * 12))
    return sock


def sndrcv(stream, flags=0, ppid=0, assoc=0):
    """Control data: the stream and so on of a message to send."""
    return [(SOL_SCTP, CMSG_SNDRCV, struct.pack("=HHH2xIIIIIi", stream, 0, flags, ppid, 0, 0, 0, 0, assoc))]


class Event(Exception):
    """Not a message but a change of an association."""


def receive(sock):
    """(stream, protocol identifier, message, association, sender's address)."""
    data, control, flags, peer = sock.recvmsg(70000, 1024)
    if flags & MSG_NOTIFICATION:
        # Of an association's change: type, flags, length, and which change.
        raise Event(struct.unpack_from("=HHIH", data)[3])
    for level, kind, value in control:
        if (level, kind) == (SOL_SCTP, CMSG_SNDRCV):
            stream, _, _, ppid, _, _, _, _, assoc = struct.unpack_from("=HHH2xIIIIIi", value)
            return stream, ppid, data, assoc, peer
    raise ktap.Failure("a message without its stream: %r" % (data,))


def next_message(sock):
    """The same, whatever events come before."""
    while True:
        try:
            return receive(sock)
        except Event:
            pass


def next_event(sock):
    """Which change came next: 0 up, 1 lost, 3 shut down."""
    try:
        message = receive(sock)
    except Event as event:
        return event.args[0]
    raise ktap.Failure("a message where an event was to come: %r" % (message,))


def exchange(one, two, assoc=0, to=None, first=0):
    """Numbered messages with checksums in all streams; in each they come in order, once."""
    sizes = [8, 100, 1500, 9000, 40000]
    sent = [(i % STREAMS, 1000 + i, net.datagram(first + i, sizes[i % len(sizes) - i % 3])) for i in range(24)]
    for at in range(0, len(sent), 4):
        for stream, ppid, data in sent[at:at + 4]:
            one.sendmsg([data], sndrcv(stream, 0, ppid, assoc), 0, *([to] if to else []))
        got = [next_message(two) for _ in range(4)]
        for stream in range(STREAMS):
            ktap.check([g[:3] for g in got if g[0] == stream] == [s for s in sent[at:at + 4] if s[0] == stream],
                       "stream %d from message %d on: %r" % (stream, at, [(g[0], g[1], len(g[2])) for g in got]))
        for _, ppid, data, _, _ in got:
            net.check_datagram(data, first + ppid - 1000, len(data))


def need():
    """Skips without SCTP."""
    tools.need("IP_SCTP")
    tools.attempt("modprobe sctp")
