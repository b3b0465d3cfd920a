# SPDX-License-Identifier: GPL-2.0
"""The clock of a network device (PTP)."""

import ctypes
import glob
import os
import struct
import time

import ktap

ADJ_FREQUENCY, ADJ_SETOFFSET, ADJ_NANO = 0x2, 0x100, 0x2000
SECOND = 10 ** 9
_libc = ctypes.CDLL(None, use_errno=True)


def clock_name(device):
    """The name of the clock of a PCI device, or None."""
    names = glob.glob("/sys/bus/pci/devices/%s/ptp/ptp*" % device)
    return os.path.basename(names[0]) if names else None


class Clock:
    """The clock of a PCI device, opened."""

    def __init__(self, device):
        self.name = clock_name(device)
        ktap.check(self.name, "%s has no clock" % device)
        self.fd = os.open("/dev/" + self.name, os.O_RDWR)
        self.id = (~self.fd << 3) | 3

    def get(self):
        """The time in nanoseconds."""
        return time.clock_gettime_ns(self.id)

    def ahead(self):
        """How far it is ahead of CLOCK_MONOTONIC, as exactly as that can be read."""
        best = None
        for _ in range(5):
            before = time.monotonic_ns()
            now = self.get()
            after = time.monotonic_ns()
            if best is None or after - before < best[0]:
                best = after - before, now - (before + after) // 2
        return best[1]

    def set(self, ns):
        """Sets it."""
        time.clock_settime_ns(self.id, ns)

    def _adjust(self, modes, freq=0, offset=0):
        buf = ctypes.create_string_buffer(208)
        struct.pack_into("I4xqq", buf, 0, modes, 0, freq)
        seconds, rest = divmod(offset, SECOND)
        struct.pack_into("qq", buf, 72, seconds, rest)
        if _libc.clock_adjtime(self.id, buf) < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def shift(self, ns):
        """Shifts it."""
        self._adjust(ADJ_SETOFFSET | ADJ_NANO, offset=ns)

    def speed(self, ppb):
        """Makes it faster by so many parts in 10^9."""
        self._adjust(ADJ_FREQUENCY, freq=(ppb << 16) // 1000)

    def close(self):
        """Lets it go."""
        os.close(self.fd)
