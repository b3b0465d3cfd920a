#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What wakes the machine: shown and set as by the in-tree driver."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kernel
import ktap
import port


def wake(pair, end):
    """(what can wake the machine, what does), in ethtool's letters."""
    out = pair.run(end, "ethtool %s")
    return [re.search(name + r"Wake-on: (\w+)", out)[1] for name in ("Supports ", r"\n\s*")]


@ktap.case(limit=120)
def shown_and_set():
    """What can wake the machine, and does, as igb has it; what cannot is refused and changes nothing; it is kept."""
    pair = port.Pair("rigb-igb")
    ktap.equal("what wakes the machine, at first", wake(pair, 0), wake(pair, 1))
    supported = wake(pair, 0)[0]
    if "g" not in supported:
        raise ktap.Skip("this machine cannot be woken by a PCI device")
    wakeup = "%s/devices/%s/power/wakeup" % (port.PCI, pair.devices[0])
    can = bool(kernel.read(wakeup))
    for letters in ("d", "g", "u", "ub", "pumbg", "d"):
        for end in (0, 1):
            pair.run(end, "ethtool -s %s wol " + letters)
        ktap.equal("set to " + letters, wake(pair, 0)[1], letters)
        ktap.equal("as igb", wake(pair, 0), wake(pair, 1))
        if can:
            ktap.equal("power/wakeup", kernel.read(wakeup), "disabled" if letters == "d" else "enabled")
    pair.run(0, "ethtool -s %s wol ug")
    for letters in ("a", "s", "f", "ga"):
        status, _, error = pair.attempt(0, "ethtool -s %s wol " + letters)
        ktap.check(status != 0 and error, "wol %s was taken" % letters)
        ktap.equal("after wol " + letters, wake(pair, 0)[1], "ug")
    for setting in ("ip link set dev %s down", "ethtool -G %s rx 512", "ip link set dev %s up"):
        pair.run(0, setting)
        ktap.equal("after " + setting, wake(pair, 0)[1], "ug")


def sleeps(device):
    """Whether the device sleeps, by the kernel's account and by its own register."""
    state = kernel.read("%s/devices/%s/power/runtime_status" % (port.PCI, device))
    ktap.check(state in ("active", "suspended", "suspending", "resuming"), state)
    return state == "suspended"


@ktap.case(limit=200)
def runtime():
    """A port that is down sleeps if it may, is awake for whoever asks it something, and works when it is set up again."""
    pair = port.Pair("rigb-igb")
    device = pair.devices[0]
    pair.ping()
    control = "%s/devices/%s/power/control" % (port.PCI, device)
    ktap.equal("power/control at first", kernel.read(control), "on")
    kernel.write(control, "auto\n")
    port.settled()
    ktap.check(not sleeps(device), "it sleeps while it is up")
    pair.ping()
    for _ in range(3):
        pair.run(0, "ip link set dev %s down")
        ktap.wait_for("the device sleeps", lambda: sleeps(device), 10)
        ktap.equal("power state", kernel.read("%s/devices/%s/power_state" % (port.PCI, device)), "D3hot")
        # What is asked for meanwhile.
        pair.run(0, "ethtool %s")
        pair.run(0, "ethtool -d %s")
        pair.run(0, "ethtool -S %s")
        pair.run(0, "ip -s link show dev %s")
        pair.run(0, "ethtool -K %s rxvlan off")
        pair.run(0, "ethtool -K %s rxvlan on")
        pair.run(0, "ip link set dev %s address 52:54:00:00:00:77")
        pair.run(0, "ip link add link %s name v9 type vlan id 9")
        pair.run(0, "ip link set dev %s address 52:54:00:00:00:01")
        ktap.wait_for("the device sleeps again", lambda: sleeps(device), 10)
        pair.run(0, "ip link set dev %s up")
        ktap.check(not sleeps(device), "it sleeps while it is up")
        pair.up()
        pair.ping()
        pair.run(1, "ip link add link %s name v9 type vlan id 9")
        for end in (0, 1):
            pair.run(end, "ip addr add 198.51.100.%d/24 dev v9" % (end + 1))
            pair.run(end, "ip link set dev v9 up")
        pair.ping(address="198.51.100.2")
        for end in (0, 1):
            pair.run(end, "ip link del v9")
    pair.run(0, "ip link set dev %s down")
    ktap.wait_for("the device sleeps", lambda: sleeps(device), 10)
    # Reset, unbound and bound while it sleeps.
    kernel.write("%s/devices/%s/reset" % (port.PCI, device), "1")
    pair.close()
    pair = port.Pair("rigb-igb")
    pair.ping()
    ktap.equal("power/control", kernel.read(control), "auto")
    kernel.write(control, "on\n")


if __name__ == "__main__":
    sys.exit(port.main())
