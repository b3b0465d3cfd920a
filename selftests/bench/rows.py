# SPDX-License-Identifier: GPL-2.0
"""What is measured: one row each, with the command and how to read its answer.

Every row does a fixed amount of work and measures how long that took, so that
in the exact lane the time is a number of instructions.
"""

import collections
import fnmatch
import os
import re
import subprocess

# What is compared, the first one with all others: the kernel's lo, the same taken over, a device of
# rlo with lo's settings, one with its own (BIG TCP), and that with NAPI delivery.
MODES = ("lo", "takeover", "replacement")
# napi with packets steered to their receivers is "steered".
BEYOND = ("lo", "rlo", "napi", "steered")
# And what goes past all of them: samples/sockmap, on a device like "rlo".
PAST = "sockmap"
# The rows, by the beginning of their keys, whose connections it redirects.
CONNECTED = ("tcp_", "connect_", "flows_")

# key, title, unit, amount of one sample, function(tools, amount) -> (value, note)
Row = collections.namedtuple("Row", "key title unit amount run")


def chosen(patterns, several=False):
    """The rows that match one of the patterns, which commas separate; several: also those for more than one CPU."""
    return [row for row in ROWS + SEVERAL * several if any(fnmatch.fnmatch(row.key, pattern) for pattern in patterns.split(","))]


class Failure(Exception):
    """A tool did not do what it was to do."""


class Tools:
    """Runs the programs, in the present network namespace."""

    def __init__(self, flows, sys=None):
        self.flows_path, self.sys = flows, sys
        self.steered = False
        self.pairs_path = os.path.join(os.path.dirname(flows), "pairs")

    def command(self, *args):
        """The output of a command; no way to fail silently."""
        done = subprocess.run([str(a) for a in args], capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise Failure("%s: %s" % (" ".join(map(str, args)), (done.stderr or done.stdout).strip()))
        return done.stdout

    def steer(self, wanted):
        """Whether packets go to the CPU of their receiver."""
        if wanted != self.steered:
            self.command("ethtool", "-K", "lo", "ntuple", "on" if wanted else "off")
            self.steered = wanted

    def netperf(self, test, host, amount, want, *extra):
        """What netperf measured for a fixed amount of work: {name: value}."""
        out = self.command("netperf", "-P", 0, "-H", host, "-t", test, "-l", -amount, "--", "-k", ",".join(want), *extra)
        found = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        return {name: float(found[name]) for name in want}

    def flows(self, *args):
        """Operations and nanoseconds of our own program."""
        nanoseconds, operations = map(int, self.command(self.flows_path, *args).split())
        return operations, nanoseconds

    def pairs(self, *args):
        """Nanoseconds, operations and what else our program with several threads prints."""
        return list(map(int, self.command(self.pairs_path, *args).split()))


def tcp_stream(host, size):
    """Gbit/s. The buffers are fixed: their automatic size differs from run to run."""
    def run(tools, amount):
        got = tools.netperf("TCP_STREAM", host, amount * size, ["THROUGHPUT"], "-m", size, "-s", 1 << 20, "-S", 1 << 20)
        return got["THROUGHPUT"] / 1e3, ""
    return run


def small_writes(host, size):
    """Thousand writes a second to a connection, each a packet of its own (TCP_NODELAY)."""
    def run(tools, amount):
        done, nanoseconds = tools.flows("writes", host, amount, size)
        return done / nanoseconds * 1e6, ""
    return run


def udp_stream(host, size):
    """Thousand datagrams that arrived in a second."""
    def run(tools, amount):
        got = tools.netperf("UDP_STREAM", host, amount * size,
                            ["REMOTE_RECV_THROUGHPUT", "REMOTE_RECV_CALLS", "LOCAL_SEND_CALLS"],
                            "-m", size, "-R", 1, "-s", 1 << 20, "-S", 1 << 20)
        lost = got["LOCAL_SEND_CALLS"] - got["REMOTE_RECV_CALLS"]
        return got["REMOTE_RECV_THROUGHPUT"] * 1e6 / 8 / size / 1e3, "%d lost" % lost if lost > 0 else ""
    return run


def answers(test, host):
    """Thousand requests of one byte that were answered in a second."""
    def run(tools, amount):
        return tools.netperf(test, host, amount, ["TRANSACTION_RATE"])["TRANSACTION_RATE"] / 1e3, ""
    return run


def sendmmsg(host, size):
    """Thousand datagrams a second, 32 a system call."""
    def run(tools, amount):
        done, nanoseconds = tools.flows("mmsg", host, amount, size)
        return done / nanoseconds * 1e6, ""
    return run


def flows(host, size):
    """Gbit/s of 8 connections that are served in turn."""
    def run(tools, amount):
        done, nanoseconds = tools.flows("multi", host, amount, size)
        return done * size * 8 / nanoseconds, ""
    return run


def connections(host):
    """Thousand connections a second, closed with RST: no TIME_WAIT is left for the next run."""
    def run(tools, amount):
        done, nanoseconds = tools.flows("connect", host, amount)
        return done / nanoseconds * 1e6, ""
    return run


def eight(host, size):
    """Thousand datagrams that arrived in a second, of 8 flows with 16 threads."""
    def run(tools, amount):
        nanoseconds, received = tools.pairs("udp", host, amount, size)
        return received / nanoseconds * 1e6, "%d lost" % (amount - received) if received < amount else ""
    return run


def polled(kind, host):
    """Thousand answers in a second to sockets that poll for 50 us."""
    def run(tools, amount):
        nanoseconds, done = tools.pairs(kind, host, amount, 50)[:2]
        return done / nanoseconds * 1e6, ""
    return run


def beside(host, which):
    """Answers in a millisecond, if each took as long as one of which per cent of them is not faster, beside a stream."""
    def run(tools, amount):
        times = dict(zip((50, 99), tools.pairs("beside", host, amount)[2:]))
        return 1e6 / times[which], ""
    return run


def pktgen(tools, amount):
    """Thousand packets a second from the kernel's generator, dropped as somebody else's by IP."""
    def tell(file, *lines):
        for line in lines:
            with open("/proc/net/pktgen/" + file, "w", encoding="ascii") as control:
                control.write(line + "\n")
    tell("kpktgend_0", "rem_device_all", "add_device lo")
    # A foreign address: the packet takes the whole way of the driver and the backlog, and ends
    # at the entry of IP, without an answer of ICMP whose rate is limited by time.
    tell("lo", "count %d" % amount, "pkt_size 60", "delay 0", "dst_mac 02:00:00:00:00:01", "src_mac 02:00:00:00:00:02",
         "dst 127.0.0.1", "src_min 127.0.0.1", "src_max 127.0.0.1", "udp_dst_min 9", "udp_dst_max 9")
    try:
        tell("pgctrl", "start")
        with open("/proc/net/pktgen/lo", encoding="ascii") as file:
            text = file.read()
    finally:
        tell("kpktgend_0", "rem_device_all")
    took = re.search(r"Result: OK: (\d+)\(.*?\) usec, (\d+) ", text)
    errors = re.search(r"errors: (\d+)", text)
    if not took or int(took[2]) != amount or (errors and int(errors[1])):
        raise Failure("pktgen: " + text)
    return amount / int(took[1]) * 1e3, ""


def _rows():
    hosts = ((4, "127.0.0.1"), (6, "::1"))
    for size, amount in ((131072, 400), (1460, 12000)):
        for version, host in hosts:
            name = "128 KiB" if size == 131072 else "{:,} B".format(size)
            yield Row("tcp_%d_v%d" % (size, version), "TCP stream, %s writes, v%d" % (name, version), "Gbit/s", amount,
                      tcp_stream(host, size))
    for version, host in hosts:
        yield Row("tcp_64_v%d" % version, "TCP stream, 64 B writes, v%d" % version, "1000/s", 6400, small_writes(host, 64))
    for size in (64, 1400):
        for version, host in hosts:
            yield Row("udp_%d_v%d" % (size, version), "UDP, {:,} B, v{}".format(size, version), "1000/s", 5000,
                      udp_stream(host, size))
    for version, host in hosts:
        yield Row("mmsg_v%d" % version, "sendmmsg, 64 B, v%d" % version, "1000/s", 6400, sendmmsg(host, 64))
    for test in ("TCP", "UDP"):
        for version, host in hosts:
            yield Row("%s_rr_v%d" % (test.lower(), version), "%s request/response, v%d" % (test, version), "1000/s", 2000,
                      answers(test + "_RR", host))
    for version, host in hosts:
        yield Row("connect_v%d" % version, "connections, v%d" % version, "1000/s", 600, connections(host))
    for version, host in hosts:
        yield Row("flows_v%d" % version, "8 flows, 16 KiB writes, v%d" % version, "Gbit/s", 250, flows(host, 16384))
    yield Row("pktgen", "pktgen, 60 B", "1000/s", 20000, pktgen)


def _several():
    """For lanes with more than one CPU: what one thread does is not the question."""
    for version, host in ((4, "127.0.0.1"), (6, "::1")):
        yield Row("udp8_v%d" % version, "8 UDP flows, 64 B, v%d" % version, "1000/s", 40000, eight(host, 64))
    for kind, title in (("tcp", "TCP"), ("dgram", "UDP")):
        yield Row("busy_%s" % kind, "%s request/response, busy poll" % title, "1000/s", 2000, polled(kind, "127.0.0.1"))
    for which in (50, 99):
        yield Row("beside_%d" % which, "answers beside a stream, p%d" % which, "1/ms", 2000, beside("127.0.0.1", which))


ROWS = tuple(_rows())
SEVERAL = tuple(_several())

