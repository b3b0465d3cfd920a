#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs test programs one after the other, in the VM: guest.py LIMIT PROGRAM[:PATTERN...]...

After each it adds one result: whether the kernel complained meanwhile. On a kernel with kmemleak
one more: whether memory was lost.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../vm")]
import splat  # pylint: disable=wrong-import-position


# Where everything takes long: no devices of tunnels in each new namespace, whose drivers are built in there, and no
# word about a device that waits for its users before a minute.
SLOW_KERNEL = {"fb_tunnels_only_for_init_net": "1", "netdev_unregister_timeout_secs": "60"}


def kernel_log():
    """All of it."""
    return subprocess.run(["dmesg"], capture_output=True, text=True, errors="replace", check=False).stdout


def run_program(command, limit):
    """(status or None, planned results, results); its output goes on."""
    planned, results = 1, 0
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", process_group=0) as process:
        timer = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        for line in process.stdout:
            print(line, end="", flush=True)
            if match := re.match(r"1\.\.(\d+)", line):
                planned = int(match[1])
            results += bool(re.match(r"(not )?ok \d", line))
        timed_out = not timer.is_alive()
        timer.cancel()
    return None if timed_out else process.returncode, planned, results


KMEMLEAK = "/sys/kernel/debug/kmemleak"
# kmemleak does not report what is younger, in seconds.
LEAK_AGE = 6


def kmemleak(word):
    """A command for kmemleak."""
    with open(KMEMLEAK, "w", encoding="ascii") as file:
        file.write(word)


def scan():
    """What kmemleak reports after one more scan: it was allocated before the scan before this one.

    An object has to be without a reference, and unchanged, in two scans.  So one scan after a program is
    enough to find what the program before it has lost, at half the time: a scan takes 10 s here.
    """
    found = ""
    for again in (False, True):
        kmemleak("scan")
        with open(KMEMLEAK, encoding="utf-8", errors="replace") as file:
            found = file.read()
        if not found or again:
            break
        # What is being freed, or moved from one list to another, is gone or found by now.
        time.sleep(LEAK_AGE)
    kmemleak("clear")
    return found


def report_lost(name, lost):
    """The result for a program that has ended some time ago."""
    for line in lost.splitlines()[:60]:
        print("# " + line)
    print("%s %s loses no memory" % ("not ok" if lost else "ok", name), flush=True)


def main():
    """Every program in turn."""
    limit, seen = float(sys.argv[1]), set(splat.find(kernel_log()))
    if float(os.environ.get("RNET_SLOW", "1")) > 1:
        for name, value in SLOW_KERNEL.items():
            with open("/proc/sys/net/core/" + name, "w", encoding="ascii") as file:
                file.write(value)
    has_kmemleak, ended = os.path.exists(KMEMLEAK), None
    if has_kmemleak:
        # What is older than the first program is the boot's.
        scan()
    for argument in sys.argv[2:]:
        program, *patterns = argument.split(":")
        name = os.path.relpath(program, os.path.join(HERE, ".."))
        print("# program %s" % name, flush=True)
        start = time.monotonic()
        if time.time() > float(os.environ.get("RNET_DEADLINE", "inf")):
            print("ok %s # SKIP no time is left for it (RNET_DEADLINE)" % name)
            print("# program %s: status 4, not begun" % name, flush=True)
            continue
        status, planned, seen_results = run_program([program] + patterns, limit)
        if status is None:
            print("not ok %s took longer than %g s" % (name, limit), flush=True)
        elif planned != seen_results or status not in (0, 1, 4):
            print("not ok %s ended with status %d and %d of %d results" % (name, status, seen_results, planned), flush=True)
        elif not planned:
            print("ok %s # SKIP all of it" % name, flush=True)
        if has_kmemleak:
            lost = scan()
            if ended:
                report_lost(ended, lost)
            elif lost:
                print("# lost before the first program:\n# " + "\n# ".join(lost.splitlines()))
            ended = name
        # kmemleak's own line says no more than its reports.
        complaints = [c for c in splat.find(kernel_log()) if c not in seen and not (has_kmemleak and c[0] == "kmemleak")]
        seen.update(complaints)
        for kind, _, line in complaints[:10]:
            print("# kernel: %s: %s" % (kind, line))
        print("%s %s leaves the kernel's log clean" % ("not ok" if complaints else "ok", name), flush=True)
        print("# program %s: status %s, %.1f s" % (name, status, time.monotonic() - start), flush=True)
    if ended:
        time.sleep(LEAK_AGE)
        report_lost(ended, scan())


if __name__ == "__main__":
    main()
