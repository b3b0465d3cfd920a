#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""rigb.py [--check] [--row N]: guest instructions for a packet between two ports of an 82576, with igb and with rigb.

For the exact lane, where a nanosecond is an instruction: selftests/bench/run.sh --rigb. A row compares the in-tree igb on
both ports with rigb on one of them (that which sends, or that which receives) or on both. One CPU does everything, both
ends, the stack and this program included. Speed is with the time that is waited for the device, which holds igb's interrupts
back; the instructions are counted in a second run, in which a process of the lowest priority takes that time up. What
QEMU does for a register is not in it: selftests/rigb/cost.py counts that. With --check, what the project promises is
tested (KTAP).
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import json
import mmap
import re
import signal
import statistics
import time

import kernel
import ktap
import net
import port
import tools

RUNS = 3
REFERENCE = "igb-igb"
# So much faster than igb at least.
LEAST = 1.02


def interrupts(pair):
    """How many interrupts both devices have had."""
    numbers = set()
    for device in pair.devices:
        numbers.update(os.listdir("%s/devices/%s/msi_irqs" % (port.PCI, device)))
    with open("/proc/interrupts", encoding="ascii") as file:
        lines = [line.split() for line in file]
    return sum(sum(map(int, line[1:1 + os.cpu_count()])) for line in lines if line and line[0][:-1] in numbers)


# What a row is timed with.
CLOCK = [time.monotonic_ns]


def now():
    """Nanoseconds by the clock of the hour."""
    return CLOCK[0]()


def stream(pair, count=4500):
    """TCP, in writes of 64 KiB: frames of 1448 bytes of payload."""
    one, other = pair.tcp()
    block = bytes(1 << 16)
    count = count * 1448 // len(block) + 1
    for _ in range(20):
        one.sendall(block)
        net.read_exactly(other, len(block))
    start = now()
    for _ in range(count):
        one.sendall(block)
        net.read_exactly(other, len(block))
    return now() - start, count * len(block) / 1448


def datagrams(pair, count=4000):
    """UDP datagrams of 64 bytes, 50 sent, then read."""
    sender, receiver = pair.udp()
    data = b"x" * 64
    start = now()
    for _ in range(count // 50):
        for _ in range(50):
            sender.send(data)
        for _ in range(50):
            receiver.recv(100)
    return now() - start, count


def round_trips(pair, count=1000):
    """A byte there and back over TCP."""
    one, other = pair.tcp()
    for sock in (one, other):
        sock.setsockopt(6, 1, 1)
    start = now()
    for _ in range(count):
        one.send(b"x")
        other.recv(1)
        other.send(b"y")
        one.recv(1)
    return now() - start, count


def pktgen(pair, count=20000, received=False):
    """pktgen's frames of 64 bytes: for nobody, or for the other port, whose IP drops them.

    Each one is new: the layer's devices do not take the same packet several times, which clone_skb and burst need.
    """
    tools.run("modprobe pktgen")
    mac = pair.link(1)["address"] if received else "02:00:00:00:00:99"
    with pair.side(0):
        kernel.write("/proc/net/pktgen/kpktgend_0", "rem_device_all\n")
        kernel.write("/proc/net/pktgen/kpktgend_0", "add_device %s\n" % port.NAMES[0])
        for line in ("count %d" % count, "pkt_size 60", "clone_skb 0", "delay 0",
                     "dst_mac " + mac, "dst 192.0.2.77"):
            kernel.write("/proc/net/pktgen/" + port.NAMES[0], line + "\n")
        start = now()
        kernel.write("/proc/net/pktgen/pgctrl", "start\n")
        taken = now() - start
        if CLOCK[0] is time.monotonic_ns:
            # Without the time that its thread takes to begin.
            taken = int(re.search(r"Result: OK: (\d+)\(", kernel.read("/proc/net/pktgen/" + port.NAMES[0]))[1]) * 1000
        kernel.write("/proc/net/pktgen/kpktgend_0", "rem_device_all\n")
        return taken, count


# (what, which drivers, how)
ROWS = (
    ("TCP stream, a frame", "rigb-rigb", stream),
    ("TCP request and response", "rigb-rigb", round_trips),
    ("UDP, 64 B, sent", "rigb-igb", datagrams),
    ("UDP, 64 B, received", "igb-rigb", datagrams),
    ("pktgen, sent", "rigb-igb", pktgen),
    ("pktgen, received", "igb-rigb", lambda pair, *count: pktgen(pair, *count, received=True)),
)


def ready(drivers):
    """A pair to be measured."""
    pair = port.Pair(drivers)
    for end in (0, 1):
        # A ring that is too short loses frames, which QEMU counts nowhere.
        pair.run(end, "ethtool -G %s rx 4096")
    pair.wait_link()
    pair.ping()
    return pair


def measure(drivers, work):
    """(nanoseconds, instructions, interrupts) for one packet: with the time that is waited for the device, and without."""
    pair = ready(drivers)
    # A new link and new addresses have the kernel do other things for a while.
    time.sleep(2)
    work(pair)
    before = interrupts(pair)
    nanoseconds, packets = work(pair)
    irqs = interrupts(pair) - before
    with Spinner() as spinner:
        CLOCK[0] = spinner.busy
        busy, _ = work(pair)
        CLOCK[0] = time.monotonic_ns
    pair.close()
    return nanoseconds / packets, busy / packets, irqs / packets


class Spinner:
    """A process that uses all of the time that nobody else does, and counts how often it came round.

    The scheduler's own account of it would not do: an interrupt is on the account of whom it interrupts.
    """

    ROUNDS = 1000

    def __enter__(self):
        self.found = memoryview(mmap.mmap(-1, 4096)).cast("Q")
        self.pid = os.fork()
        if not self.pid:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            self.spin(self.found)
        time.sleep(0.3)
        return self

    def spin(self, found):
        """Counts in found[0]; found[1] becomes what so many rounds take when nobody interrupts."""
        first, last, best = 0, time.monotonic_ns(), 1 << 60
        while True:
            for found[0] in range(first, first + self.ROUNDS):
                pass
            first += self.ROUNDS
            here = time.monotonic_ns()
            if here - last < best:
                best = found[1] = here - last
            last = here

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def busy(self):
        """A clock that stands still while it spins."""
        return time.monotonic_ns() - self.found[0] * self.found[1] / self.ROUNDS


def row(name, drivers, work):
    """Measures a row, both sides in turn, and prints it."""
    results = {REFERENCE: [], drivers: []}
    for run in range(RUNS):
        for side in results if run % 2 == 0 else reversed(results):
            results[side].append(ktap.value_of(measure, side, work, limit=600))
            print("bench: %s, run %d of %d, %s: %.0f ns, %.0f instructions" % (
                name, run + 1, RUNS, side, *results[side][-1][:2]), file=sys.stderr, flush=True)
    middle = [[statistics.median(value[n] for value in results[side]) for side in results] for n in range(3)]
    times = [[value[0] for value in values] for values in results.values()]
    ratio = middle[0][0] / middle[0][1]
    spread = max(max(values) / min(values) - 1 for values in times) * 100
    print("# %-26s %-10s %8.1f %8.1f %8.3f %6.1f%% %8.0f %8.0f %8.3f %7.2f %7.2f" % (
        name, drivers, *(1e6 / value for value in middle[0]), ratio, spread, *middle[1], middle[1][0] / middle[1][1],
        *middle[2]), flush=True)
    return ratio, {"row": name, "igb": results[REFERENCE], "rigb": results[drivers]}


def main():
    """The table."""
    port.need()
    rows = [ROWS[int(sys.argv[sys.argv.index("--row") + 1])]] if "--row" in sys.argv else ROWS
    print("# %-37s %26s %8s %26s %15s" % ("", "1000 packets/s", "", "instructions for one", "interrupts"))
    print("# %-26s %-10s %8s %8s %8s %7s %8s %8s %8s %7s %7s" % (
        "", "drivers", "igb", "rigb", "ratio", "spread", "igb", "rigb", "igb/rigb", "igb", "rigb"), flush=True)
    found = [row(*each) for each in rows]
    if os.path.isdir("/out"):
        with open("/out/rigb.json", "w", encoding="ascii") as file:
            json.dump([raw for _, raw in found], file)
    if "--check" not in sys.argv:
        return 0
    print("KTAP version 1\n1..%d" % len(found))
    for number, (ratio, raw) in enumerate(found, 1):
        print("%s %d %s: %.3f times igb, at least %.2f" % (
            "ok" if ratio >= LEAST else "not ok", number, raw["row"], ratio, LEAST))
    return int(any(ratio < LEAST for ratio, _ in found))


if __name__ == "__main__":
    sys.exit(main())
