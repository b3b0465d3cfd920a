#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What new namespaces get: the parameter takeover, and readers of a table that is exchanged."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import subprocess
import time

import kernel
import ktap
import net

TAKEOVER = "/sys/module/rlo/parameters/takeover"


def fresh():
    """A new namespace as it comes: mode, whether rlo is active, and packets of 40 datagrams."""
    os.unshare(os.CLONE_NEWNET)
    net.mount_sys()
    net.set_up("lo")
    env = net.Env("?", net.SYS)
    for address in ("127.0.0.1", "::1"):
        net.send_udp(net.udp_pair(address), 20, 1000)
    return kernel.read(env.lo + "/rlo/mode"), env.rlo("active"), env.rlo("accepted")


@ktap.case()
def taken_over_at_once():
    """takeover=Y, replace=N: rlo carries the first packet of a new namespace, which holds nothing."""
    kernel.need_module("rlo")
    kernel.write(net.REPLACE, "N")
    kernel.write(TAKEOVER, "Y")
    mode, active, accepted = ktap.value_of(fresh)
    ktap.equal("mode", mode, "takeover")
    ktap.equal("active", active, 1)
    ktap.check(accepted >= 40, "rlo took %d packets, of at least 40" % accepted)
    ktap.equal("replaced namespaces", kernel.number(net.REPLACED), 0)
    ktap.equal("references to the module", kernel.refcnt("rlo"), 0)


@ktap.case()
def replaced_all_the_same():
    """takeover=Y, replace=Y: replacement comes first."""
    kernel.need_module("rlo")
    kernel.write(net.REPLACE, "Y")
    kernel.write(TAKEOVER, "Y")
    mode, active, _ = ktap.value_of(fresh)
    ktap.equal("mode", mode, "replacement")
    ktap.equal("active", active, 1)


@ktap.case()
def neither():
    """takeover=N, replace=N: the kernel's lo, untouched."""
    kernel.need_module("rlo")
    kernel.write(net.REPLACE, "N")
    kernel.write(TAKEOVER, "N")
    ktap.equal("mode, active, packets of rlo", ktap.value_of(fresh), ["takeover", 0, 0])


@ktap.case()
def ethtool_meanwhile():
    """ethtool looks into the table with only a reference to the device, while it is exchanged."""
    kernel.need_module("rlo")
    env = net.init_net()
    loop = "while :; do ethtool -k lo && ethtool -T lo && ip -s link show lo || exit 1; done"
    with subprocess.Popen(["sh", "-c", loop], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, start_new_session=True) as reader:
        try:
            end = time.monotonic() + 4 * ktap.SLOW
            toggles = 0
            while time.monotonic() < end:
                toggles += 1
                env.active(toggles % 2)
            ktap.equal("ethtool's exit status so far", reader.poll(), None)
        finally:
            os.killpg(reader.pid, 9)
    env.active(0)
    ktap.check(toggles >= 100, "only %d toggles in time" % toggles)


@ktap.finally_
def restore():
    """As before."""
    kernel.write(TAKEOVER, "N")
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(net.main())
