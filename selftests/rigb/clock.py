#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The clock of a port (PTP), and packets that it stamps with the time."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import contextlib
import ctypes
import errno
import fcntl
import re
import select
import socket
import struct
import threading
import time

import bpf
import forge
import kernel
import ktap
import net
import port
from bpf import R0, R2, R5
from phc import Clock, SECOND, clock_name

SO_TIMESTAMPING, TX_HARDWARE, RX_HARDWARE, RAW_HARDWARE = 37, 1, 4, 64
SIOCSHWTSTAMP, SIOCGHWTSTAMP = 0x89b0, 0x89b1
OFF, ON = 0, 1
NONE, V1_SYNC, V2_EVENT, V2_SYNC = 0, 4, 12, 13
PTP = 0x88f7
MAX_ADJUST = 999999881
# What is stamped of what is sent.
TSYNCTXCTL, ENABLED = 0xb614, 0x10
# How far apart two clocks may be that are read one after the other, while others use the CPUs.
NEAR = int(30 * 10 ** 6 * ktap.SLOW)


class Stamped(port.Pair):
    """A pair whose ends send PTP frames to each other and read stamps."""

    def __init__(self, drivers):
        super().__init__(drivers)
        self.clocks = [Clock(device) for device in self.devices]
        self.macs = [bytes.fromhex(self.link(end)["address"].replace(":", "")) for end in (0, 1)]
        self.senders = [self.raw(end, TX_HARDWARE | RAW_HARDWARE) for end in (0, 1)]
        self.receivers = [self.raw(end, RX_HARDWARE | RAW_HARDWARE, PTP) for end in (0, 1)]

    def raw(self, end, flags, kind=0):
        """A packet socket with stamps."""
        with self.side(end):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            sock.bind((port.NAMES[end], kind))
        # Stamps that nobody has read yet take some of it.
        net.set_buffer(sock, net.SO_RCVBUFFORCE, socket.SO_RCVBUF, 8 << 20)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, flags)
        return sock

    def ioctl(self, end, request, config=(0, 0, 0)):
        """What is stamped (flags, tx, rx), after the ioctl."""
        buf = ctypes.create_string_buffer(struct.pack("iii", *config))
        with self.side(end), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            fcntl.ioctl(sock, request, struct.pack("16sQ16x", port.NAMES[end].encode(), ctypes.addressof(buf)))
        return struct.unpack("iii", buf.raw[:12])

    def stamp(self, end, sent, received):
        """Has stamped what is sent and received."""
        return self.ioctl(end, SIOCSHWTSTAMP, (0, sent, received))

    def send(self, end, number=0, message=0):
        """Sends a PTP message of version 2: a Sync, if nothing else is said."""
        ptp = struct.pack("!BBHBBH8s4s10sHBb10s", message, 2, 44, 0, 0, 0, b"", b"", b"rnet", number & 0xffff, 0, 0, b"")
        self.senders[end].send(self.macs[1 - end] + self.macs[end] + struct.pack("!H", PTP) + ptp)

    @staticmethod
    def hardware(sock, flags=0, seconds=5):
        """(frame, its stamp or None) from a socket or its error queue, None if nothing comes."""
        poll = select.poll()
        poll.register(sock, select.POLLERR if flags else select.POLLIN)
        if not poll.poll(seconds * 1000 * ktap.SLOW):
            return None
        data, control, _, _ = sock.recvmsg(4096, 1024, flags)
        for level, kind, value in control:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPING):
                seconds, ns = struct.unpack_from("qq", value, 32)
                if seconds or ns:
                    return data, seconds * SECOND + ns
        return data, None

    def sent(self, end, seconds=5):
        """The stamp of what was sent, or None."""
        found = self.hardware(self.senders[end], socket.MSG_ERRQUEUE, seconds)
        return found and found[1]

    def received(self, end):
        """The stamp of the next frame that came in, or None."""
        found = self.hardware(self.receivers[end])
        ktap.check(found, "no frame came")
        return found[1]

    def both(self, what, end=0, count=5):
        """Frames in one direction that all have a stamp at both ends, of the time at which they were sent."""
        for number in range(count):
            before = [clock.get() for clock in self.clocks]
            self.send(end, number)
            stamps = {"sent": (end, self.sent(end)), "received": (1 - end, self.received(1 - end))}
            after = [clock.get() for clock in self.clocks]
            # igb does not read what QEMU has to be asked before it stamps a second frame.
            if self.drivers[1 - end] == "igb" and not stamps["received"][1]:
                del stamps["received"]
            for name, (place, stamp) in stamps.items():
                ktap.check(stamp, "%s: frame %d has no stamp, %s" % (what, number, name))
                ktap.check(before[place] <= stamp <= after[place], "%s: frame %d, %s: %d is not from %d to %d"
                           % (what, number, name, stamp, before[place], after[place]))

    def statistics_of_stamps(self, end):
        """What ethtool counts of stamps: {"tx_stats.pkts": ...}."""
        out = self.run(end, "ethtool -I -T %s")
        return {key: int(value) for key, value in re.findall(r"^\s*(tx_\w+): (\d+)", out, re.M)}


@contextlib.contextmanager
def goes_on(pair, what, end=0):
    """Inside, the clock of an end neither jumps nor stops."""
    before = pair.clocks[end].ahead()
    yield
    now = pair.clocks[end].ahead()
    ktap.check(abs(now - before) < NEAR, "%s: the clock has jumped by %d ns" % (what, now - before))


def goes_at(one, ppb, what):
    """A clock goes faster by so many parts in 10^9."""
    before, start = one.ahead(), time.monotonic_ns()
    time.sleep(0.5)
    gained, passed = one.ahead() - before, time.monotonic_ns() - start
    ktap.check(abs(gained - passed * ppb // SECOND) < NEAR, "%s: %d ns in %d ns with %d ppb" % (what, gained, passed, ppb))


@ktap.case()
def told():
    """ethtool -T says the same as with igb, with the number of the port's clock."""
    pair = port.Pair("rigb-igb")
    texts = []
    for end in (0, 1):
        text = pair.run(end, "ethtool -T %s")
        number = re.search(r"(?:PTP Hardware Clock|provider index): (\d+)", text)
        ktap.check(number, "no clock: " + text)
        ktap.equal("clock", "ptp" + number.group(1), clock_name(pair.devices[end]))
        texts.append(text.replace(number.group(0), "").replace(port.NAMES[end], ""))
    ktap.equal("ethtool -T", *texts)


@ktap.case()
def configured():
    """What can be stamped and what is refused (ERANGE, EINVAL), as with igb, up and down."""
    pair = Stamped("rigb-igb")

    def outcome(end, config):
        got = ktap.error_of(pair.ioctl, end, SIOCSHWTSTAMP, config)
        return got, pair.ioctl(end, SIOCGHWTSTAMP)
    wanted = [(0, sent, received) for sent in range(-1, 6) for received in (NONE, V2_EVENT)]
    wanted += [(0, ON, received) for received in range(-1, 20)] + [(2, ON, NONE), (0, OFF, NONE)]
    for state in ("up", "down"):
        for config in wanted:
            found = [outcome(end, config) for end in (0, 1)]
            ktap.equal("%s, %r" % (state, config), *found)
        ktap.equal("error", outcome(0, (0, ON, 1))[0], "ERANGE")
        ktap.equal("part of more", pair.stamp(0, ON, V2_SYNC), (0, ON, V2_EVENT))
        ktap.equal("shown", pair.ioctl(0, SIOCGHWTSTAMP), (0, ON, V2_EVENT))
        for end in (0, 1):
            pair.stamp(end, OFF, NONE)
            pair.run(end, "ip link set dev %s down")


@ktap.case(port.FEW)
def stamps(drivers):
    """PTP frames are stamped where they are sent and received, with the time on the ports' clocks; others are not."""
    pair = Stamped(drivers)
    pair.send(0)
    ktap.equal("stamps before anybody wanted one", (pair.sent(0, 0.3), pair.received(1)), (None, None))
    for end in (0, 1):
        ktap.equal("configuration", pair.stamp(end, ON, V2_EVENT), (0, ON, V2_EVENT))
    for end in (0, 1):
        pair.both("from port %d" % end, end, 20)
    # A Follow_Up is no event.
    pair.send(0, message=8)
    ktap.check(pair.sent(0), "no stamp of what was sent")
    ktap.equal("stamp of what is no event", pair.received(1), None)
    pair.stamp(0, OFF, NONE)
    pair.stamp(1, OFF, NONE)
    pair.send(0)
    ktap.equal("stamps when nobody wants them any more", (pair.sent(0, 0.3), pair.received(1)), (None, None))
    if pair.drivers[0] == "rigb":
        counts = pair.statistics_of_stamps(0)
        ktap.equal("counted", counts, {"tx_pkts": 21, "tx_lost": 0, "tx_err": 0})


@ktap.case(("rigb-igb",))
def bursts(drivers):
    """Many frames at once that want a stamp: each one that is told is right, the others go without, and it goes on."""
    pair = Stamped(drivers)
    pair.stamp(0, ON, NONE)
    pair.ping()
    start, count = pair.clocks[0].get(), 500
    for number in range(count):
        pair.send(0, number)
    came = []
    while (stamp := pair.sent(0, 1)) is not None:
        came.append(stamp)
    ktap.check(came and came == sorted(came) and start < came[0] and came[-1] < pair.clocks[0].get(), "stamps: %r" % came)
    counts = pair.statistics_of_stamps(0)
    ktap.equal("counted", (counts["tx_pkts"], counts["tx_lost"]), (len(came), 0))
    ktap.equal("with and without", counts["tx_pkts"] + counts["tx_err"], count)
    pair.send(0)
    ktap.check(pair.sent(0), "no stamp after that")


@ktap.case(port.FEW)
def clock(drivers):
    """The clock goes like the system's, is set, shifted, and made faster and slower."""
    pair = port.Pair(drivers, up=False)
    one = Clock(pair.devices[0])
    ktap.equal("most that it can be adjusted", kernel.number("/sys/class/ptp/%s/max_adjustment" % one.name), MAX_ADJUST)
    ktap.check(abs(one.get() - time.time_ns()) < SECOND, "it begins with another time than the system's")
    for state in ("down", "up"):
        before = one.ahead()
        time.sleep(1)
        ktap.check(abs(one.ahead() - before) < NEAR, "%s: %d ns off after a second" % (state, one.ahead() - before))
        times = [one.get() for _ in range(1000)]
        ktap.equal("goes back", [(a, b) for a, b in zip(times, times[1:]) if b < a], [])
        for wanted in (SECOND, time.time_ns() + 10 * 365 * 86400 * SECOND, time.time_ns()):
            one.set(wanted)
            ktap.check(0 <= one.get() - wanted < NEAR, "%s: not set to %d" % (state, wanted))
        for shift in (1, -1, 5 * SECOND, -5 * SECOND, 3600 * SECOND + 1, -(3600 * SECOND + 1)):
            before = one.ahead()
            one.shift(shift)
            ktap.check(abs(one.ahead() - before - shift) < NEAR, "%s: not shifted by %d" % (state, shift))
        for ppb in (100000000, -100000000, 500000000, -MAX_ADJUST, MAX_ADJUST):
            one.speed(ppb)
            goes_at(one, ppb, state)
        ktap.fails("ERANGE", "too fast", one.speed, MAX_ADJUST + 1000)
        one.speed(0)
        pair.up()
    one.close()


@ktap.case(tuple(pair for pair in port.FEW if pair.startswith("rigb")), limit=120)
def through_changes(drivers):
    """Rings, MTU, down and up, a reset of the function: stamps go on as configured, and the clock without a jump."""
    pair = Stamped(drivers)
    for end in (0, 1):
        pair.stamp(end, ON, V2_EVENT)
    pair.both("at first")
    pair.clocks[0].shift(1000 * SECOND)
    for change in ("ethtool -G %s rx 512 tx 512", "ethtool -L %s combined 1", "ip link set dev %s mtu 9000",
                   "ip link set dev %s down", "ip link set dev %s up", "ethtool -t %s offline", "reset"):
        with goes_on(pair, change):
            if change == "reset":
                kernel.write("%s/devices/%s/reset" % (port.PCI, pair.devices[0]), "1")
            else:
                pair.run(0, change)
        if "down" in change:
            with goes_on(pair, "while it is down"):
                time.sleep(0.3)
            # Or the next call would tell that the network was down.
            for sock in pair.senders + pair.receivers:
                sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            continue
        pair.wait_link()
        ktap.equal("configuration after " + change, pair.ioctl(0, SIOCGHWTSTAMP), (0, ON, V2_EVENT))
        for end in (0, 1):
            pair.both("%s, from port %d" % (change, end), end, 2)
    pair.clocks[0].speed(500000000)
    kernel.write("%s/devices/%s/reset" % (port.PCI, pair.devices[0]), "1")
    pair.wait_link()
    goes_at(pair.clocks[0], 500000000, "after a reset")


@ktap.case()
def asleep():
    """A port that is down and sleeps is woken to be asked for the time."""
    pair = port.Pair("rigb-igb", up=False)
    one = Clock(pair.devices[0])
    power = "%s/devices/%s/power/" % (port.PCI, pair.devices[0])
    before = one.ahead()
    kernel.write(power + "control", "auto")
    try:
        ktap.wait_for("sleep", lambda: kernel.read(power + "runtime_status") == "suspended", 20)
        ktap.check(abs(one.ahead() - before) < NEAR, "the clock has jumped by %d ns" % (one.ahead() - before))
        ktap.wait_for("sleep again", lambda: kernel.read(power + "runtime_status") == "suspended", 20)
        one.shift(SECOND)
        ktap.check(abs(one.ahead() - before - SECOND) < NEAR, "not shifted")
    finally:
        kernel.write(power + "control", "on")


@ktap.case()
def left_over():
    """The stamp of a frame that a program has dropped is in the way of others for seconds only."""
    pair = Stamped("rigb-rigb")
    for end in (0, 1):
        pair.stamp(end, ON, V2_EVENT)
    pair.both("at first")
    program = bpf.Program(bpf.XDP, [bpf.xdp_needs(40, "pass"), bpf.load(2, R5, R2, 12),
                                    bpf.jump("pass", R5, "!=", socket.htons(PTP)), bpf.verdict(bpf.XDP_DROP), bpf.exit_(),
                                    "pass", bpf.mov(R0, bpf.XDP_PASS), bpf.exit_()])
    with pair.side(1):
        bpf.need_xdp(port.NAMES[1], program.fd, bpf.DRV_MODE)
    pair.send(0)
    pair.sent(0)
    port.settled()
    with pair.side(1):
        bpf.need_xdp(port.NAMES[1], -1, bpf.DRV_MODE)

    def stamped_again():
        pair.send(0)
        pair.sent(0)
        return pair.received(1)
    # A slow kernel takes longer than it is in the way.
    ktap.check(stamped_again() is None or ktap.SLOW > 1, "the stamp was not left over")
    ktap.wait_for("stamps again", stamped_again, 10)
    pair.both("after that")


@ktap.case()
def lost():
    """A stamp that does not come is given up and counted; who sends meanwhile goes without, who sends then gets one."""
    pair = Stamped("rigb-rigb")
    registers = forge.Registers(pair.devices[0])
    pair.stamp(0, ON, NONE)
    pair.send(0)
    ktap.check(pair.sent(0), "no stamp at first")
    ktap.equal("TSYNCTXCTL", registers.read(TSYNCTXCTL), ENABLED)
    registers.write(TSYNCTXCTL, 0)
    for _ in range(2):
        pair.send(0)
    ktap.wait_for("a stamp is lost", lambda: pair.statistics_of_stamps(0)["tx_lost"], 5)
    ktap.equal("stamps meanwhile", pair.sent(0, 0.1), None)
    registers.write(TSYNCTXCTL, ENABLED)
    pair.send(0)
    ktap.check(pair.sent(0), "no stamp after that")
    ktap.equal("counted", pair.statistics_of_stamps(0), {"tx_pkts": 2, "tx_lost": 1, "tx_err": 1})


@ktap.case(limit=120)
def taken_away():
    """The port goes while its clock is open, read all the time, and frames wait for stamps: ENODEV, and nothing else."""
    for _ in range(3):
        pair = Stamped("rigb-rigb")
        pair.stamp(0, ON, NONE)
        stop, errors = threading.Event(), []

        def read(pair=pair, stop=stop, errors=errors):
            while not stop.is_set():
                try:
                    pair.clocks[0].get()
                    pair.clocks[0].shift(1)
                except OSError as error:
                    errors.append(error.errno)
                    return

        def send(pair=pair, stop=stop):
            while not stop.is_set():
                try:
                    pair.send(0)
                except OSError:
                    return
        threads = [threading.Thread(target=target) for target in (read, read, send)]
        for thread in threads:
            thread.start()
        port.settled()
        port.unbind(pair.devices[0])
        stop.wait(0.2)
        stop.set()
        for thread in threads:
            thread.join()
        ktap.equal("errors", errors, [errno.ENODEV] * 2)
        for what, call in (("read", pair.clocks[0].get), ("set", lambda pair=pair: pair.clocks[0].set(0)),
                           ("shift", lambda pair=pair: pair.clocks[0].shift(1))):
            ktap.fails("ENODEV", what, call)
        ktap.check(not clock_name(pair.devices[0]), "the clock is still there")
        for one in pair.clocks:
            one.close()
        pair.close()


if __name__ == "__main__":
    sys.exit(port.main())
