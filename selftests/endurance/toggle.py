#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Takeover switched a thousand times under TCP, UDP and SCTP, against the same time on lo."""

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

COUNT = endure.count(1000, 30)
# Messages of each protocol that pass between two parts of the run.
PARTS, BETWEEN = endure.count(20, 3), 16


def run(env, switch, steered):
    """Traffic, and so many times switch(i); what was counted."""
    cpus = net.cpus()
    if steered:
        if len(cpus) < 2:
            raise ktap.Skip("one CPU")
        kernel.write(env.lo + "/queues/rx-0/rps_cpus", "%x" % (1 << cpus[1]))
    packets, links, rlo, bad = net.ip_packets(), net.flat_stats(), env.counts(), flows.signs()
    start = time.monotonic()
    traffic = flows.Flows(cpu=cpus[0] if steered else cpus[-1])
    progress = endure.Progress("switched" if switch else "on lo, not switched", COUNT)
    for part in range(PARTS):
        for i in range(part * COUNT // PARTS, (part + 1) * COUNT // PARTS):
            if switch:
                switch(i)
                ktap.equal("active", env.rlo("active"), (i + 1) % 2)
            else:
                kernel.number(env.lo + "/rlo/active")
            # From nothing to a few milliseconds: switches meet every part of an exchange.
            time.sleep(i % 7 * 0.001)
        if switch:
            env.active(1)
        traffic.wait_for_more(BETWEEN)
        progress.at((part + 1) * COUNT // PARTS, ", messages: %r" % traffic.progress())
    ktap.check(traffic.alive(), "the traffic ended early")
    # Before the end: the last packets of an association find nobody, on lo as well.
    again = flows.more_signs(bad)
    sent = traffic.stop()
    net.check_nothing_lost(packets)
    if switch:
        env.active(0)
    sent_packets = net.ip_packets()
    link = net.delta(links, net.flat_stats())
    ktap.equal("packets that lo sent, of those that IP sent", link["tx.packets"],
               sum(sent_packets[key] - packets[key] for key in ("out", "out6")))
    ktap.equal("received and sent", link["rx.packets"], link["tx.packets"])
    if steered:
        kernel.write(env.lo + "/queues/rx-0/rps_cpus", "0")
    return {"messages": sent, "link": link, "rlo": net.delta(rlo, env.counts()), "signs": again,
            "seconds": round(time.monotonic() - start, 1)}


@ktap.case(("namespace", "first_namespace", "steered"), limit=endure.limit(1200))
def switched(where):
    """Nothing lost, doubled or changed; no more out of order or sent again than without switching."""
    if where == "first_namespace":
        kernel.need_module("rlo")
        net.set_up("lo")
        env = net.init_net()
        env.active(0)
        control = run(env, None, False)
    else:
        control = net.in_lane("lo", lambda env: run(env, None, where == "steered"), limit=endure.limit(600))
        env = net.enter("lo")
    seen = run(env, lambda i: env.active((i + 1) % 2), where == "steered")
    for name, result in (("not switched", control), ("switched %d times" % COUNT, seen)):
        ktap.note("%s: %s messages, %s packets, %s through rlo, %s s; %s" % (
            name, result["messages"], result["link"]["tx.packets"], result["rlo"].get("packets", 0), result["seconds"],
            result["signs"] or "nothing sent again or out of order"))
    ktap.equal("packets through rlo while it was not active", control["rlo"], {})
    ktap.check(0 < seen["rlo"]["packets"] < seen["link"]["tx.packets"], "rlo carried %r of %r" % (seen["rlo"], seen["link"]))
    ktap.equal("dropped", seen["rlo"].get("dropped", 0), 0)
    worse = {name: (value, control["signs"].get(name, 0)) for name, value in seen["signs"].items()
             if value > 2 * control["signs"].get(name, 0) + 5 * ktap.SLOW}
    ktap.equal("sent again, out of order or dropped (switched, not switched)", worse, {})


@ktap.finally_
def restore():
    """As before."""
    if kernel.loaded("rlo"):
        net.init_net().active(0)
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(net.main())
