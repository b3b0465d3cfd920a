#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""samples/watch.rs: counts what happens to network devices."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import subprocess

import kernel
import ktap
import net

TOP = "/sys/kernel/rnet_watch"
VERBOSE = "/sys/module/rnet_watch/parameters/verbose"
NAMES = ("registered", "unregistered", "up", "down")


def fresh(params=""):
    """The module, newly loaded."""
    if kernel.loaded("rnet_watch"):
        kernel.rmmod("rnet_watch")
    kernel.need_module("rnet_watch", params)


def counts():
    """All counters."""
    return {name: kernel.number("%s/%s" % (TOP, name)) for name in NAMES}


def add(name):
    """Makes a device."""
    net.ip("link add %s type dummy" % name)


@ktap.case()
def known_actions():
    """Devices made, set up, down and deleted: as many as there were."""
    fresh()
    add("w0")
    before = counts()
    net.ip("link del w0")
    ktap.equal("deleting", net.delta(before, counts()), {"unregistered": 1})
    before = counts()
    for i in range(5):
        add("w%d" % i)
    ktap.equal("making 5", net.delta(before, counts()), {"registered": 5})
    for i in range(4):
        net.set_up("w%d" % i)
    net.set_up("w0")
    ktap.equal("setting 4 of them up", net.delta(before, counts()), {"registered": 5, "up": 4})
    net.set_up("w0", False)
    net.set_up("w0", False)
    net.set_up("w0")
    ktap.equal("one down and up", net.delta(before, counts()), {"registered": 5, "up": 5, "down": 1})
    for i in range(5):
        net.ip("link del w%d" % i)
    ktap.equal("deleting all", net.delta(before, counts()), {"registered": 5, "up": 5, "down": 5, "unregistered": 5})


@ktap.case()
def as_ip_monitor_says():
    """A veth pair in another namespace: `ip monitor` there sees the same devices."""
    fresh()
    os.unshare(os.CLONE_NEWNET)
    before = counts()
    with subprocess.Popen(["ip", "-o", "monitor", "link"], stdout=subprocess.PIPE, text=True) as monitor:
        # It has subscribed once it says the first thing: make it say something.
        ktap.wait_for("ip monitor listens", lambda: "NETLINK" in kernel.read("/proc/net/protocols") and
                      any(line.split()[2] == str(monitor.pid) for line in kernel.read("/proc/net/netlink").splitlines()[1:]))
        net.ip("link add w0 type veth peer name w1")
        net.ip("link set w0 up")
        net.ip("link del w0")
        ktap.wait_for("all has been counted", lambda: net.delta(before, counts()).get("unregistered") == 2)
        monitor.terminate()
        lines = monitor.communicate()[0].splitlines()
    deleted = [line for line in lines if line.startswith("Deleted")]
    ktap.equal("counters", net.delta(before, counts()), {"registered": 2, "unregistered": 2, "up": 1, "down": 1})
    ktap.equal("devices that ip monitor saw go", len(deleted), 2)


@ktap.case()
def at_load():
    """Devices that are there are announced when a notifier comes, and taken leave of when it goes."""
    count = len(os.listdir("/sys/class/net"))
    ups = len([l for l in net.ip("-j link show") if "UP" in l["flags"]])
    fresh()
    seen = counts()
    ktap.check(seen["registered"] >= count and seen["up"] >= ups, "%r with %d devices, %d up" % (seen, count, ups))


@ktap.case()
def verbose():
    """The parameter at run time: says what happens, or does not."""
    fresh()
    log = kernel.Log()
    ktap.equal("at first", kernel.read(VERBOSE), "N")
    add("w0")
    ktap.equal("lines when it is off", log.lines("w0: registered"), [])
    kernel.write(VERBOSE, "1")
    net.set_up("w0")
    net.set_up("w0", False)
    net.ip("link del w0")
    lines = [line.rsplit("w0", maxsplit=1)[-1] for line in log.lines("rnet_watch.*w0")]
    ktap.equal("lines when it is on", lines, [": up", ": down", ": unregistered"])
    kernel.write(VERBOSE, "0")
    add("w0")
    net.ip("link del w0")
    ktap.equal("lines when it is off again", log.lines("rnet_watch.*w0"), [])
    fresh("verbose=1")
    ktap.equal("loaded with it on", kernel.read(VERBOSE), "Y")


@ktap.case()
def under_events():
    """Loaded and removed 20 times while devices come and go, its files open."""
    fresh()
    pid = os.fork()
    if pid == 0:
        while True:
            for command in ("add", "del"):
                subprocess.run(["ip", "link", command, "w9", "type", "dummy"], capture_output=True, check=False)
    for _ in range(20):
        opened = os.open(TOP + "/registered", os.O_RDONLY)
        ktap.check(os.read(opened, 20), "nothing to read")
        kernel.rmmod("rnet_watch")
        ktap.fails("ENODEV", "reading the file that was open", kernel.read_again, opened)
        os.close(opened)
        ktap.check(not os.path.exists(TOP), TOP + " is still there")
        kernel.insmod("rnet_watch")
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    subprocess.run(["ip", "link", "del", "w9"], capture_output=True, check=False)


@ktap.case()
def with_rlo():
    """rlo's replacement is seen as what it is: lo goes, lo comes."""
    if not kernel.module_file("rlo"):
        raise ktap.Skip("rlo is not built")
    kernel.need_module("rlo")
    fresh()
    before = counts()
    net.in_lane("lo", lambda _env: None)
    plain = net.delta(before, counts())
    before = counts()
    net.in_lane("replacement", lambda _env: None)
    ktap.wait_for("both have ended", lambda: net.delta(before, counts()).get("unregistered", 0) >= 2)
    replaced = net.delta(before, counts())
    ktap.check(plain["registered"] >= 1 and replaced["registered"] == 2,
               "a plain namespace: %r, a replaced one: %r" % (plain, replaced))


@ktap.finally_
def restore():
    """Nothing stays."""
    net.restore_defaults()
    if kernel.loaded("rnet_watch"):
        kernel.rmmod("rnet_watch")


if __name__ == "__main__":
    sys.exit(ktap.main(lambda: kernel.need_module("rnet_watch")))
