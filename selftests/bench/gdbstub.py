# SPDX-License-Identifier: GPL-2.0
"""A client of QEMU's gdbstub: breakpoints, memory, registers, single steps.

Only what counting instructions takes. While it steps, QEMU delivers no
interrupt and stops its timers, so a step is one instruction of the code that
is stepped through.
"""

import socket
import struct
import time

RDI, RSI, RSP, RIP = 5, 4, 7, 16


class GdbError(Exception):
    """What the stub answered is not what was asked for."""


class Gdb:
    """A connection; connecting stops the machine."""

    def __init__(self, path, limit=30):
        end = time.monotonic() + limit
        while True:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self.sock.connect(path)
                break
            except OSError:
                self.sock.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        self.sock.settimeout(limit)
        self.buffer = b""
        self.running = False
        self.ask("?")

    def _byte(self):
        if not self.buffer:
            self.buffer = self.sock.recv(65536)
            if not self.buffer:
                raise GdbError("the machine has ended")
        byte, self.buffer = self.buffer[:1], self.buffer[1:]
        return byte

    def send(self, text):
        """A packet."""
        data = text.encode()
        self.sock.sendall(b"$%s#%02x" % (data, sum(data) & 255))

    def receive(self):
        """The payload of the next packet."""
        while self._byte() != b"$":
            pass
        payload = bytearray()
        while (byte := self._byte()) != b"#":
            payload += byte
        self._byte(), self._byte()
        self.sock.sendall(b"+")
        return bytes(payload)

    def ask(self, text, want=None):
        """A packet and its answer."""
        self.send(text)
        got = self.receive()
        if (want is not None and got != want) or (want is None and got[:1] == b"E" and len(got) == 3):
            raise GdbError("%s: %s" % (text, got.decode(errors="replace")))
        return got

    def interrupt(self):
        """Stops the machine."""
        if self.running:
            self.sock.sendall(b"\x03")
            self.receive()
            self.running = False

    def resume(self):
        """Lets it go on, without waiting."""
        self.send("c")
        self.running = True

    def wait(self, seconds):
        """Waits until a breakpoint stops it; whether one did."""
        self.sock.settimeout(seconds)
        try:
            self.receive()
            self.running = False
        except TimeoutError:
            self.interrupt()
            return False
        finally:
            self.sock.settimeout(30)
        return True

    def step(self):
        """One instruction; the address of the next."""
        self.ask("s")
        return self.register(RIP)

    def register(self, number):
        """A 64-bit register."""
        return struct.unpack("<Q", bytes.fromhex(self.ask("p%x" % number).decode()))[0]

    def memory(self, address, size):
        """Bytes at an address of the kernel."""
        return bytes.fromhex(self.ask("m%x,%x" % (address, size)).decode())

    def word(self, address):
        """A pointer in memory."""
        return struct.unpack("<Q", self.memory(address, 8))[0]

    def breakpoint(self, address, on=True):
        """Sets or removes one."""
        self.ask("%s0,%x,1" % ("Z" if on else "z", address), want=b"OK")
