#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Suspend and resume, as far as pm_test goes, under traffic in each lane: all goes on as before.

The virtio devices of a VM lose their file systems when they are suspended, so everything but
`freezer` needs a VM with --keep-devices: selftests/endurance/run.sh suspend.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import time

import endure
import flows
import kernel
import ktap
import net

POWER = "/sys/power/"
DELAY = "/sys/module/suspend/parameters/pm_test_delay"
LEVELS = ("freezer", "devices", "platform", "processors", "core")
TIMES = endure.count(3, 1)
# Suspend to idle knows only the first three.
CASES = ["%s.%s" % (state, level) for state in ("freeze", "mem") for level in LEVELS[:3 if state == "freeze" else None]]
SHORT = ("mem.freezer", "mem.core")


def suspend(state, level):
    """One cycle; fails unless the kernel counts it as a success."""
    before = kernel.number(POWER + "suspend_stats/success"), kernel.number(POWER + "suspend_stats/fail")
    kernel.write(POWER + "pm_test", level)
    try:
        kernel.write(POWER + "state", state)
    finally:
        kernel.write(POWER + "pm_test", "none")
    after = kernel.number(POWER + "suspend_stats/success"), kernel.number(POWER + "suspend_stats/fail")
    ktap.equal("suspends that succeeded and failed", (after[0] - before[0], after[1] - before[1]), (1, 0))


@ktap.case(CASES if endure.LONG else SHORT, limit=endure.limit(900))
def resumed(variant):
    """Traffic, takeover, counters and statistics after the resume."""
    state, level = variant.split(".")
    kernel.need_module("rlo")
    if level not in kernel.read(POWER + "pm_test") if os.path.exists(POWER + "pm_test") else True:
        raise ktap.Skip("this kernel has no pm_test")
    if state not in kernel.read(POWER + "state").split():
        raise ktap.Skip("no state " + state)
    if level != "freezer" and not kernel.root_survives_suspend():
        raise ktap.Skip("the root of this VM would be lost: selftests/endurance/run.sh suspend")
    if os.path.exists(DELAY):
        kernel.write(DELAY, "1")
    flows.have_sctp()
    places = [endure.Place(lane) for lane in net.LANES]
    traffic, packets, links, rlo = [], [], [], []
    for place in places:
        with place as env:
            packets.append(net.ip_packets())
            links.append(net.flat_stats())
            rlo.append(env.counts())
            traffic.append(flows.Flows(strict=False))
    for number in range(TIMES):
        before = [place.env.counts() for place in places]
        start = time.monotonic()
        suspend(state, level)
        for place, flow, last in zip(places, traffic, before):
            env = place.env
            ktap.equal("active in lane " + env.lane, env.rlo("active"), int(env.is_rlo))
            now = env.counts()
            ktap.check(all(now[name] >= last[name] for name in now), "%s: rlo's counters went back: %r, %r" % (env.lane, last, now))
            flow.wait_for_more()
            ktap.check(flow.alive(), "%s: the traffic ended early" % env.lane)
        ktap.note("%s, %d of %d: %.1f s" % (variant, number + 1, TIMES, time.monotonic() - start))
    for place, flow, sent, stats, counted in zip(places, traffic, packets, links, rlo):
        messages = flow.stop()
        with place as env:
            net.check_nothing_lost(sent)
            link, counts = net.delta(stats, net.flat_stats()), net.delta(counted, env.counts())
            ktap.note("%s: %r messages, %d packets" % (env.lane, messages, link["tx.packets"]))
            ktap.equal("received and sent", link["rx.packets"], link["tx.packets"])
            ktap.equal("rlo's packets and bytes in lane " + env.lane, (counts.get("packets", 0), counts.get("bytes", 0)),
                       (link["tx.packets"], link["tx.bytes"]) if env.is_rlo else (0, 0))


@ktap.finally_
def restore():
    """As before."""
    if os.path.exists(POWER + "pm_test"):
        kernel.write(POWER + "pm_test", "none")
    if os.path.exists(DELAY):
        kernel.write(DELAY, "5")
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(net.main())
