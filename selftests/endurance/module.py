#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The module loaded and removed by the hundred under traffic, which never notices."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import json
import subprocess

import endure
import flows
import kernel
import ktap
import net

COUNT = endure.count(200, 6)
POINTS = endure.count(4, 1)
# Other modules loaded and removed as often, as the reference for memory.
OTHER = "dummy"


def unload():
    """Removes the module, once nobody uses it any more."""
    kernel.need_module("rlo")
    net.init_net().active(0)
    ktap.wait_for("nobody uses the module", lambda: kernel.refcnt("rlo") == 0, 30)
    kernel.rmmod("rlo")


def replaced_life():
    """While a replaced namespace lives the module stays; then it can go."""
    def body():
        env = net.enter("replacement")
        net.send_udp(net.udp_pair("::1"), 5, 300)
        ktap.equal("packets of a replaced namespace", env.rlo("packets"), 5)
        ktap.fails("EAGAIN|EBUSY", "removing it", kernel.rmmod, "rlo")
    ktap.value_of(body)
    kernel.write(net.REPLACE, "N")
    ktap.wait_for("nobody uses the module", lambda: kernel.refcnt("rlo") == 0, 60)


def one_life(number, places, traffic):
    """Loaded, used in all places or in some, removed with takeovers in force."""
    kernel.insmod("rlo", "replace=%d" % (number % 2))
    envs = [net.init_net()] + [place.env for place in places]
    taken = [env for i, env in enumerate(envs) if number >> i & 1]
    for env in envs:
        ktap.equal("active after loading", env.rlo("active"), 0)
        ktap.equal("packets after loading", env.rlo("packets"), 0)
    for env in taken:
        env.active(1)
    for env in taken:
        ktap.wait_for("packets go through rlo", lambda e=env: e.rlo("packets") > 10, 60)
    if number % 8 == 5:
        replaced_life()
    for env in envs:
        if env not in taken:
            ktap.equal("packets where it is not active", env.rlo("packets"), 0)
    kernel.rmmod("rlo")
    for path in [env.lo + "/rlo" for env in envs] + ["/sys/kernel/rlo", "/sys/module/rlo"]:
        ktap.check(not os.path.exists(path), path + " is still there")
    for flow in traffic:
        flow.wait_for_more()


def reference():
    """The same number of lives of a module of the kernel's own."""
    if subprocess.run(["modprobe", "-n", OTHER], capture_output=True, check=False).returncode:
        return None
    growth = endure.Growth()
    for i in range(POINTS + 2):
        if i:
            for _ in range(COUNT // POINTS // 2):
                subprocess.run(["modprobe", OTHER, "numdummies=2"], check=True)
                kernel.rmmod(OTHER)
        if i == 1:
            growth.points = []
        if i:
            growth.point((i - 1) * (COUNT // POINTS // 2))
    return growth.summary()


@ktap.case(limit=endure.limit(3000))
def loaded_and_removed():
    """Under TCP, UDP and SCTP in several namespaces, taken over or not; nothing is lost, no memory."""
    unload()
    net.set_up("lo")
    seen = reference() if endure.LONG else None
    kernel.insmod("rlo")
    places = [endure.Place("lo") for _ in range(endure.count(2, 1))]
    kernel.rmmod("rlo")
    log = kernel.Log()
    packets, traffic = [net.ip_packets()], [flows.Flows(("udp", "tcp", "sctp"))]
    for place in places:
        with place:
            packets.append(net.ip_packets())
            traffic.append(flows.Flows(("udp", "tcp")))
    growth, progress = endure.Growth(), endure.Progress("loaded and removed", COUNT)
    for i in range(COUNT):
        # The first sixteen warm up.
        if endure.LONG and i % (COUNT // POINTS) == 16:
            growth.point(i)
        one_life(i, places, traffic)
        progress.at(i + 1, ", messages: %r" % traffic[0].progress())
    ktap.check(all(flow.alive() for flow in traffic), "the traffic ended early")
    for flow in traffic:
        flow.stop()
    net.check_nothing_lost(packets[0])
    for place, before in zip(places, packets[1:]):
        with place:
            net.check_nothing_lost(before)
    ktap.equal("kernel's log", log.lines("waiting for|callbacks"), [])
    if not endure.LONG:
        return
    growth.point(COUNT)
    if seen:
        endure.compare_growth("loading and removing rlo", seen, growth.summary())
    else:
        ktap.note("no module %s as the reference: %s" % (OTHER, json.dumps(growth.summary())))


@ktap.finally_
def restore():
    """Loaded, as before."""
    if not kernel.loaded("rlo"):
        kernel.insmod("rlo")
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(net.main())
