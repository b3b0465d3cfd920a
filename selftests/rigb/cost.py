#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""How often the device is bothered, by QEMU's own trace: registers and interrupts, against the in-tree driver."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import time

import ktap
import net
import port
import qmp

ROUNDS = 200
ASKED = 20


def traced(drivers, work):
    """The trace of what work(pair) does."""
    monitor = qmp.Monitor()
    pair = port.Pair(drivers)
    pair.ping()
    work(pair)
    with qmp.Trace(monitor) as trace:
        work(pair)
    monitor.close()
    pair.close()
    return trace


def compare(work, each, what):
    """Both drivers; the numbers for one of `each`."""
    found = {}
    for drivers in ("igb-igb", "rigb-rigb"):
        trace = ktap.value_of(lambda drivers=drivers: vars_of(traced(drivers, work)), limit=100)
        found[drivers] = [trace["accesses"] / each, trace["messages"] / each]
        ktap.note("%s: %.2f register accesses and %.2f messages for each %s" % (drivers, *found[drivers], what))
        ktap.note("  " + ", ".join("%s: %d" % item for item in sorted(trace["registers"].items(), key=lambda i: -i[1])[:8]))
    return found["igb-igb"], found["rigb-rigb"]


def vars_of(trace):
    """What is needed of a trace, as plain values."""
    return {"accesses": trace.accesses(), "messages": trace.messages(), "registers": trace.registers}


def round_trips(pair):
    """A byte there and back, many times."""
    one, other = pair.tcp()
    for sock in (one, other):
        sock.setsockopt(6, 1, 1)
    with one, other:
        for _ in range(ROUNDS):
            one.send(b"x")
            net.read_exactly(other, 1)
            other.send(b"y")
            net.read_exactly(one, 1)


@ktap.case(limit=250)
def request_and_response():
    """At most half of the register accesses and of the interrupt messages."""
    igb, rigb = compare(round_trips, ROUNDS, "round trip")
    for name, theirs, ours in zip(("register accesses", "messages"), igb, rigb):
        ktap.check(ours <= theirs / 2, "%s: %.2f, of the in-tree driver %.2f" % (name, ours, theirs))


STREAM = 4 << 20


def stream(pair):
    """Much data, one way."""
    one, other = pair.tcp()
    block = bytes(1 << 16)
    with one, other:
        for _ in range(STREAM // len(block)):
            one.sendall(block)
            net.read_exactly(other, len(block))


@ktap.case(limit=250)
def streams():
    """No more register accesses for a full frame than the in-tree driver needs."""
    igb, rigb = compare(stream, STREAM / 1448, "frame")
    ktap.check(rigb[0] <= igb[0], "%.3f, of the in-tree driver %.3f" % (rigb[0], igb[0]))


def silent():
    """A pair that nobody sends anything through."""
    pair = port.Pair("rigb-rigb")
    pair.ping()
    pair.without_ipv6()
    for end in (0, 1):
        # Nor does anybody ask for a neighbour again.
        pair.run(end, "ip addr flush dev %s")
    time.sleep(3)
    return pair


@ktap.case(limit=120)
def idle():
    """Two ports that do nothing: at most two registers are read a second for each."""
    monitor, pair = qmp.Monitor(), silent()
    with qmp.Trace(monitor) as trace:
        time.sleep(10)
    ktap.note("in 10 s, two ports: %d reads, %d writes" % (trace.count[trace.READ], trace.count[trace.WRITE]))
    ktap.check(trace.count[trace.READ] <= 2 * 2 * 10, "%r" % trace.registers)


@ktap.case(limit=120)
def statistics():
    """Whoever asks for statistics, by whatever way, makes no access to the device."""
    monitor, pair = qmp.Monitor(), silent()
    start = time.monotonic()
    with qmp.Trace(monitor) as trace:
        for _ in range(ASKED):
            pair.run(0, "ethtool -S %s")
            pair.run(0, "ethtool -S %s --groups eth-mac eth-ctrl rmon")
            pair.run(0, "ethtool -I -a %s")
            pair.statistics(0)
    taken = time.monotonic() - start
    ktap.note("%d reads in %.1f s: %r" % (trace.count[trace.READ], taken, trace.registers))
    # The service looks at the link meanwhile, and ethtool -a asks for it.
    ktap.check(trace.count[trace.READ] <= 2 * 2 * (taken + 1) + ASKED, "%d reads in %.1f s" % (trace.count[trace.READ], taken))
    ktap.equal("registers but that of the link", [name for name in trace.registers if name != "read 0x8"], [])


if __name__ == "__main__":
    sys.exit(port.main())
