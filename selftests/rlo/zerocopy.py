#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Data that is not copied on its way to a socket: MSG_ZEROCOPY, sendfile, splice, vmsplice, mapped receiving;
MSG_PEEK and MSG_TRUNC.  What may differ by device (was it copied after all?) is compared with lo's answer.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import ctypes
import fcntl
import hashlib
import mmap
import select
import socket
import struct

import ktap
import net

V4_V6 = ("127.0.0.1", "::1")
SO_ZEROCOPY, MSG_ZEROCOPY, SO_PEEK_OFF = 60, 0x4000000, 42
SO_EE_ORIGIN_ZEROCOPY, SO_EE_CODE_ZEROCOPY_COPIED = 5, 1
RECVERR = {(socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25)}
TCP_ZEROCOPY_RECEIVE = 35
SPLICE_F_GIFT = 8
PAGE = mmap.PAGESIZE

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)


def random(size):
    """Bytes that do not repeat within a page or from page to page."""
    return os.urandom(size)


def digest(data):
    """A checksum."""
    return hashlib.sha256(data).hexdigest()


def completions(sock, count):
    """What is told of `count` sends: [copied for each], in order; each has to be told once."""
    told = {}
    while len(told) < count:
        poll = select.poll()
        poll.register(sock, 0)
        ktap.check(poll.poll(20000), "%d of %d sends were completed in 20 s" % (len(told), count))
        data, control, _, _ = sock.recvmsg(100, 1024, socket.MSG_ERRQUEUE)
        ktap.equal("data in the error queue", data, b"")
        ktap.check(len(control) == 1 and control[0][:2] in RECVERR, "control messages: %r" % control)
        error, origin, _, code, _, first, last = struct.unpack_from("IBBBBII", control[0][2])
        ktap.equal("error and origin", (error, origin), (0, SO_EE_ORIGIN_ZEROCOPY))
        for number in range(first, last + 1):
            ktap.check(number not in told, "send %d was completed twice" % number)
            told[number] = code
    ktap.equal("sends that were completed", sorted(told), list(range(count)))
    ktap.fails("EAGAIN", "one more completion", sock.recvmsg, 1, 1024, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    return [told[number] for number in range(count)]


def send_and_overwrite(pair, stream, sizes):
    """Sends without copying, overwrites the memory when that is allowed, and only then receives."""
    sender, receiver = pair
    sender.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
    buffers = [bytearray(random(size)) for size in sizes]
    want = [digest(buffer) for buffer in buffers]
    for buffer in buffers:
        ktap.equal("bytes sent", sender.send(buffer, MSG_ZEROCOPY), len(buffer))
    codes = completions(sender, len(sizes))
    for buffer in buffers:
        buffer[:] = b"!" * len(buffer)
    for size, checksum in zip(sizes, want):
        data = net.read_exactly(receiver, size) if stream else receiver.recv(70000)
        ktap.equal("checksum of %d bytes" % size, digest(data), checksum)
    return codes


@ktap.case(net.LANES)
def msg_zerocopy(lane):
    """Each send is completed once; memory is free to be used again then; copied or not as on lo."""
    def body(_env):
        codes = {}
        for address in V4_V6:
            pair = net.udp_pair(address)
            codes["udp " + address] = send_and_overwrite(pair, False, (1, 100, 4096, 9000, 65507, 1400, 1400))
            pair = net.tcp_pair(address)
            pair[0].settimeout(None)
            pair[1].setsockopt(socket.SOL_SOCKET, net.SO_RCVBUFFORCE, 4 << 20)
            codes["tcp " + address] = send_and_overwrite(pair, True, (1, 4096, 40000, 200000, 100))
        return codes
    want, got = net.in_lane("lo", body), net.in_lane(lane, body)
    ktap.equal("copied", got, want)
    ktap.check(all(SO_EE_CODE_ZEROCOPY_COPIED in codes for codes in want.values()), "lo did not copy: %r" % want)


@ktap.case(net.LANES)
def msg_zerocopy_to_nobody(lane):
    """To a port that nobody has, to a full receiver, and to a connection that is reset: completed all the same."""
    net.enter(lane)
    for address in V4_V6:
        sender, receiver = net.udp_pair(address)
        sender.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        receiver.close()
        sender.send(random(5000), MSG_ZEROCOPY)
        ktap.equal("completions", len(completions(sender, 1)), 1)
        sender, receiver = net.udp_pair(address)
        sender.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        for _ in range(10):
            sender.send(random(5000), MSG_ZEROCOPY)
        ktap.equal("completions", len(completions(sender, 10)), 10)
        one, two = net.tcp_pair(address)
        one.settimeout(None)
        one.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        one.send(random(100000), MSG_ZEROCOPY)
        two.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        two.close()
        ktap.equal("completions", len(completions(one, 1)), 1)


def stream(send, size, *args):
    """Lets send(socket, *args) send in a child process; what the other end receives."""
    one, two = net.tcp_pair(args[0])
    pid = os.fork()
    if pid == 0:
        two.close()
        try:
            send(one, *args[1:])
            one.shutdown(socket.SHUT_WR)
            os._exit(0)
        finally:
            os._exit(1)
    one.close()
    data = net.read_exactly(two, size + 1)
    ktap.equal("status of the sender", os.waitpid(pid, 0)[1], 0)
    return data


def send_file(sock, file, size):
    """All of a file by sendfile."""
    sock.settimeout(None)
    at = 0
    while at < size:
        at += os.sendfile(sock.fileno(), file, at, size - at)


@ktap.case(net.LANES)
def sendfile(lane):
    """A large file, from several offsets, from the page cache and from memory."""
    net.enter(lane)
    data = random(2 << 20)
    file = os.memfd_create("rnet")
    os.write(file, data)
    path = "/tmp/rnet-zerocopy-%d" % os.getpid()
    with open(path, "wb") as plain:
        plain.write(data)
    other = os.open(path, os.O_RDONLY)
    os.unlink(path)
    for address in V4_V6:
        ktap.equal("checksum of a file", digest(stream(send_file, len(data), address, file, len(data))), digest(data))
        ktap.equal("checksum of a file on disk", digest(stream(send_file, 1 << 20, address, other, 1 << 20)),
                   digest(data[:1 << 20]))
        one, two = net.tcp_pair(address)
        for offset, size in ((0, 1), (1, 4095), (4095, 2), (4096, 4096), (12345, 30000)):
            ktap.equal("sendfile", os.sendfile(one.fileno(), file, offset, size), size)
            ktap.check(net.read_exactly(two, size) == data[offset:offset + size], "%d bytes at %d" % (size, offset))
        sender, receiver = net.udp_pair(address)
        ktap.equal("sendfile", os.sendfile(sender.fileno(), file, 100, 8000), 8000)
        ktap.check(receiver.recv(9000) == data[100:8100], "a datagram by sendfile")


@ktap.case(net.LANES)
def by_reference(lane):
    """A file that is changed after sendfile and before it is received: the receiver sees what it sees on lo."""
    def body(_env):
        seen = {}
        for address in V4_V6:
            file = os.memfd_create("rnet")
            os.write(file, b"a" * 8 * PAGE)
            one, two = net.tcp_pair(address)
            os.sendfile(one.fileno(), file, 0, 4 * PAGE)
            os.pwrite(file, b"b" * 8 * PAGE, 0)
            seen[address] = sorted(set(net.read_exactly(two, 4 * PAGE)))
        return seen
    want, got = net.in_lane("lo", body), net.in_lane(lane, body)
    ktap.equal("bytes received", got, want)


def pipe():
    """A pipe that holds a lot."""
    ends = os.pipe()
    try:
        fcntl.fcntl(ends[1], 1031, 1 << 20)
    except PermissionError:
        pass
    return ends


def splice_all(source, target, size):
    """Moves that many bytes between a pipe and something."""
    while size:
        moved = os.splice(source, target, size)
        ktap.check(moved, "splice ended %d bytes early" % size)
        size -= moved


def send_spliced(sock, data):
    """Bytes through a pipe into a socket."""
    sock.settimeout(None)
    read, write = pipe()
    for at in range(0, len(data), 60000):
        part = data[at:at + 60000]
        os.write(write, part)
        splice_all(read, sock.fileno(), len(part))


def send_vmspliced(sock, data):
    """The same, and the pipe refers to the memory of this process."""
    sock.settimeout(None)
    read, write = pipe()
    memory = mmap.mmap(-1, len(data))
    memory[:] = data
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    at = 0
    while at < len(data):
        vector = (ctypes.c_uint64 * 2)(base + at, min(8 * PAGE, len(data) - at))
        moved = _libc.vmsplice(write, vector, 1, SPLICE_F_GIFT)
        ktap.check(moved > 0, "vmsplice failed")
        splice_all(read, sock.fileno(), moved)
        at += moved


@ktap.case(net.LANES)
def splice(lane):
    """From a pipe to a socket, from memory to a socket, and from a socket to a pipe."""
    net.enter(lane)
    data = random(1 << 20)
    for address in V4_V6:
        ktap.equal("checksum by splice", digest(stream(send_spliced, len(data), address, data)), digest(data))
        ktap.equal("checksum by vmsplice", digest(stream(send_vmspliced, len(data), address, data)), digest(data))
        one, two = net.tcp_pair(address)
        two.settimeout(None)
        read, write = pipe()
        for size in (1, 4096, 50000, 200000):
            one.sendall(data[:size])
            got = b""
            while len(got) < size:
                moved = os.splice(two.fileno(), write, size - len(got))
                got += os.read(read, moved)
            ktap.equal("checksum of %d bytes from a socket" % size, digest(got), digest(data[:size]))


@ktap.case(net.LANES)
def mapped(lane):
    """TCP_ZEROCOPY_RECEIVE: whole pages are mapped where they are received, as many as on lo."""
    def body(_env):
        seen = {}
        for address in V4_V6:
            memory = mmap.mmap(-1, 8 * PAGE)
            memory[:] = data = random(8 * PAGE)
            one, two = net.tcp_pair(address)
            one.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
            ktap.equal("bytes sent", one.send(memory, MSG_ZEROCOPY), len(data))
            base = _libc.mmap(None, len(data), mmap.PROT_READ, mmap.MAP_SHARED, two.fileno(), 0)
            ktap.check(base not in (None, ctypes.c_void_p(-1).value), "mmap of a socket failed")
            got, count = b"", 0
            while len(got) < len(data):
                ktap.check(select.select([two], [], [], 20)[0], "%d bytes came in 20 s" % len(got))
                # Address, length, and how much has to be read instead.
                ask = ctypes.create_string_buffer(struct.pack("QII", base, (len(data) - len(got)) & -PAGE, 0), 16)
                size = ctypes.c_int(16)
                result = _libc.getsockopt(two.fileno(), socket.IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, ask, ctypes.byref(size))
                ktap.equal("error of TCP_ZEROCOPY_RECEIVE", ctypes.get_errno() if result else 0, 0)
                _, length, hint = struct.unpack("QII", ask.raw)
                got += ctypes.string_at(base, length)
                count += length
                got += net.read_exactly(two, min(hint or (0 if length else 1), len(data) - len(got)))
            ktap.equal("checksum", digest(got), digest(data))
            seen[address] = count
        return seen
    want, got = net.in_lane("lo", body), net.in_lane(lane, body)
    ktap.equal("bytes that were mapped", got, want)
    ktap.check(all(want.values()), "nothing was mapped: %r" % want)


@ktap.case(net.LANES)
def peek_and_truncate(lane):
    """MSG_PEEK, with an offset too, leaves what it shows; MSG_TRUNC tells the whole length, or discards."""
    net.enter(lane)
    for address in V4_V6:
        sender, receiver = net.udp_pair(address)
        data = random(30000)
        sender.send(data)
        sender.send(b"next")
        for _ in range(2):
            ktap.check(receiver.recv(40000, socket.MSG_PEEK) == data, "peeking")
        memory = bytearray(100)
        ktap.equal("length", receiver.recv_into(memory, 100, socket.MSG_PEEK | socket.MSG_TRUNC), len(data))
        _, _, flags, _ = receiver.recvmsg(100, 0, socket.MSG_PEEK)
        ktap.check(flags & socket.MSG_TRUNC, "no MSG_TRUNC for a datagram that was cut")
        ktap.equal("length", receiver.recv_into(memory, 100, socket.MSG_TRUNC), len(data))
        ktap.check(bytes(memory) == data[:100], "what was cut")
        ktap.equal("the datagram behind it", receiver.recv(100), b"next")
        one, two = net.tcp_pair(address)
        one.sendall(data)
        ktap.check(net.read_exactly(two, 0) == b"" and two.recv(10, socket.MSG_PEEK) == data[:10], "peeking")
        two.setsockopt(socket.SOL_SOCKET, SO_PEEK_OFF, 0)
        for at in range(0, 5000, 1000):
            ktap.check(two.recv(1000, socket.MSG_PEEK | socket.MSG_WAITALL) == data[at:at + 1000], "peeking at %d" % at)
        two.setsockopt(socket.SOL_SOCKET, SO_PEEK_OFF, -1)
        discarded = 0
        while discarded < 1000:
            discarded += two.recv_into(memory, 100, socket.MSG_TRUNC)
        ktap.check(net.read_exactly(two, len(data) - 1000) == data[1000:], "what follows 1000 discarded bytes")


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
