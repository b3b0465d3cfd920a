#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Measures the rows inside the VM: the kernel's lo, the same taken over, rlo's own.

    measure.py FLOWS [--rows PATTERN] [--scale X | --seconds S] [--reps MIN MAX] [--netns N]

The first two are one namespace, in which /sys/class/net/lo/rlo/active is
switched, so that they share everything else: addresses, servers, memory. The
third is a namespace of its own. Each repetition measures the three one after
the other, every second one backwards. A row is repeated until the median of its ratios is
known to 0.2 % or MAX is reached. What is found goes to standard output, one
JSON object a line, each after an @.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
# HERE first: there is a guest.py in both.
sys.path[:0] = [HERE, os.path.join(HERE, "../lib")]
import guest  # noqa: E402 pylint: disable=wrong-import-position
import kernel  # noqa: E402 pylint: disable=wrong-import-position
import rows  # noqa: E402 pylint: disable=wrong-import-position
import shortcut  # noqa: E402 pylint: disable=wrong-import-position

# Half of the samples lie within this of the median, divided by the square root of their number.
WANTED = 0.002


def tell(event, **fields):
    """A line for the host."""
    print("@" + json.dumps({"event": event, **fields}), flush=True)


class Side:
    """A network namespace with its own sysfs and netserver."""

    def __init__(self, name, replace, big_tcp=False):
        kernel.write("/sys/module/rlo/parameters/replace", "Y" if replace else "N")
        kernel.write("/sys/module/rlo/parameters/big_tcp", "Y" if big_tcp else "N")
        os.unshare(os.CLONE_NEWNET)
        kernel.write("/sys/module/rlo/parameters/replace", "Y")
        kernel.write("/sys/module/rlo/parameters/big_tcp", "Y")
        self.fd = os.open("/proc/self/ns/net", os.O_RDONLY)
        sys_dir = "/run/bench-" + name
        os.makedirs(sys_dir, exist_ok=True)
        kernel.mount("sysfs", sys_dir, "sysfs")
        self.rlo = sys_dir + "/class/net/lo/rlo"
        for command in ("ip link set lo up", "ip link add eth9 type dummy", "ip addr add 192.0.2.1/24 dev eth9",
                        "ip link set eth9 up", "netserver"):
            subprocess.run(command.split(), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def enter(self, active=None, delivery=None):
        """Makes it the namespace of this process, with the path wanted."""
        os.setns(self.fd, os.CLONE_NEWNET)
        if delivery and kernel.read(self.rlo + "/delivery") != delivery:
            kernel.write(self.rlo + "/delivery", delivery)
        if active is not None and kernel.number(self.rlo + "/active") != active:
            kernel.write(self.rlo + "/active", "%d\n" % active)


class Bench:
    """Both namespaces, and one sample of a row in a mode."""

    def __init__(self, flows, sides):
        kernel.private_mounts()
        self.tools = rows.Tools(flows)
        self.kernels = Side("kernel", replace=False)
        self.rlos = Side("rlo", replace=True)
        self.beyond = Side("beyond", replace=True, big_tcp=True)
        # Sockets belong to the control group of who opens them: this process moves.
        self.groups = [shortcut.cgroup(name) for name in ("", "bench")] if rows.PAST in sides else None
        if self.groups:
            shortcut.join(self.groups[1])
            self.past = Side(rows.PAST, replace=True, big_tcp=True)
        for side in (self.rlos, self.beyond):
            if kernel.read(side.rlo + "/mode") != "replacement":
                sys.exit("bench: the other namespaces should run on rlo, but do not")

    def enter(self, mode):
        """The namespace of a mode, with its path."""
        if self.groups:
            shortcut.join(self.groups[mode == rows.PAST])
        if mode == rows.PAST:
            self.past.enter()
            return self.past
        if mode in rows.BEYOND[1:]:
            self.beyond.enter(delivery="backlog" if mode == "rlo" else "napi")
            if mode == "rlo":
                self.tools.steered = False  # gone with the queues
            else:
                self.tools.steer(mode == "steered")
            return self.beyond
        side = self.rlos if mode == "replacement" else self.kernels
        side.enter(None if mode == "replacement" else int(mode == "takeover"))
        return side

    def sample(self, row, mode, amount):
        """(value, note): how fast it was, and through which driver the packets went is checked."""
        side = self.enter(mode)
        before = kernel.number(side.rlo + "/packets")
        sample_ = shortcut.Shortcut(self.groups[1]) if mode == rows.PAST else None
        try:
            value, note = row.run(self.tools, amount)
        finally:
            counts = sample_.stop()[0] if sample_ else {}
        if counts and row.key.startswith(rows.CONNECTED) and counts["redirected"] <= 10 * counts["passed"]:
            raise rows.Failure("%s, %s: the sample counted %r" % (row.title, mode, counts))
        counted = kernel.number(side.rlo + "/packets") - before
        if (counted == 0) != (mode == "lo"):
            raise rows.Failure("%s, %s: rlo counted %d packets" % (row.title, mode, counted))
        return value, note


def precise(samples):
    """Whether the medians of the ratios are known well enough."""
    for mode in list(samples)[1:]:
        ratios = sorted(b / a for a, b in zip(samples["lo"], samples[mode]))
        quarter = len(ratios) // 4
        if (ratios[-1 - quarter] - ratios[quarter]) / len(ratios) ** 0.5 > WANTED * statistics.median(ratios):
            return False
    return True


def sample(bench, row, mode, amount):
    """One sample. netperf's two ends may miss each other's last datagrams: twice, it is tried again."""
    for left in (2, 1, 0):
        try:
            return bench.sample(row, mode, amount)
        except rows.Failure as failure:
            if not left:
                raise
            tell("again", row=row.key, mode=mode, text=str(failure))
    return None


def measure(bench, row, args):
    """All repetitions of a row."""
    least, most = args.reps
    amount = max(64, int(row.amount * args.scale)) // 64 * 64
    samples = {mode: [] for mode in args.sides}
    for mode in args.sides if most > 1 else ():
        start = time.monotonic()
        sample(bench, row, mode, amount)  # the first of each finds cold caches: not counted
        if args.seconds:
            # Where the scheduler has its say, more is needed.
            wanted = args.seconds * (5 if row in rows.SEVERAL else 1)
            amount = max(64, int(amount * min(4, wanted / (time.monotonic() - start)))) // 64 * 64
    for rep in range(most):
        for mode in args.sides if rep % 2 == 0 else reversed(args.sides):
            value, note = sample(bench, row, mode, amount)
            samples[mode].append(value)
            tell("sample", row=row.key, rep=rep + 1, mode=mode, value=value, note=note)
        if rep + 1 >= least and precise(samples):
            break
    tell("row", row=row.key, title=row.title, unit=row.unit, amount=amount, samples=samples)


def main():
    """Everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("flows")
    parser.add_argument("--rows", default="*")
    parser.add_argument("--sides", type=lambda text: text.split(","), default=rows.MODES)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=0, help="make samples take about that long")
    parser.add_argument("--reps", type=int, nargs=2, default=(5, 15))
    parser.add_argument("--netns", type=int, default=0)
    parser.add_argument("--several", action="store_true", help="also the rows for more than one CPU")
    args = parser.parse_args()
    chosen = rows.chosen(args.rows, args.several)
    # Deferred work after boot halves the first two seconds.
    time.sleep(max(0.0, 4 - float(pathlib.Path("/proc/uptime").read_text(encoding="ascii").split()[0])))
    subprocess.run(["modprobe", "pktgen"], check=False)
    for name in ("rmem_max", "wmem_max"):
        kernel.write("/proc/sys/net/core/" + name, "8388608")
    bench = Bench(args.flows, args.sides)
    turns, nanoseconds = bench.tools.flows("clock", 20_000_000)
    tell("start", kernel=platform.release(), cpus=os.cpu_count(), rows=len(chosen), reps=args.reps,
         clock=nanoseconds / turns)
    for row in chosen:
        try:
            measure(bench, row, args)
        except (rows.Failure, OSError, subprocess.TimeoutExpired) as failure:
            tell("failure", row=row.key, title=row.title, text=str(failure))
    if args.netns:
        tell("netns", milliseconds=guest.netns_times(args.netns))
    bench.kernels.enter(0)
    tell("end", uptime=pathlib.Path("/proc/uptime").read_text(encoding="ascii").split()[0])


if __name__ == "__main__":
    main()
