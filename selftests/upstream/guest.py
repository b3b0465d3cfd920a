#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs upstream tests in the VM, one after the other: guest.py MODE [--times=N] SELECTION...

MODE says whose lo the tests get: lo, takeover or replacement. Writes to /out the
output of each test, NNN.log, and results.jsonl: name, status, seconds, and how
many packets were sent on a lo meanwhile: by the in-tree function, as a kprobe
on it counts, and by rlo: the rest of those that a tracepoint counts.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../lib"), os.path.join(HERE, "../vm")]
import kernel  # pylint: disable=wrong-import-position
import splat  # pylint: disable=wrong-import-position
import tests  # pylint: disable=wrong-import-position

TESTS, TRACING = "/tmp/upstream", "/sys/kernel/tracing"
XMIT = TRACING + "/events/net/net_dev_xmit"
FRESH = "mount -t sysfs sysfs /sys && ip link set lo up && exec \"$@\""
PARAMETERS = {"takeover": "replace=N takeover=Y", "replacement": "replace=Y takeover=N",
              "napi": "replace=Y takeover=N napi=Y"}


def prepare(mode):
    """The machine as the mode wants it."""
    os.makedirs(TESTS)
    subprocess.run(["tar", "-xf", "/out/tests.tar", "-C", TESTS], check=True)
    # What systemd or udev would do: device nodes and protocols that are asked for by name.
    subprocess.run(["modprobe", "-aq", "tun", "sctp", "ifb", "tls"], check=False)
    if mode != "lo":
        kernel.insmod("rlo", PARAMETERS[mode])
    if mode == "takeover":
        kernel.write("/sys/class/net/lo/rlo/active", "1\n")
    kernel.write(TRACING + "/kprobe_events", "p:lo loopback_xmit\n")
    kernel.write(TRACING + "/buffer_size_kb", "64")
    kernel.write(TRACING + "/events/kprobes/enable", "1")
    kernel.write(XMIT + "/trigger", 'hist:keys=name if name == "lo"\n')


def packets():
    """{lo, rlo}: what was sent on a device named lo, by the in-tree function and otherwise."""
    lo = sum(int(line.split()[1]) for line in kernel.read(TRACING + "/kprobe_profile").splitlines())
    every = sum(map(int, re.findall(r"hitcount: *(\d+)", kernel.read(XMIT + "/hist"))))
    return {"lo": lo, "rlo": every - lo}


def command_of(test):
    """The command, in a namespace of processes, mounts and, unless it needs init_net, the network."""
    words = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if test.where == "fresh":
        words += ["--net", "sh", "-c", FRESH, "sh"]
    return words + ["sh", "-c", test.command]


def run(command, log, directory, limit, env=None):
    """The exit status of a command; 124 if it took too long."""
    with open(log, "wb") as file:
        with subprocess.Popen(command, cwd=directory, env=env, stdin=subprocess.DEVNULL, stdout=file,
                              stderr=subprocess.STDOUT, start_new_session=True) as process:
            try:
                return process.wait(limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return 124


def complaints():
    """What the kernel complained about so far."""
    log = subprocess.run(["dmesg"], capture_output=True, text=True, errors="replace", check=False).stdout
    return [line for _, _, line in splat.find(log)]


def main():
    """All that are selected."""
    mode = sys.argv[1]
    times = sum(int(word[8:]) for word in sys.argv if word.startswith("--times=")) or 1
    chosen = tests.select(tests.read(os.path.join(HERE, "tests.list")), sys.argv[2:]) * times
    prepare(mode)
    seen = complaints()
    with open("/out/results.jsonl", "w", encoding="utf-8") as results:
        for number, test in enumerate(chosen, 1):
            name, before, start = "%03d.log" % number, packets(), time.monotonic()
            status = run(command_of(test), "/out/" + name, os.path.join(TESTS, test.directory), test.limit)
            grown = {key: value - before[key] for key, value in packets().items()}
            log = complaints()
            row = {"log": name, "name": test.name, "status": status, "seconds": time.monotonic() - start,
                   "packets": grown, "complaints": log[len(seen):]}
            seen = log
            results.write(json.dumps(row) + "\n")
            results.flush()
            print("%d of %d: %s: status %d, %.1f s, lo %d, rlo %d packets" %
                  (number, len(chosen), test.name, status, row["seconds"], grown["lo"], grown["rlo"]), flush=True)


if __name__ == "__main__":
    main()
