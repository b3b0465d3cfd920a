#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs test programs one after the other, in the VM: guest.py LIMIT PROGRAM[:PATTERN...]...

After each it adds one result: whether the kernel complained meanwhile.
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


def main():
    """Every program in turn."""
    limit, seen = float(sys.argv[1]), set(splat.find(kernel_log()))
    for argument in sys.argv[2:]:
        program, *patterns = argument.split(":")
        name = os.path.relpath(program, os.path.join(HERE, ".."))
        print("# program %s" % name, flush=True)
        start = time.monotonic()
        status, planned, seen_results = run_program([program] + patterns, limit)
        if status is None:
            print("not ok %s took longer than %g s" % (name, limit), flush=True)
        elif planned != seen_results or status not in (0, 1, 4):
            print("not ok %s ended with status %d and %d of %d results" % (name, status, seen_results, planned), flush=True)
        elif not planned:
            print("ok %s # SKIP all of it" % name, flush=True)
        complaints = [c for c in splat.find(kernel_log()) if c not in seen]
        seen.update(complaints)
        for kind, _, line in complaints[:10]:
            print("# kernel: %s: %s" % (kind, line))
        print("%s %s leaves the kernel's log clean" % ("not ok" if complaints else "ok", name), flush=True)
        print("# program %s: status %s, %.1f s" % (name, status, time.monotonic() - start), flush=True)


if __name__ == "__main__":
    main()
