#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Every memory allocation of rlo fails once: loading, new namespaces, takeover and its files, sending.

After each failure (lib/fault.py) the world has to be whole: either what was asked
for is there, or nothing of it, and local packets flow. Lost memory is found after the program.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import collections
import fcntl
import socket

import kernel
import ktap
import net
from fault import ANYBODY, LONG, MODULES, MORE, NO_MEMORY, Injector, arm, release, steps

TAKEOVER = "/sys/module/rlo/parameters/takeover"
QUEUED = "/sys/module/rlo/parameters/napi"


def plain():
    """The module with its usual parameters, whatever a case before has left."""
    kernel.need_module("rlo")
    kernel.write(TAKEOVER, "N")
    kernel.write(QUEUED, "N")


def traffic_flows():
    """Some packets on the present namespace's lo, v4 and v6."""
    for address in ("127.0.0.1", "::1"):
        net.send_udp(net.udp_pair(address), 3, 200)


def nobody_keeps_rlo():
    """No namespace is replaced and nobody holds the module."""
    return kernel.number(net.REPLACED) == 0 and kernel.refcnt("rlo") == 0


@ktap.case(("", "takeover=Y replace=N"), limit=240 * MORE)
def load(params):
    """insmod: ENOMEM and nothing left behind, or loaded and working."""
    arm(MODULES)
    if kernel.loaded("rlo"):
        ktap.wait_for("nobody uses rlo", nobody_keeps_rlo, 20)
        kernel.rmmod("rlo")
    inject, path = Injector(), kernel.module_file("rlo")
    for nth in steps():
        fd = os.open(path, os.O_RDONLY)
        injected, error = inject.call(nth, kernel.insmod_fd, fd, params)
        os.close(fd)
        if error:
            ktap.check(injected and error in NO_MEMORY, "allocation %d: %s" % (nth, error))
            for left in ("/sys/module/rlo", "/sys/kernel/rlo", "/sys/class/net/lo/rlo"):
                ktap.check(not os.path.exists(left), "allocation %d: %s is still there" % (nth, left))
        traffic_flows()
        if not error:
            # A namespace may be without files (one line in the log says so), the module not.
            ktap.equal("parameter", kernel.read(net.REPLACE), "N" if params else "Y")
            kernel.rmmod("rlo")
        if not injected:
            break
    ktap.note("%d allocations; results: %r" % (nth - 1, dict(inject.errors)))
    ktap.check(inject.errors["ENOMEM"] >= (5 if LONG else 1), "only %r" % inject.errors)


def new_namespace(nth, report):
    """Makes a namespace while the Nth allocation fails, and looks at what came of it."""
    inject = Injector()
    injected, error = inject.call(nth, os.unshare, os.CLONE_NEWNET)
    outcome = error
    if error:
        # EINVAL: netdev_register_kobject() does not look at whether dev_set_name() has found memory, and
        # device_add() refuses a device without a name, anybody's.
        ktap.check(injected and error in NO_MEMORY + ("EINVAL",), "allocation %d: %s" % (nth, error))
    else:
        net.mount_sys()
        ktap.equal("devices", [d for d in os.listdir(net.SYS + "/class/net") if d != "lo"], [])
        ktap.equal("lo's ifindex", kernel.read(net.SYS + "/class/net/lo/ifindex"), "1")
        ktap.equal("lo's statistics", kernel.read(net.SYS + "/class/net/lo/statistics/tx_packets"), "0")
        net.set_up("lo")
        traffic_flows()
        top = net.SYS + "/class/net/lo/rlo"
        if os.path.exists(top):
            outcome = kernel.read(top + "/mode")
            carried = kernel.number(top + "/packets")
            ktap.check(carried >= 6 if kernel.number(top + "/active") else carried == 0, "rlo carried %d" % carried)
        else:
            outcome = "no files"
    os.write(report, ("%d %s" % (injected, outcome)).encode())


@ktap.case(("replacement", "takeover", "napi"), limit=400 * MORE)
def namespace(lane):
    """A new namespace: ENOMEM, or a lo that works, the kernel's or rlo's; the end gives all back."""
    kernel.need_module("rlo")
    kernel.write(net.REPLACE, "N" if lane == "takeover" else "Y")
    kernel.write(TAKEOVER, "Y" if lane == "takeover" else "N")
    kernel.write(QUEUED, "Y" if lane == "napi" else "N")
    arm(MODULES)
    outcomes = collections.Counter()
    for nth in steps():
        ours, theirs = os.pipe()
        ktap.value_of(new_namespace, nth, theirs)
        os.close(theirs)
        injected, _, outcome = os.read(ours, 100).decode().partition(" ")
        os.close(ours)
        outcomes[outcome] += 1
        if injected == "0":
            ktap.equal("without a failure", outcome, "takeover" if lane == "takeover" else "replacement")
            break
    kernel.write(QUEUED, "N")
    ktap.note("%d allocations; outcomes: %r" % (nth - 1, dict(outcomes)))
    ktap.wait_for("all of it is given back", nobody_keeps_rlo, 30)
    ktap.check(outcomes["ENOMEM"] >= (3 if LONG else 1), "only %r" % outcomes)


@ktap.case(limit=240 * MORE)
def takeover():
    """Writing to `active`: ENOMEM and the kernel's function, or taken over; packets flow meanwhile."""
    plain()
    env = net.enter("lo")
    arm(MODULES)
    inject, path = Injector(), env.lo + "/rlo/active"
    fd = os.open(path, os.O_WRONLY)
    pair = net.udp_pair("127.0.0.1")
    for value in (1, 0):
        for nth in steps():
            before = env.rlo("packets")
            injected, error = inject.call(nth, os.pwrite, fd, b"%d" % value, 0)
            if error:
                ktap.check(injected and error in NO_MEMORY, "allocation %d: %s" % (nth, error))
            active = env.rlo("active")
            ktap.equal("active after allocation %d" % nth, active, 1 - value if error else value)
            ktap.equal("owner", kernel.read(env.lo + "/rlo/owner"), "rlo" if active else "kernel")
            net.send_udp(pair, 3, 100)
            ktap.equal("carried", env.rlo("packets") - before, 3 * active)
            if not injected:
                break
            env.active(1 - value)
    ktap.note("results: %r" % dict(inject.errors))
    ktap.check(inject.errors["ENOMEM"] >= 2, "only %r" % inject.errors)


@ktap.case(limit=240 * MORE)
def delivery():
    """Writing to `delivery`: ENOMEM and the way it was, or the other one; packets flow meanwhile."""
    plain()
    env = net.enter("replacement")
    env.deliver("backlog")
    arm(MODULES)
    inject = Injector()
    fd = os.open(env.lo + "/rlo/delivery", os.O_WRONLY)
    pair = net.udp_pair("127.0.0.1")
    for value, other in (("napi", "backlog"), ("backlog", "napi")):
        for nth in steps():
            before = env.rlo("packets")
            injected, error = inject.call(nth, os.pwrite, fd, value.encode(), 0)
            if error:
                ktap.check(injected and error in NO_MEMORY, "allocation %d: %s" % (nth, error))
            now = kernel.read(env.lo + "/rlo/delivery")
            ktap.equal("delivery after allocation %d" % nth, now, other if error else value)
            net.send_udp(pair, 3, 100)
            ktap.equal("carried", env.rlo("packets") - before, 3)
            if not injected:
                break
            env.deliver(other)
    os.close(fd)
    ktap.note("results: %r" % dict(inject.errors))
    ktap.check(inject.errors["ENOMEM"] >= 2, "only %r" % inject.errors)


@ktap.case(net.LANES, limit=240 * MORE)
def transmit(lane):
    """Sending a datagram: an error and nothing arrives, or it arrives once; the counters agree."""
    plain()
    env = net.enter(lane)
    arm(ANYBODY)
    inject = Injector()
    for address in ("127.0.0.1", "::1"):
        for size in (100, 60000):
            sender, receiver = net.udp_pair(address)
            receiver.setblocking(False)
            for nth in steps():
                stats, rlo = net.flat_stats(), env.counts()
                data = net.datagram(nth, size)
                injected, error = inject.call(nth, sender.send, data)
                if error:
                    ktap.check(injected and error in NO_MEMORY, "allocation %d: %s" % (nth, error))
                    ktap.equal("what arrives", ktap.error_of(receiver.recv, 70000), "EAGAIN")
                else:
                    net.check_datagram(receiver.recv(70000), nth, size)
                    ktap.equal("what arrives more", ktap.error_of(receiver.recv, 70000), "EAGAIN")
                sent = net.delta(stats, net.flat_stats()).get("tx.packets", 0)
                ktap.equal("packets of lo", sent, 0 if error else 1)
                if env.is_rlo:
                    ktap.equal("packets of rlo", net.delta(rlo, env.counts()).get("accepted", 0), sent)
                if not injected:
                    break
    ktap.note("results: %r" % dict(inject.errors))
    ktap.check(sum(inject.errors[name] for name in NO_MEMORY) >= 4, "only %r" % inject.errors)


@ktap.case(net.LANES, limit=240 * MORE)
def stream(lane):
    """A TCP stream whose sender's every 20th allocation fails arrives whole and in order."""
    plain()
    env = net.enter(lane)
    arm(ANYBODY)
    pairs = [net.tcp_pair(address) for address in ("127.0.0.1", "::1")]
    inject = Injector()
    for one, other in pairs:
        # Room for all that is sent before it is read.
        fcntl.fcntl(one, fcntl.F_SETFL, os.O_NONBLOCK)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(150):
            data, sent = net.datagram(number, 3000), 0
            while sent < len(data):
                accepted = []
                part = data[sent:]
                injected, error = inject.call(1 + number % 20, lambda: accepted.append(one.send(part)))
                ktap.check(not error or (injected and error in NO_MEMORY), "block %d: %s" % (number, error))
                sent += accepted[0] if accepted else 0
            net.check_datagram(net.read_exactly(other, 3000), number, 3000)
    # TCP tries again by itself, or takes less than it was given.
    ktap.check(sum(inject.errors.values()) >= 20, "too few allocations failed: %r" % inject.errors)
    ktap.note("results: %r" % dict(inject.errors))
    if env.is_rlo:
        ktap.check(env.rlo("packets") >= 150, "rlo carried %d packets" % env.rlo("packets"))
    ktap.equal("dropped by rlo", env.rlo("dropped"), 0)


@ktap.case(limit=120 * MORE)
def registration_refused():
    """A notifier that refuses rlo's device: the namespace keeps the kernel's lo, which works."""
    path = "/sys/kernel/debug/notifier-error-inject/netdev/actions/NETDEV_REGISTER/error"
    if not os.path.exists(path) and os.system("modprobe -q netdev-notifier-error-inject"):
        raise ktap.Skip("no CONFIG_NETDEV_NOTIFIER_ERROR_INJECT")
    kernel.need_module("rlo")
    kernel.write(net.REPLACE, "Y")
    kernel.write(path, "-12")

    def look():
        # The kernel's own lo is refused by the same notifier, so the namespace cannot be made.
        ktap.fails("ENOMEM", "a new namespace", os.unshare, os.CLONE_NEWNET)
    try:
        for _ in range(3):
            ktap.value_of(look)
    finally:
        kernel.write(path, "0")
    ktap.wait_for("all of it is given back", nobody_keeps_rlo, 30)
    net.in_lane("replacement", lambda _env: traffic_flows())


@ktap.finally_
def restore():
    """Nothing fails any more; the module as it is after loading."""
    release()
    if not kernel.loaded("rlo"):
        kernel.insmod("rlo")
    kernel.write(TAKEOVER, "N")
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(ktap.main())
