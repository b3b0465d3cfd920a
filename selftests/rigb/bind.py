#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Who gets the device, and how it is given back."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import glob
import subprocess

import kernel
import ktap
import port
import tools

# Binding takes its time, on a slow kernel most of all.
TIMES = 100 if port.LONG else 12 if ktap.SLOW == 1 else 4


@ktap.case()
def takes_nothing():
    """Without being told, the driver takes no device, and has no alias by which it would be loaded."""
    for device in port.devices():
        port.unbind(device)
        kernel.write("%s/devices/%s/driver_override" % (port.PCI, device), "\n")
    kernel.rmmod("rigb")
    kernel.need_module("rigb")
    for device in port.devices():
        ktap.equal("driver of " + device, port.driver_of(device), None)
    ktap.equal("aliases", tools.run(["modinfo", "-F", "alias", kernel.module_file("rigb")]), "")


@ktap.case()
def by_parameter():
    """What the parameter names is bound when the module is loaded, unless somebody else has it; nothing stays behind."""
    first, second = port.devices()[:2]
    overrides = ["%s/devices/%s/driver_override" % (port.PCI, device) for device in (first, second)]
    port.unbind(first)
    port.bind(second, "igb")
    for path in overrides:
        kernel.write(path, "\n")
    kernel.rmmod("rigb")
    for nonsense in ("nonsense", "0000:01:00", "01:20.0", "1:00.8", first + ",x"):
        ktap.fails("EINVAL", "bind=" + nonsense, kernel.insmod, "rigb", "bind=" + nonsense)
        ktap.equal("drivers", (kernel.loaded("rigb"), port.driver_of(first)), (False, None))
    # Not there; not ours; somebody else's; ours, without its domain.
    other = next(os.path.basename(path) for path in sorted(glob.glob(port.PCI + "/devices/*"))
                 if os.path.basename(path) not in port.devices() and not port.driver_of(os.path.basename(path)))
    ktap.equal("domain", first[:5], "0000:")
    kernel.insmod("rigb", "bind=ffff:fe:1f.7,%s,%s,%s" % (other, second, first[5:]))
    ktap.equal("drivers", [port.driver_of(device) for device in (other, second, first)], [None, "igb", "rigb"])
    ktap.check(port.interface(first), "no network device")
    ktap.equal("driver_override", [kernel.read(path) for path in overrides], ["(null)"] * 2)
    log = tools.run("dmesg")
    for device, why in (("ffff:fe:1f.7", "no such device"), (other, "no such device"), (second, "has a driver")):
        ktap.check(any("rigb: bind: " + device in line and why in line for line in log.splitlines()),
                   "the log does not say why not " + device)
    ktap.equal("parameter", kernel.read("/sys/module/rigb/parameters/bind").rsplit(",", 1)[1], first[5:])
    kernel.rmmod("rigb")
    ktap.equal("driver", port.driver_of(first), None)
    # What is meant for another driver is not taken.
    kernel.write(overrides[0], "igb\n")
    kernel.insmod("rigb", "bind=" + first)
    ktap.equal("driver", port.driver_of(first), None)
    ktap.equal("driver_override", kernel.read(overrides[0]), "igb")


@ktap.case()
def other_device():
    """A device that it cannot drive is refused, whoever names it."""
    others = [os.path.basename(path) for path in glob.glob(port.PCI + "/devices/*")
              if os.path.basename(path) not in port.devices() and not port.driver_of(os.path.basename(path))]
    if not others:
        raise ktap.Skip("no other device without a driver")
    path = "%s/devices/%s/driver_override" % (port.PCI, others[0])
    kernel.write(path, "rigb\n")
    ktap.fails("ENODEV", "binding it", kernel.write, port.PCI + "/drivers/rigb/bind", others[0])
    kernel.write(path, "\n")


@ktap.case(limit=300)
def again_and_again():
    """Bound and unbound many times, half of them while up."""
    device = port.devices()[0]
    for n in range(TIMES):
        port.bind(device, "rigb")
        name = port.interface(device)
        ktap.check(name, "no network device")
        ktap.equal("address", kernel.read("/sys/class/net/%s/address" % name), "52:54:00:00:00:01")
        if n % 2:
            tools.run("ip link set dev %s up" % name)
        port.unbind(device)
        ktap.check(not port.interface(device), "the network device stays")


@ktap.case(limit=300)
def up_and_down():
    """Up and down many times; then it works."""
    pair = port.Pair("rigb-igb")
    for _ in range(TIMES):
        pair.run(0, "ip link set dev %s down")
        pair.run(0, "ip link set dev %s up")
    pair.up()
    pair.ping()


def flood(pair):
    """Traffic both ways until it is ended."""
    started = []
    for end in (0, 1):
        with pair.side(end):
            started.append(subprocess.Popen(
                ["ping", "-q", "-f", "-s", "1400", port.V4[1 - end]],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    return started


@ktap.case(limit=300)
def unbind_under_traffic():
    """The device goes while packets fly; the other end notices nothing but silence."""
    for _ in range(TIMES // 4):
        pair = port.Pair("rigb-rigb")
        pair.ping()
        started = flood(pair)
        port.settled()
        port.unbind(pair.devices[0])
        ktap.equal("driver", port.driver_of(pair.devices[0]), None)
        for process in started:
            process.kill()
            process.wait()
        pair.close()


@ktap.case(limit=300)
def rmmod_under_traffic():
    """The module goes while packets fly."""
    pair = port.Pair("rigb-rigb")
    pair.ping()
    started = flood(pair)
    port.settled()
    kernel.rmmod("rigb")
    for device in pair.devices:
        ktap.equal("driver of " + device, port.driver_of(device), None)
    for process in started:
        process.kill()
        process.wait()
    kernel.need_module("rigb")
    port.Pair("rigb-rigb").ping()


if __name__ == "__main__":
    sys.exit(port.main())
