#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Shows a bench.json of guest.py as a screen for people.

    screen.py BENCH.JSON
"""

import json
import pathlib
import statistics
import sys

LANES = {
    "exact": "exact lane: 1 CPU, one instruction is one nanosecond; ratios repeat within 1 %",
    "vm": "vm lane: {cpus} CPUs under {accel}; believe no ratio smaller than the spread",
}


def spread(samples):
    """How far apart the repetitions of a side are, in percent of their median."""
    middle = statistics.median(samples)
    return 100 * (max(samples) - min(samples)) / middle if middle else 0.0


def table(tests):
    """lo, rlo, ratio and spread of every test."""
    yield f"  {'':24}{'lo':>12}{'rlo':>12}{'rlo/lo':>9}{'spread':>9}"
    for test in tests.values():
        lo, rlo = (test["samples"][side] for side in ("lo", "rlo"))
        a, b = statistics.median(lo), statistics.median(rlo)
        wide = max(spread(lo), spread(rlo))
        name = f"{test['title']}"
        yield (f"  {name:24}{a:12.2f}{b:12.2f}{b / a if a else 0:9.3f}{wide:8.1f}%"
               f"   {test['unit']}")


def counter_lines(report):
    """What rlo counted, and what the kernel counted for the same device."""
    before, after = report["before"], report["after"]
    yield f"  {'':24}{'before':>14}{'after':>14}{'difference':>14}"
    for name in ("packets", "accepted", "dropped", "bytes"):
        a, b = before[name], after[name]
        yield f"  {name:24}{a:14}{b:14}{b - a:14}"
    agree = all(
        after[own] - before[own] == after[link] - before[link]
        for own, link in (("accepted", "link_packets"),)
    )
    packets = after["link_packets"] - before["link_packets"]
    yield (f"  {'ip -s link says':24}{before['link_packets']:14}{after['link_packets']:14}"
           f"{packets:14}   {'the same' if agree else 'NOT the same as accepted'}")


def main():
    """Prints the screen."""
    with open(sys.argv[1], encoding="utf-8") as file:
        report = json.load(file)
    side = pathlib.Path(sys.argv[1]).with_name("vm.json")  # what the harness knows of the VM
    if side.exists():
        report["accel"] = json.loads(side.read_text(encoding="utf-8")).get("accelerator", "?").upper()
    lane = LANES.get(report["lane"], report["lane"]).format(**report)
    print()
    print(f"rlo, a loopback device in Rust, on kernel {report['kernel']}")
    print(f"({lane})")
    print()
    print("Real sockets to 127.0.0.1 through the kernel's lo and through rlo, same boot:")
    length = f"{report['seconds']} s each, iperf3 and netperf" if report["seconds"] else \
        "24 MB, 3,000 datagrams, 1,500 requests; netperf"
    print(f"(median of {report['reps']} runs of {length})")
    print()
    print("\n".join(table(report["tests"])))
    print()
    print("3 pings to each, and the packets that rlo counted (request and reply make 6):")
    for address, packets in report["routes"].items():
        note = "" if ":" in address or address.startswith("127.") else \
            "  (an address of another interface)"
        print(f"  {address:24}{packets:12}{note}")
    print()
    print("rlo's counters, /sys/class/net/lo/rlo/:")
    print("\n".join(counter_lines(report)))
    times = report["netns_ms"]
    if times:
        lo, rlo = (statistics.median(times[side]) for side in ("lo", "rlo"))
        print()
        print("Creating a network namespace (ip netns add), median and range:")
        for side in ("lo", "rlo"):
            print(f"  {side:24}{statistics.median(times[side]):9.1f} ms"
                  f"{min(times[side]):9.1f} to {max(times[side]):.1f} ms")
        print(f"  replacement adds        {rlo - lo:9.1f} ms   (the kernel's lo is unregistered first)")
    print()


if __name__ == "__main__":
    main()
