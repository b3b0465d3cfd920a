#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""rsoftnet.py [--check]: what every stage and latency of rsoftnet costs, in instructions for a UDP packet over lo.

For the exact lane, where a nanosecond is an instruction:

    selftests/vm/run --lane exact --module rsoftnet.ko -- selftests/bench/rsoftnet.py

A row is the median of three runs with it on, and of four with it off in between. A packet is sent,
makes its way and is read. Below, bpftrace counts the same events, in the same boot. With --check, what
the project promises is tested (KTAP).
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import signal
import statistics
import subprocess
import time

import kernel
import net
import rsoftnet
import tools

PACKETS, AT_ONCE = 2000, 50
# After boot the kernel has other things to do; after switching, too.
SETTLE, PAUSE = 5, 0.3
# Most percent: with nothing on, with all stages, with all stages and latencies.
LIMITS = {"nothing": 0.2, "all stages": 3, "all stages and latencies": 8}


def packet(pair):
    """Instructions for a packet."""
    sender, receiver = pair
    data = b"x" * 64
    start = time.monotonic_ns()
    for _ in range(PACKETS // AT_ONCE):
        for _ in range(AT_ONCE):
            sender.send(data)
        for _ in range(AT_ONCE):
            receiver.recv(100)
    return (time.monotonic_ns() - start) / PACKETS


def row(pair, name, files):
    """Prints a row; the percent that it costs."""
    off, on = [packet(pair)], []
    for _ in range(3):
        for value, results in ((1, on), (0, off)):
            for file in files:
                rsoftnet.put(file, value)
            time.sleep(PAUSE)
            results.append(packet(pair))
    base, cost = statistics.median(off), statistics.median(on)
    print("# %-26s %8.0f %+6.0f %+6.2f %%  spread %.2f %%" % (
        name, cost, cost - base, (cost / base - 1) * 100, (max(off) / min(off) - 1) * 100), flush=True)
    return (cost / base - 1) * 100


HOOKS = """table inet price {
chain sent { type filter hook output priority 0; }
chain received { type filter hook input priority 0; }
}"""

# What bpftrace is told, for the same question as a stage answers.
COUNT = "{ @[probe, cpu] = count(); }"
TRACEPOINTS = ("net:net_dev_start_xmit", "net:netif_rx", "net:netif_receive_skb", "napi:napi_poll", "skb:kfree_skb",
               "sock:sk_data_ready", "csd:csd_queue_cpu")
SOFTIRQS = ("irq:softirq_raise", "irq:softirq_entry", "irq:softirq_exit")
FUNCTIONS = {"ip": "ip_rcv_core", "udp": "udp_rcv", "enqueue": "enqueue_to_backlog", "sock_queue": "__udp_enqueue_schedule_skb",
             "softirq_context": "handle_softirqs"}


def counts(events):
    """A program that counts these events."""
    return " ".join(list(events) + [COUNT])


def all_stages():
    """A program that counts what the tracepoints' stages do."""
    return "%s tracepoint:%s /args->vec == 3/ %s" % (
        counts(",\n".join("tracepoint:" + t for t in TRACEPOINTS).split()), ", tracepoint:".join(SOFTIRQS), COUNT)


def bpftrace(pair, name, program):
    """Prints a row for a program of bpftrace; nothing where there is none."""
    off, on = [packet(pair)], []
    for _ in range(2):
        with subprocess.Popen(["bpftrace", "-e", 'BEGIN { printf("on\\n"); } ' + program], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as process:
            while (line := process.stdout.readline()) and line.strip() != "on":
                pass
            if not line:
                print("# bpftrace, %s: %s" % (name, process.stderr.read().strip().splitlines()[-1:]), flush=True)
                return
            time.sleep(PAUSE)
            on += [packet(pair), packet(pair)]
            process.send_signal(signal.SIGINT)
            process.communicate()
        time.sleep(PAUSE)
        off.append(packet(pair))
    base, cost = statistics.median(off), statistics.median(on)
    print("# %-26s %8.0f %+6.0f %+6.2f %%  spread %.2f %%" % (
        "bpftrace, " + name, cost, cost - base, (cost / base - 1) * 100, (max(off) / min(off) - 1) * 100), flush=True)


def main():
    """All rows."""
    kernel.need_module("rsoftnet")
    rsoftnet.quiet()
    pair = net.udp_pair("127.0.0.1")
    time.sleep(SETTLE)
    for _ in range(3):
        packet(pair)
    print("# %-26s %8s %6s" % ("instructions a packet", "on", "more"))
    percent = {}
    if "--check" not in sys.argv:
        for name in rsoftnet.STAGES:
            row(pair, "stage " + name, ["stage/%s/enable" % name])
        # A packet over lo passes two: of what is sent, and of what is received.
        tools.nft(HOOKS)
        row(pair, "stage netfilter, two hooks", ["stage/netfilter/enable"])
        tools.run("nft delete table inet price")
        for name in rsoftnet.LATENCIES:
            row(pair, "latency " + name, ["latency/%s/enable" % name])
        row(pair, "high-water marks", ["backlog/enable"])
        row(pair, "log", ["log/enable"])
        row(pair, "all functions", ["stage/%s/enable" % name for name in rsoftnet.FUNCTIONS])
    percent["all stages"] = row(pair, "all stages", ["stage/enable"])
    percent["all stages and latencies"] = row(pair, "all stages and latencies", ["stage/enable", "latency/enable"])
    percent["everything but functions"] = row(pair, "everything but functions", ["enable"])
    if "--check" not in sys.argv:
        bpftrace(pair, "all stages", all_stages())
        for stage, function in FUNCTIONS.items():
            bpftrace(pair, stage, counts(["fentry:" + function]))
        bpftrace(pair, "all functions", counts([", ".join("fentry:" + f for f in FUNCTIONS.values())]))
    loaded = statistics.median(packet(pair) for _ in range(5))
    kernel.rmmod("rsoftnet")
    time.sleep(PAUSE)
    without = statistics.median(packet(pair) for _ in range(5))
    percent["nothing"] = (loaded / without - 1) * 100
    print("# loaded, nothing on: %.1f; without the module: %.1f (%+.2f %%)" % (loaded, without, percent["nothing"]))
    if "--check" not in sys.argv:
        return 0
    print("KTAP version 1\n1..%d" % len(LIMITS))
    for number, (name, limit) in enumerate(LIMITS.items(), 1):
        print("%s %d %s costs %.2f %%, at most %g" % (
            "ok" if percent[name] <= limit else "not ok", number, name, percent[name], limit))
    return int(any(percent[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
