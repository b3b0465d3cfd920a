#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs test programs one after the other, in the VM: guest.py LIMIT PROGRAM[:PATTERN...]...

After each it adds one result: whether the kernel complained meanwhile.
"""

import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../vm")]
import splat  # pylint: disable=wrong-import-position


def kernel_log():
    """All of it."""
    return subprocess.run(["dmesg"], capture_output=True, text=True, errors="replace", check=False).stdout


def main():
    """Every program in turn."""
    limit, seen = float(sys.argv[1]), set(splat.find(kernel_log()))
    for argument in sys.argv[2:]:
        program, *patterns = argument.split(":")
        name = os.path.relpath(program, os.path.join(HERE, ".."))
        print("# program %s" % name, flush=True)
        start = time.monotonic()
        try:
            status = subprocess.run([program] + patterns, timeout=limit, stdin=subprocess.DEVNULL, check=False).returncode
        except subprocess.TimeoutExpired:
            print("not ok %s took longer than %g s" % (name, limit), flush=True)
            status = 1
        if status not in (0, 1, 4):
            print("not ok %s ended with status %d" % (name, status), flush=True)
        complaints = [c for c in splat.find(kernel_log()) if c not in seen]
        seen.update(complaints)
        for kind, _, line in complaints[:10]:
            print("# kernel: %s: %s" % (kind, line))
        print("%s %s leaves the kernel's log clean" % ("not ok" if complaints else "ok", name), flush=True)
        print("# program %s: status %d, %.1f s" % (name, status, time.monotonic() - start), flush=True)


if __name__ == "__main__":
    main()
