#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Measures lo against rlo inside the VM and writes /out/bench.json.

    guest.py --reps 3 --seconds 1 --netns 20
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

REPLACE = pathlib.Path("/sys/module/rlo/parameters/replace")
RLO = "/sys/class/net/lo/rlo"
COUNTERS = ("packets", "bytes", "accepted", "dropped")
SIDES = {"lo": "bench-lo", "rlo": "bench-rlo"}


def sh(*args, **kwargs):
    """Runs a command; its output. A failure names the command and what it said."""
    done = subprocess.run(args, text=True, capture_output=True, check=False, **kwargs)
    if done.returncode:
        sys.exit(f"bench: {' '.join(args)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def inside(ns, *args):
    """Runs a command in namespace `ns`, with a sysfs that shows it (ip netns does that)."""
    return sh("ip", "netns", "exec", ns, *args)


def say(text):
    """A line of progress, with the guest's uptime."""
    uptime = pathlib.Path("/proc/uptime").read_text(encoding="ascii").split()[0]
    print(f"bench: [{float(uptime):6.2f} s] {text}", flush=True)


def make_namespaces():
    """One namespace with the kernel's lo and one with rlo's, each with its servers."""
    for side, ns in SIDES.items():
        REPLACE.write_text("1" if side == "rlo" else "0")
        sh("ip", "netns", "add", ns)
        sh("ip", "-n", ns, "link", "set", "lo", "up")
        # An address of the machine on another interface: reached through lo all the same.
        sh("ip", "-n", ns, "link", "add", "eth9", "type", "dummy")
        sh("ip", "-n", ns, "addr", "add", "192.0.2.1/24", "dev", "eth9")
        sh("ip", "-n", ns, "link", "set", "eth9", "up")
        for server in (["netserver", "-4"], ["iperf3", "-s", "-D"]):
            sh("ip", "netns", "exec", ns, *server, stdin=subprocess.DEVNULL)
    REPLACE.write_text("1")
    mode = inside(SIDES["rlo"], "cat", f"{RLO}/mode").strip()
    if mode != "replacement":
        sys.exit(f"bench: the second namespace should run on rlo, but its mode is {mode}")


def counters(ns):
    """rlo's counters, and what the kernel itself counts for the device."""
    values = inside(ns, "cat", *(f"{RLO}/{name}" for name in COUNTERS)).split()
    found = dict(zip(COUNTERS, map(int, values)))
    stats = json.loads(sh("ip", "-n", ns, "-s", "-j", "link", "show", "lo"))[0]["stats64"]
    found["link_packets"] = stats["tx"]["packets"]
    found["link_bytes"] = stats["tx"]["bytes"]
    return found


def netperf(ns, test, amount, want, *extra):
    """One netperf test of `amount` (seconds, or -bytes or -transactions); what it measured."""
    out = inside(ns, "netperf", "-P", "0", "-H", "127.0.0.1", "-4", "-t", test,
                 "-l", str(amount), "--", "-k", want, *extra)
    for line in out.splitlines():
        key, _, value = line.partition("=")
        if key == want:
            return float(value)
    sys.exit(f"bench: netperf {test} did not print {want}:\n{out}")


def tcp_stream(ns, seconds):
    """Gbit/s of one TCP connection."""
    if seconds:  # iperf3 cannot measure less than a second
        out = json.loads(inside(ns, "iperf3", "-J", "-c", "127.0.0.1", "-t", str(seconds)))
        return out["end"]["sum_received"]["bits_per_second"] / 1e9
    return netperf(ns, "TCP_STREAM", -24_000_000, "THROUGHPUT", "-m", "131072") / 1e3


def udp_packets(ns, seconds):
    """Thousand datagrams of 64 bytes a second that were received."""
    mbit = netperf(ns, "UDP_STREAM", seconds or -64 * 3_000, "REMOTE_RECV_THROUGHPUT",
                   "-m", "64", "-R", "1")
    return mbit * 1e6 / 8 / 64 / 1e3


def tcp_rr(ns, seconds):
    """Thousand requests of one byte answered a second."""
    return netperf(ns, "TCP_RR", seconds or -1500, "TRANSACTION_RATE") / 1e3


TESTS = {
    "tcp_stream": ("TCP stream", "Gbit/s", tcp_stream),
    "udp_64": ("UDP, 64 bytes", "1000 packets/s", udp_packets),
    "tcp_rr": ("TCP request/response", "1000/s", tcp_rr),
}


def measure(reps, seconds):
    """All tests, both sides in turn."""
    results = {}
    for key, (title, unit, run) in TESTS.items():
        samples = {side: [] for side in SIDES}
        for ns in SIDES.values():
            run(ns, seconds)  # the first of each kind finds cold caches: not counted
        for rep in range(reps):
            order = list(SIDES) if rep % 2 == 0 else list(reversed(SIDES))
            for side in order:
                samples[side].append(run(SIDES[side], seconds))
                say(f"{title}, {rep + 1} of {reps}, {side}: {samples[side][-1]:.3f} {unit}")
        results[key] = {"title": title, "unit": unit, "samples": samples}
    return results


def routes_through_rlo():
    """Which addresses of the machine lead through rlo: counted, not assumed."""
    ns = SIDES["rlo"]
    inside(ns, "sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=0")
    found = {}
    for address in ("127.0.0.1", "::1", "192.0.2.1"):
        before = counters(ns)["packets"]
        inside(ns, "ping", "-q", "-c", "3", "-i", "0.1", address)
        found[address] = counters(ns)["packets"] - before
    return found


def netns_times(count):
    """Milliseconds to create a namespace, with the kernel's lo and with rlo's, in turn."""
    times = {side: [] for side in SIDES}
    for i in range(count):
        for side in list(SIDES) if i % 2 == 0 else list(reversed(SIDES)):
            REPLACE.write_text("1" if side == "rlo" else "0")
            start = time.monotonic()
            sh("ip", "netns", "add", "bench-new")
            times[side].append((time.monotonic() - start) * 1e3)
            sh("ip", "netns", "del", "bench-new")
            time.sleep(0.2)  # let the old one go, so that it is not in the next one's time
    REPLACE.write_text("1")
    return {side: sorted(values) for side, values in times.items()}


def main():
    """Everything, into one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=1, help="0: fixed amounts of data")
    parser.add_argument("--netns", type=int, default=0,
                        help="namespaces to create with each device, 0: none")
    args = parser.parse_args()
    seconds = max(0, args.seconds)
    uptime = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    time.sleep(max(0.0, 4 - uptime))  # deferred work after boot halves the first two seconds
    say("two namespaces, one with lo and one with rlo")
    make_namespaces()
    routes = routes_through_rlo()
    before = counters(SIDES["rlo"])
    say("measuring")
    results = measure(args.reps, seconds)
    after = counters(SIDES["rlo"])
    report = {
        "kernel": platform.release(),
        "lane": os.environ.get("RNET_LANE", "?"),
        "accel": "?",
        "cpus": os.cpu_count(),
        "reps": args.reps,
        "seconds": seconds,
        "tests": results,
        "routes": routes,
        "before": before,
        "after": after,
        "netns_ms": netns_times(args.netns) if args.netns else {},
    }
    pathlib.Path("/out/bench.json").write_text(json.dumps(report, indent=1))
    say("done")


if __name__ == "__main__":
    main()
