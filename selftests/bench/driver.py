#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Counts the driver's own instructions for a packet: lo, taken over, replaced.

    driver.py OUT [--check]        (selftests/bench/run.sh --driver calls it)

Boots the exact lane with QEMU's gdbstub, stops at the ndo_start_xmit that the
device's table of callbacks names, and steps through it instruction by
instruction until it returns. Counted is everything executed between entry and
return, callees included, except what begins at the entry of __netif_rx() and
ends with its return: the backlog, which is the same code for all.
"""

import argparse
import bisect
import collections
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import gdbstub

HERE = pathlib.Path(__file__).resolve().parent
LANES = ("lo", "takeover", "replacement")
KINDS = {"udp4": "UDP 64 B, v4", "udp6": "UDP 64 B, v6", "tcp4": "TCP 64 B, v4", "tcp6": "TCP 64 B, v6",
         "pktgen": "pktgen 128 B"}
# What sends, whose own code counts as such, and what makes it: rigb_driver.py has others.
DEVICE, MODULES, LOADED, GUEST, QEMU_ARGS = b"lo", ("rlo",), "rlo.ko", "driver_guest.py", ""
BACKLOG = ("__netif_rx", "netif_rx", "netif_rx_internal", "enqueue_to_backlog")
TRACES, MOST_STEPS, LIMIT = 3, 20000, 1.10
MEMBERS = {("net_device", "netdev_ops"), ("net_device", "name"), ("net_device_ops", "ndo_start_xmit"),
           ("sk_buff", "len")}


class Failure(Exception):
    """It could not be counted."""


class Symbols:
    """The kernel's and its modules' functions by address."""

    def __init__(self, path):
        rows = []
        for line in path.read_text().splitlines():
            address, _, name, *module = line.split()
            rows.append((int(address, 16), name, module[0].strip("[]") if module else ""))
        rows.sort()
        self.rows = rows
        self.starts = [row[0] for row in rows]
        self.by_name = {row[1]: row[0] for row in rows}

    def find(self, address):
        """(start, name, module) of the function that an address is in."""
        return self.rows[bisect.bisect_right(self.starts, address) - 1]


def demangled(name):
    """A Rust name as its path."""
    done = subprocess.run(["llvm-cxxfilt"], input=name, capture_output=True, text=True, check=False)
    text = done.stdout.strip() or name
    while (shorter := re.sub(r"::<[^<>]*>$|<(?:[^<>]*::)?([A-Za-z_]+)(?: as [^<>]*)?>", r"\1", text)) != text:
        text = shorter
    return text.removeprefix("rnet::").removeprefix("netdev::")


def offsets(btf):
    """Where the members are that are looked at, from the running kernel's own BTF."""
    found = {}
    for struct in {struct for struct, _ in MEMBERS}:
        text = subprocess.run(["pahole", "-F", "btf", "-C", struct, str(btf)], capture_output=True, text=True,
                              check=False).stdout
        for line in text.splitlines():
            match = re.match(r"\s.*?\(?\*?\s?(\w+)(?:\[\d+\])?\)?(?:\(.*\))?;\s*/\*\s*(\d+)\s+\d+ \*/", line)
            if match and (struct, match[1]) in MEMBERS:
                found.setdefault((struct, match[1]), int(match[2]))
    if missing := MEMBERS - set(found):
        raise Failure("driver: not in the kernel's BTF: %s" % missing)
    return found


class Tracer:
    """Follows packets through the driver."""

    def __init__(self, gdb, out):
        self.gdb, self.out = gdb, out
        self.symbols = Symbols(out / "kallsyms")
        self.offsets = offsets(out / "btf")
        self.backlog = {self.symbols.by_name[name] for name in BACKLOG if name in self.symbols.by_name}

    def entry(self):
        """The address in the table of callbacks of the device that sends next."""
        core = self.symbols.by_name["dev_hard_start_xmit"]
        self.gdb.breakpoint(core)
        self.gdb.resume()
        if not self.gdb.wait(60):
            raise Failure("driver: no packet was sent in 60 s")
        device = self.gdb.register(gdbstub.RSI)
        name = self.gdb.memory(device + self.offsets["net_device", "name"], 16).split(b"\0")[0]
        if name != DEVICE:
            raise Failure("driver: %r sent a packet" % name)
        ops = self.gdb.word(device + self.offsets["net_device", "netdev_ops"])
        self.gdb.breakpoint(core, on=False)
        return self.gdb.word(ops + self.offsets["net_device_ops", "ndo_start_xmit"])

    def trace(self):
        """[(address, inside the backlog)] of one packet, from a breakpoint at the entry; and its length."""
        stack = self.gdb.register(gdbstub.RSP)
        end = self.gdb.word(stack)
        skb = self.gdb.register(gdbstub.RDI)
        size = int.from_bytes(self.gdb.memory(skb + self.offsets["sk_buff", "len"], 4), "little")
        steps, pc, back = [], self.gdb.register(gdbstub.RIP), None
        while pc != end or self.gdb.register(gdbstub.RSP) <= stack:
            if back is None and pc in self.backlog:
                top = self.gdb.register(gdbstub.RSP)
                back = (self.gdb.word(top), top)
            elif back and pc == back[0] and self.gdb.register(gdbstub.RSP) > back[1]:
                back = None
            steps.append((pc, back is not None))
            if len(steps) > MOST_STEPS:
                raise Failure("driver: no return after %d instructions" % MOST_STEPS)
            pc = self.gdb.step()
        return steps, size

    def packets(self, count):
        """That many traces of packets with data."""
        entry = self.entry()
        self.gdb.breakpoint(entry)
        traces = []
        while len(traces) < count:
            self.gdb.resume()
            if not self.gdb.wait(60):
                raise Failure("driver: %s was not reached in 60 s" % self.symbols.find(entry)[1])
            steps, size = self.trace()
            if size > 100:
                traces.append(steps)
        self.gdb.breakpoint(entry, on=False)
        return entry, traces

    def listing(self, name, steps):
        """Writes a trace with its instructions, to be read."""
        text = {}
        spans = {}
        for pc in {pc for pc, _ in steps}:
            start = self.symbols.find(pc)[0]
            low, high = spans.get(start, (pc, pc))
            spans[start] = min(low, pc), max(high, pc)
        for low, high in spans.values():
            code = self.out / "code.bin"
            code.write_bytes(b"".join(self.gdb.memory(at, min(512, high + 1 - at)) for at in range(low, high + 1, 512)))
            dump = subprocess.run(["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "--no-show-raw-insn",
                                   "--adjust-vma=%#x" % low, str(code)], capture_output=True, text=True, check=True)
            code.unlink()
            for line in dump.stdout.splitlines():
                if match := re.match(r"\s*([0-9a-f]+):\s+(.*)", line):
                    text[int(match[1], 16)] = match[2]
        with open(self.out / ("trace-%s.txt" % name), "w", encoding="ascii") as file:
            for pc, shared in steps:
                start, symbol, _ = self.symbols.find(pc)
                file.write("%s %-60s %s\n" % ("|" if shared else " ", "%s+%#x" % (symbol[-50:], pc - start),
                                              text.get(pc, "")))

    def counts(self, entry, steps):
        """{function: instructions} of a trace, in three parts: own, callees, backlog."""
        own, callees, shared, after = collections.Counter(), collections.Counter(), 0, 0
        seen_backlog = False
        for pc, inside in steps:
            start, name, module = self.symbols.find(pc)
            if inside:
                shared += 1
                seen_backlog = True
                continue
            after += seen_backlog
            if start == self.symbols.find(entry)[0] or module in MODULES:
                own[name] += 1
            else:
                callees[name] += 1
        return {"own": own, "callees": callees, "backlog": shared, "after": after,
                "total": sum(own.values()) + sum(callees.values())}


def wait_for(path, process, seconds=120):
    """Waits for a file that the guest makes."""
    end = time.monotonic() + seconds
    while not path.exists():
        if process.poll() is not None or time.monotonic() > end:
            raise Failure("driver: the VM did not get as far as %s" % path.name)
        time.sleep(0.05)


def measure(out):
    """{kind: {lane: counts}}, from one boot."""
    for old in [*out.glob("go-*"), *out.glob("done-*"), *out.glob("trace-*"), out / "phase"]:
        old.unlink(missing_ok=True)
    results = {kind: {} for kind in KINDS}
    with tempfile.TemporaryDirectory(prefix="rnet-gdb-") as directory:
        path = directory + "/gdb"
        command = [str(HERE / "../vm/run"), "--lane", "exact", "--time-limit", "900", "--module", LOADED,
                   "--out", str(out), "--settle", "0",
                   "--qemu-args", QEMU_ARGS + " -chardev socket,id=gdb,path=%s,server=on,wait=off -gdb chardev:gdb" % path,
                   "--", "python3", "-B", str(HERE / GUEST)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            try:
                follow(path, out, process, results)
                status = process.wait(120)
            finally:
                process.terminate()
        if status:
            raise Failure("driver: the VM ended with status %d" % status)
    return results


def follow(path, out, process, results):
    """Counts in every phase that the guest announces."""
    gdb = tracer = None
    for lane in LANES:
        for kind in KINDS:
            name = "%s-%s" % (lane, kind)
            while not (out / "phase").exists() or (out / "phase").read_text() != name:
                wait_for(out / "phase", process)
                if process.poll() is not None:
                    raise Failure("driver: the VM ended before %s" % name)
                time.sleep(0.05)
            gdb = gdb or gdbstub.Gdb(path)
            gdb.interrupt()
            tracer = tracer or Tracer(gdb, out)
            (out / ("go-" + name)).touch()
            start = time.monotonic()
            entry, traces = tracer.packets(TRACES)
            tracer.listing(name, traces[-1])
            (out / ("done-" + name)).touch()
            gdb.resume()
            counts = [tracer.counts(entry, steps) for steps in traces]
            middle = sorted(counts, key=lambda c: c["total"])[len(counts) // 2]
            middle["all"] = [c["total"] for c in counts]
            middle["entry"] = tracer.symbols.find(entry)[1]
            results[kind][lane] = middle
            print("driver: %-12s %s: %d instructions (%.1f s)"
                  % (lane, KINDS[kind], middle["total"], time.monotonic() - start), flush=True)


def cell(value):
    """A count, or nothing."""
    return "%13s" % (value or "-")


def grouped(results):
    """[(title, {lane: counts})], kinds of packets with the same counts as one."""
    groups = []
    for kind, lanes in results.items():
        for group in groups:
            if group[1] == lanes:
                group[0].append(KINDS[kind])
                break
        else:
            groups.append(([KINDS[kind]], lanes))
    return [(titles[0] + "".join(" and" + title.rpartition(",")[2] for title in titles[1:]), lanes)
            for titles, lanes in groups]


def table(results):
    """The screen."""
    yield "The driver's own instructions for one packet: from the entry of ndo_start_xmit to its return,"
    yield "callees and counters included, without the backlog (__netif_rx and below, the same for all)."
    for title, lanes in grouped(results):
        yield ""
        yield "  %-44s" % title + "".join("%13s" % lane for lane in LANES)
        yield "  %-44s" % "own code" + "".join(cell(sum(lanes[lane]["own"].values())) for lane in LANES)
        for name in sorted({name for lane in LANES for name in lanes[lane]["own"]}):
            if any(len(lanes[lane]["own"]) > 1 and name in lanes[lane]["own"] for lane in LANES):
                yield "    . %-40s" % demangled(name)[:40] + "".join(cell(lanes[lane]["own"].get(name)) for lane in LANES)
        callees = collections.Counter()
        for lane in LANES:
            callees.update(lanes[lane]["callees"])
        for name, _ in callees.most_common():
            yield "  + %-42s" % name[:42] + "".join(cell(lanes[lane]["callees"].get(name)) for lane in LANES)
        yield "  %-44s" % "= total" + "".join(cell(lanes[lane]["total"]) for lane in LANES)
        if not BACKLOG:
            continue
        yield "  %-44s" % "  of these before the backlog" + "".join(
            cell(lanes[lane]["total"] - lanes[lane]["after"]) for lane in LANES)
        base = lanes["lo"]["total"]
        yield "  %-44s" % "  to lo" + "".join("%13.3f" % (lanes[lane]["total"] / base) for lane in LANES)
        yield "  %-44s" % "  backlog, not counted" + "".join(cell(lanes[lane]["backlog"]) for lane in LANES)


def ratios(results):
    """{(kind, lane): total / lo's} of packets that sockets send. A packet without one costs lo half as much, so that
    rlo's counters weigh twice; what it costs all in all is a row of the exact lane.
    """
    return {(kind, lane): lanes[lane]["total"] / lanes["lo"]["total"]
            for kind, lanes in results.items() for lane in LANES[1:] if kind != "pktgen"}


def main():
    """Measures, prints, keeps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--check", action="store_true", help="KTAP: at most %.2f of lo" % LIMIT)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        results = measure(args.out)
    except (Failure, gdbstub.GdbError, OSError) as failure:
        print("driver: FAILED: %s" % failure, file=sys.stderr)
        return 1
    (args.out / "driver.json").write_text(json.dumps(results, indent=1) + "\n")
    text = "\n".join(table(results))
    (args.out / "driver.txt").write_text(text + "\n")
    print("\n" + text + "\n")
    found = ratios(results)
    print("rlo to lo: %.3f to %.3f, median %.3f (aim: at most %.2f)"
          % (min(found.values()), max(found.values()), statistics.median(found.values()), LIMIT))
    print("every instruction of one packet: %s/trace-*.txt" % args.out)
    if not args.check:
        return 0
    print("TAP version 13\n1..%d" % len(found))
    bad = 0
    for number, ((kind, lane), ratio) in enumerate(found.items(), 1):
        bad += ratio > LIMIT
        print("%sok %d driver: %s, %s: %.3f of lo's instructions" % ("not " * (ratio > LIMIT), number, KINDS[kind], lane,
                                                                 ratio))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
