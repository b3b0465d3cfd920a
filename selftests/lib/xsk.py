# SPDX-License-Identifier: GPL-2.0
"""AF_XDP sockets without a library: a piece of memory, four rings, frames in and out."""

import ctypes
import mmap
import os
import socket
import struct

AF_XDP, SOL_XDP, XSKMAP = 44, 283, 17
MMAP_OFFSETS, RX_RING, TX_RING, UMEM_REG, FILL_RING, COMPLETION_RING, STATISTICS, OPTIONS = range(1, 9)
# Flags of bind().
COPY, ZEROCOPY, NEED_WAKEUP = 2, 4, 8
PAGE_OFFSETS = {RX_RING: 0, TX_RING: 0x80000000, FILL_RING: 0x100000000, COMPLETION_RING: 0x180000000}
CHUNK, ENTRIES = 4096, 64

_libc = ctypes.CDLL(None, use_errno=True)


def _address(memory):
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _call(result):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


class Ring:
    """One of the four: this side writes its entries or takes them out."""

    def __init__(self, sock, which, offsets, fmt):
        sock.setsockopt(SOL_XDP, which, ENTRIES)
        # producer, consumer, entries, flags
        self.at, self.fmt, self.size = offsets, fmt, struct.calcsize(fmt)
        self.memory = mmap.mmap(sock.fileno(), offsets[2] + ENTRIES * self.size, offset=PAGE_OFFSETS[which])

    def _number(self, which):
        return struct.unpack_from("I", self.memory, self.at[which])[0]

    def put(self, *entry):
        """Adds an entry for the kernel."""
        number = self._number(0)
        assert (number - self._number(1)) & 0xffffffff < ENTRIES, "the ring is full"
        struct.pack_into(self.fmt, self.memory, self.at[2] + number % ENTRIES * self.size, *entry)
        struct.pack_into("I", self.memory, self.at[0], (number + 1) & 0xffffffff)

    def take(self):
        """The next entry from the kernel, or None."""
        number = self._number(1)
        if number == self._number(0):
            return None
        entry = struct.unpack_from(self.fmt, self.memory, self.at[2] + number % ENTRIES * self.size)
        struct.pack_into("I", self.memory, self.at[1], (number + 1) & 0xffffffff)
        return entry


class Xsk:
    """A socket with memory for 64 frames to receive and 64 to send."""

    def __init__(self, rx=True, tx=True):
        self.sock = socket.socket(AF_XDP, socket.SOCK_RAW, 0)
        self.memory = mmap.mmap(-1, 2 * ENTRIES * CHUNK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)
        self.sock.setsockopt(SOL_XDP, UMEM_REG, struct.pack("QQIIII", _address(self.memory), len(self.memory), CHUNK, 0, 0, 0))
        # The offsets are the same before and after the rings are made.
        offsets = struct.unpack("16Q", self.sock.getsockopt(SOL_XDP, MMAP_OFFSETS, 128))
        self.fill = Ring(self.sock, FILL_RING, offsets[8:12], "Q")
        self.completion = Ring(self.sock, COMPLETION_RING, offsets[12:16], "Q")
        self.rx = Ring(self.sock, RX_RING, offsets[0:4], "QII") if rx else None
        self.tx = Ring(self.sock, TX_RING, offsets[4:8], "QII") if tx else None
        for number in range(ENTRIES):
            self.fill.put(number * CHUNK)
        self.free = [(ENTRIES + number) * CHUNK for number in range(ENTRIES)]

    def bind(self, device, queue, flags=COPY):
        """To a queue of a device."""
        address = struct.pack("HHIII", AF_XDP, flags, socket.if_nametoindex(device), queue, 0)
        _call(_libc.bind(self.sock.fileno(), address, len(address)))

    def received(self):
        """The next frame, or None; its room is given back."""
        entry = self.rx.take()
        if not entry:
            return None
        frame = self.memory[entry[0]:entry[0] + entry[1]]
        self.fill.put(entry[0] // CHUNK * CHUNK)
        return frame

    def queue(self, frame):
        """Puts a frame into the ring; kick() sends."""
        while done := self.completion.take():
            # The kernel gives back what was wrong, too.
            if done[0] < len(self.memory):
                self.free.append(done[0])
        address = self.free.pop(0)
        self.memory[address:address + len(frame)] = frame
        self.tx.put(address, len(frame), 0)

    def kick(self):
        """Sends what is in the ring."""
        _call(_libc.sendto(self.sock.fileno(), None, 0, socket.MSG_DONTWAIT, None, 0))

    def statistics(self):
        """What the kernel counts of it."""
        names = ("rx_dropped", "rx_invalid_descs", "tx_invalid_descs", "rx_ring_full", "rx_fill_ring_empty_descs", "tx_ring_empty_descs")
        return dict(zip(names, struct.unpack("6Q", self.sock.getsockopt(SOL_XDP, STATISTICS, 48))))

    def options(self):
        """XDP_OPTIONS: 1 if it is zero-copy."""
        return struct.unpack("I", self.sock.getsockopt(SOL_XDP, OPTIONS, 4))[0]

    def close(self):
        """Gives the queue back, which the rings keep, too."""
        self.sock.close()
        for ring in (self.fill, self.completion, self.rx, self.tx):
            if ring:
                ring.memory.close()


def udp_frame(payload, port, source_port=4001):
    """An Ethernet frame with a datagram from 127.0.0.2 to 127.0.0.1; without the checksum that IPv4 allows to leave out."""
    udp = struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes((127, 0, 0, 2)), bytes((127, 0, 0, 1)))
    total = sum(struct.unpack("!10H", ip))
    total = (total & 0xffff) + (total >> 16)
    ip = ip[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + ip[12:]
    return bytes(12) + b"\x08\x00" + ip + udp
