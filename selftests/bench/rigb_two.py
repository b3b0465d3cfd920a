#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""rigb_two.py [--row N] [--runs N]: rigb against igb with a CPU for each end, by the clock on the wall.

For the vm lane: selftests/bench/run.sh --rigb-two. A process on CPU 0 is at one port, one on CPU 1 at the other, and so are
the ports' interrupts. What another program on the machine takes away is in it, so both drivers are measured in turn and many times; a difference
that is smaller than the spread says nothing. rigb.py counts instructions, which are exact.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import contextlib
import json
import mmap
import signal
import statistics
import time

import kernel
import ktap
import net
import port
import rigb
from rigb import REFERENCE, interrupts, ready

# No more than so many packets are on their way: the ring has 4096 buffers.
WINDOW = 1024
OTHER = 1


@contextlib.contextmanager
def other_end(work):
    """A process that does work(found) on the other CPU; found is memory that both see."""
    found = memoryview(mmap.mmap(-1, 4096)).cast("Q")
    pid = os.fork()
    if not pid:
        try:
            os.sched_setaffinity(0, {OTHER})
            work(found)
        finally:
            os._exit(0)
    try:
        yield found
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def wait_for(found, number):
    """Until the other process has counted so far."""
    limit = time.monotonic() + 60
    while found[0] < number:
        if time.monotonic() > limit:
            raise ktap.Failure("%d of %d came" % (found[0], number))
        time.sleep(0)


def stream(pair):
    """TCP, in writes of 64 KiB: frames of 1448 bytes of payload."""
    one, other = pair.tcp()
    block, count = bytes(1 << 16), 1200

    def read(found):
        while True:
            found[0] += len(other.recv(1 << 18))
    with one, other, other_end(read) as found:
        one.sendall(block)
        wait_for(found, len(block))
        start = time.monotonic_ns()
        for _ in range(count):
            one.sendall(block)
        wait_for(found, (count + 1) * len(block))
        return time.monotonic_ns() - start, count * len(block) / 1448


def round_trips(pair):
    """A byte there and back over TCP."""
    one, other = pair.tcp()
    for sock in (one, other):
        sock.setsockopt(6, 1, 1)

    def answer(_):
        while True:
            other.send(other.recv(1))
    with one, other, other_end(answer):
        start = time.monotonic_ns()
        for _ in range(1000):
            one.send(b"x")
            one.recv(1)
        return time.monotonic_ns() - start, 1000


def datagrams(pair):
    """UDP datagrams of 64 bytes in one direction."""
    sender, receiver = pair.udp()
    data, count = b"x" * 64, 8000

    def read(found):
        while True:
            receiver.recv(100)
            found[0] += 1
    with sender, receiver, other_end(read) as found:
        start = time.monotonic_ns()
        for number in range(count):
            if number % 64 == 0:
                wait_for(found, number - WINDOW)
            sender.send(data)
        wait_for(found, count)
        return time.monotonic_ns() - start, count


# The same rows, done by a process at each end; pktgen has a thread of its own.
HOW = {rigb.stream: stream, rigb.round_trips: round_trips, rigb.datagrams: datagrams}
ROWS = [(name, drivers, HOW.get(work, work)) for name, drivers, work in rigb.ROWS]


def place(pair):
    """The interrupts of each port to the CPU of its end: which queue, and so which CPU, a flow gets is chance otherwise."""
    for end, device in enumerate(pair.devices):
        for number in os.listdir("%s/devices/%s/msi_irqs" % (port.PCI, device)):
            kernel.write("/proc/irq/%s/smp_affinity_list" % number, "%d" % (OTHER if end else 0))


def measure(drivers, work):
    """(nanoseconds, interrupts) for one packet; the first run is for warming up."""
    net.pin(0)
    pair = ready(drivers)
    place(pair)
    time.sleep(1)
    work(pair)
    before = interrupts(pair)
    nanoseconds, packets = work(pair)
    irqs = interrupts(pair) - before
    pair.close()
    return nanoseconds / packets, irqs / packets


def row(name, drivers, work, runs):
    """Measures a row, both sides in turn, and prints it."""
    results = {REFERENCE: [], drivers: []}
    for run in range(runs):
        for side in results if run % 2 == 0 else reversed(results):
            results[side].append(ktap.value_of(measure, side, work, limit=600))
            print("bench: %s, run %d of %d, %s: %.0f ns" % (name, run + 1, runs, side, results[side][-1][0]),
                  file=sys.stderr, flush=True)
    theirs, ours = results.values()
    ratios = sorted(one[0] / other[0] for one, other in zip(theirs, ours))
    middle = [[statistics.median(value[n] for value in side) for side in (theirs, ours)] for n in (0, 1)]
    print("# %-26s %-10s %8.1f %8.1f %8.2f   %6.2f to %5.2f %8.2f %7.2f" % (
        name, drivers, *(1e6 / value for value in middle[0]), statistics.median(ratios), ratios[0], ratios[-1],
        *middle[1]), flush=True)
    return {"row": name, "igb": theirs, "rigb": ours}


def argument(name, otherwise):
    """What the command line says."""
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else otherwise


def main():
    """The table."""
    port.need()
    if os.cpu_count() < 2:
        print("two CPUs are needed: this is for the vm lane", file=sys.stderr)
        return 2
    one = argument("--row", None)
    print("# %-37s %26s %19s %16s" % ("", "1000 packets/s", "", "interrupts"))
    print("# %-26s %-10s %8s %8s %8s   %15s %8s %7s" % (
        "", "drivers", "igb", "rigb", "ratio", "least to most", "igb", "rigb"), flush=True)
    found = [row(*each, argument("--runs", 7)) for each in (ROWS if one is None else [ROWS[one]])]
    if os.path.isdir("/out"):
        with open("/out/rigb_two.json", "w", encoding="ascii") as file:
            json.dump(found, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
