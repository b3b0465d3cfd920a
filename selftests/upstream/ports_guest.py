#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs the kernel's tests for NIC drivers in the VM: ports_guest.py TEST...

Each on a port that igb drives and on one that rigb drives, with igb at the other end of the wire, in a namespace
that is called "remote". Ports are bound anew for each test. Writes to /out the output of each, NNN.log, and
results.jsonl: test, driver, log, status, seconds, complaints of the kernel.
"""

import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../lib"), os.path.join(HERE, "../vm")]
import guest  # pylint: disable=wrong-import-position
import kernel  # pylint: disable=wrong-import-position
import ktap  # pylint: disable=wrong-import-position
import port  # pylint: disable=wrong-import-position
import tools  # pylint: disable=wrong-import-position

TREE = "/tmp/ports"
TESTS = TREE + "/tools/testing/selftests/drivers/net/"
# These get the names of both ports, in one namespace, and make devices of their own if they are told none.
NAMED = ("hw/ethtool.sh", "hw/loopback.sh")
LIMIT = int(os.environ.get("RNET_PORTS_LIMIT", "600"))


def bind(driver, test):
    """The port under test as p0 here, the other one as p1 in "remote", or here as well."""
    ours, theirs = port.devices()[:2]
    for device in (ours, theirs):
        port.unbind(device)
    tools.attempt("ip netns del remote")
    tools.run("ip netns add remote")
    for device, name, how in ((ours, "p0", driver), (theirs, "p1", "igb")):
        port.bind(device, how)
        ktap.wait_for("the network device of " + device, lambda device=device: port.interface(device), 40)
        tools.run("ip link set dev %s down" % port.interface(device))
        tools.run("ip link set dev %s name %s" % (port.interface(device), name))
    if test in NAMED:
        return
    tools.run("ip link set dev p1 netns remote")
    for end, name, where in ((0, "p0", ""), (1, "p1", "ip netns exec remote ")):
        tools.run(where + "ip link set dev lo up")
        tools.run(where + "ip link set dev %s up" % name)
        tools.run(where + "ip addr add %s/24 dev %s" % (port.V4[end], name))
        tools.run(where + "ip addr add %s/64 dev %s nodad" % (port.V6[end], name))
    for where in ("", "ip netns exec remote "):
        ktap.wait_for("link", lambda where=where: "LOWER_UP" in tools.run(where + "ip -o link show up"), 15)
    ktap.wait_for("an answer", lambda: not tools.attempt("ping -q -c 1 -W 1 " + port.V4[1])[0], 15)


def run(test, log):
    """The exit status of one test."""
    env = dict(os.environ, NETIF="p0", LOCAL_V4=port.V4[0], REMOTE_V4=port.V4[1], LOCAL_V6=port.V6[0],
               REMOTE_V6=port.V6[1], REMOTE_TYPE="netns", REMOTE_ARGS="remote",
               NETIF_CREATE="no",
               PATH=TREE + "/bin:" + os.environ["PATH"])
    path = TESTS + test
    command = [sys.executable, path] if test.endswith(".py") else [path]
    if test in NAMED:
        command += ["p0", "p1"]
    return guest.run(command, log, os.path.dirname(path), LIMIT, env)


def main():
    """All tests, each on both."""
    os.makedirs(TREE + "/bin")
    os.symlink(os.path.join(HERE, "ethtool_json.py"), TREE + "/bin/ethtool")
    subprocess.run(["tar", "-xf", "/out/ports.tar", "-C", TREE], check=True)
    kernel.need_module("rigb")
    tools.attempt("modprobe igb")
    # netpoll_basic.py expects its directory to be there.
    tools.attempt("modprobe netconsole")
    tools.attempt("mount -t configfs none /sys/kernel/config")
    seen = guest.complaints()
    with open("/out/results.jsonl", "w", encoding="utf-8") as results:
        for number, test in enumerate(sys.argv[1:]):
            for driver in ("igb", "rigb"):
                bind(driver, test)
                log, start = "%02d-%s.log" % (number + 1, driver), time.monotonic()
                status = run(test, "/out/" + log)
                now = guest.complaints()
                row = {"test": test, "driver": driver, "status": status, "seconds": time.monotonic() - start,
                       "complaints": now[len(seen):], "log": log}
                seen = now
                results.write(json.dumps(row) + "\n")
                results.flush()
                print("%d of %d: %s on %s: status %d, %.1f s" % (
                    number + 1, len(sys.argv) - 1, test, driver, status, row["seconds"]), flush=True)


if __name__ == "__main__":
    main()
