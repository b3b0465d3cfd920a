#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The device comes and goes, and so does its link: by the hypervisor, under traffic. Needs lib/qmp.py's port."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import contextlib
import subprocess
import time

import forge
import kernel
import ktap
import port
import qmp
import tools

STATUS, LINK_UP = 8, 2
# How QEMU's devices come and go, unless it is told otherwise.
HOTPLUG = "HOTPLUG_PCI_ACPI"
LONG = os.environ.get("RNET_LONG") == "1"
PLUGS = 50 if LONG else 6 if ktap.SLOW == 1 else 2
FLAPS = 12 if ktap.SLOW == 1 else 4
RESETS = 10 if ktap.SLOW == 1 else 3


@contextlib.contextmanager
def flood(pair, ends=(0, 1)):
    """Traffic from these ends while what is inside runs."""
    started = []
    for end in ends:
        with pair.side(end):
            started.append(subprocess.Popen(["ping", "-q", "-f", "-s", "1400", port.V4[1 - end]],
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    port.settled()
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def gone(device):
    """Whether there is no such device on the bus."""
    return not os.path.exists("%s/devices/%s" % (port.PCI, device))


def added(monitor, mac=None):
    """Whether QEMU takes the device: it may not have ended with the old one yet."""
    try:
        monitor("device_add", **port.igb(1, mac))
    except ktap.Failure:
        return False
    return True


@ktap.case(limit=600)
def unplugged_under_traffic():
    """Pulled and plugged many times, both ends sending; each new one works."""
    tools.need(HOTPLUG)
    monitor = qmp.Monitor()
    for n in range(PLUGS):
        pair = port.Pair("rigb-rigb")
        pair.ping()
        device = pair.devices[0]
        with flood(pair):
            monitor("device_del", id="nic1")
            ktap.wait_for("the device is gone", lambda device=device: gone(device), 40)
        pair.run(1, "ip link show dev %s")
        pair.close()
        ktap.wait_for("QEMU takes a new device", lambda: added(monitor), 20)
        ktap.wait_for("the new device", lambda: len(port.devices()) == 2, 40)
        if n % 10 == 9:
            ktap.note("%d times" % (n + 1))
    pair = port.Pair("rigb-igb")
    pair.ping()
    pair.exchange()


@ktap.case(limit=200)
def bad_address():
    """A device whose address is none gets a random one, and the log says so; it works."""
    tools.need(HOTPLUG)
    monitor = qmp.Monitor()
    device = port.devices()[0]
    port.unbind(device)
    monitor("device_del", id="nic1")
    ktap.wait_for("the device is gone", lambda: gone(device), 40)
    ktap.wait_for("QEMU takes a new device", lambda: added(monitor, "01:00:5e:00:00:01"), 20)
    ktap.wait_for("the new device", lambda: len(port.devices()) == 2, 40)
    pair = port.Pair("rigb-igb")
    address = bytes.fromhex(pair.link(0)["address"].replace(":", ""))
    ktap.check(address[0] & 3 == 2 and any(address[1:]), "address " + address.hex(":"))
    said = [line for line in tools.run("dmesg").splitlines() if pair.devices[0] in line and "no valid MAC address" in line]
    ktap.equal("lines in the log", len(said), 1)
    pair.ping()
    pair.close()
    port.unbind(pair.devices[0])
    monitor("device_del", id="nic1")
    ktap.wait_for("the device is gone", lambda: gone(pair.devices[0]), 40)
    ktap.wait_for("QEMU takes a new device", lambda: added(monitor), 20)
    ktap.wait_for("the new device", lambda: len(port.devices()) == 2, 40)


@ktap.case(("rigb-igb", "igb-rigb", "igb-igb"), limit=200)
def link_flaps(drivers):
    """The hypervisor takes the link and gives it back: seen each time, by the interrupt; then packets flow."""
    monitor = qmp.Monitor()
    pair = port.Pair(drivers)
    pair.ping()
    registers, times = forge.Registers(pair.devices[0]), []
    with flood(pair, (1,)):
        for _ in range(FLAPS):
            for up in (False, True):
                monitor("set_link", name="nic1", up=up)
                # The device negotiates first.
                ktap.wait_for("STATUS says %d" % up, lambda up=up: bool(registers.read(STATUS) & LINK_UP) == up, 10)
                start = time.monotonic()
                ktap.wait_for("carrier %d" % up, lambda up=up: carrier(pair) == int(up), 10)
                times.append(time.monotonic() - start)
    times.sort()
    ktap.note("seen after: median %.2f s, slowest %.2f s" % (times[len(times) // 2], times[-1]))
    if pair.drivers[0] == "rigb" and ktap.SLOW == 1:
        # The service looks once a second: without the interrupt half of them would take longer. A slow kernel takes
        # longer than that with it. Some take longer anyway where the machine does something else just then.
        ktap.check(times[len(times) * 3 // 4] < 0.5, "%s" % times)
    pair.wait_link()
    pair.ping()
    settings = pair.run(0, "ethtool %s")
    ktap.check("Speed: 1000Mb/s" in settings and "Duplex: Full" in settings and "Link detected: yes" in settings, settings)


def carrier(pair):
    """What sysfs says of the first port."""
    return int("LOWER_UP" in pair.run(0, "ip link show dev %s"))


@ktap.case(limit=200)
def link_away_while_down():
    """The link goes while the port is down; set up, the port has none, until it is back."""
    monitor = qmp.Monitor()
    pair = port.Pair("rigb-igb")
    pair.run(0, "ip link set dev %s down")
    monitor("set_link", name="nic1", up=False)
    pair.run(0, "ip link set dev %s up")
    time.sleep(1.2)
    ktap.equal("carrier", carrier(pair), 0)
    monitor("set_link", name="nic1", up=True)
    pair.up()
    pair.ping()


@ktap.case(limit=300)
def resets_under_traffic():
    """The function is reset many times while both ends send: it comes back by itself each time."""
    pair = port.Pair("rigb-igb")
    with flood(pair):
        for _ in range(RESETS):
            kernel.write("%s/devices/%s/reset" % (port.PCI, pair.devices[0]), "1")
            ktap.wait_for("carrier", lambda: carrier(pair) == 1, 10)
    pair.ping()
    pair.exchange()


@ktap.case(limit=300)
def killed_user():
    """kill -9 of whoever uses the port, and it can be set down at once."""
    pair = port.Pair("rigb-igb")
    for _ in range(5):
        with pair.side(0):
            users = [subprocess.Popen(["ping", "-q", "-f", port.V4[1]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),
                     subprocess.Popen(["tcpdump", "-n", "-i", port.NAMES[0], "-w", "/dev/null"], stderr=subprocess.DEVNULL)]
        port.settled()
        for user in users:
            user.kill()
        start = time.monotonic()
        pair.run(0, "ip link set dev %s down")
        ktap.check(time.monotonic() - start < 5 * ktap.SLOW, "setting it down took %.1f s" % (time.monotonic() - start))
        for user in users:
            user.wait()
        pair.run(0, "ip link set dev %s up")
        pair.up()
    pair.ping()


@ktap.case(("freeze.freezer", "freeze.devices", "mem.devices", "mem.core"), limit=90)
def suspended(what):
    """The system sleeps, as far as pm_test lets it, and wakes up: the port works again."""
    state, level = what.split(".")
    if level != "freezer" and not kernel.root_survives_suspend():
        raise ktap.Skip("the root of this VM would be lost: selftests/vm/run --keep-devices")
    pair = port.Pair("rigb-igb")
    pair.ping()
    kernel.write("/sys/power/pm_test", level)
    try:
        kernel.write("/sys/power/state", state)
    finally:
        kernel.write("/sys/power/pm_test", "none")
    pair.wait_link()
    pair.ping()
    pair.ping(end=1, address=port.V4[0])


if __name__ == "__main__":
    sys.exit(port.main())
