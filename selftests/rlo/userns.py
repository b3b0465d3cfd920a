#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Namespaces of unprivileged users (unshare -Urn)."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import socket
import subprocess

import kernel
import ktap
import net

NOBODY = 65534


def become_user():
    """An ordinary user."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    kernel.set_dumpable()


def own_namespaces():
    """What `unshare -Urn` does, and a sysfs of its own; skips where users may not."""
    try:
        os.unshare(os.CLONE_NEWUSER)
    except PermissionError as error:
        raise ktap.Skip("users may not make namespaces here") from error
    for name, text in (("setgroups", "deny"), ("gid_map", "0 %d 1" % NOBODY), ("uid_map", "0 %d 1" % NOBODY)):
        kernel.write("/proc/self/" + name, text)
    os.unshare(os.CLONE_NEWNET)
    net.mount_sys()
    net.set_up("lo")


def prepare(replace):
    """rlo, in one of its modes."""
    kernel.need_module("rlo")
    kernel.write(net.REPLACE, replace)
    os.makedirs(net.SYS, exist_ok=True)


@ktap.case(net.LANES)
def works(lane):
    """The user is root there: lo works, and in takeover mode may be taken over, with right results."""
    prepare("Y" if lane == "replacement" else "N")

    def body():
        become_user()
        own_namespaces()
        env = net.Env(lane, net.SYS)
        ktap.equal("mode", kernel.read(env.lo + "/rlo/mode"), "replacement" if lane == "replacement" else "takeover")
        ktap.equal("owner of active", os.stat(env.lo + "/rlo/active").st_uid, 0)
        ktap.equal("owner of the directory", os.stat(env.lo + "/rlo").st_uid, 0)
        ktap.equal("owner of a CPU's file", os.stat(env.lo + "/rlo/cpu0/packets").st_uid, 0)
        if lane == "takeover":
            env.active(1)
        if lane == "replacement":
            ktap.fails("EBUSY", "switching it off", env.active, 0)
        ktap.equal("active", env.rlo("active"), int(env.is_rlo))
        before, stats = env.counts(), net.flat_stats()
        for address in ("127.0.0.1", "::1"):
            net.send_udp(net.udp_pair(address), 50, 1000)
            one, two = net.tcp_pair(address)
            one.close()
            two.close()
        grown = net.delta(before, env.counts())
        link = net.delta(stats, net.flat_stats())["tx.packets"]
        ktap.check(link >= 100, "lo counted %d" % link)
        ktap.equal("rlo's packets", grown.get("packets", 0), link if env.is_rlo else 0)
        if lane == "takeover":
            env.active(0)
            ktap.equal("active", env.rlo("active"), 0)
    ktap.value_of(body)


@ktap.case()
def command():
    """`unshare -Urn` itself, as an ordinary user."""
    prepare("Y")
    script = "ip link set lo up && ping -n -c 2 -i 0.1 -W 3 127.0.0.1 && ping -n -c 2 -i 0.1 -W 3 ::1"
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                           "unshare", "-Urn", "sh", "-c", script], capture_output=True, text=True, check=False)
    if "unshare failed" in done.stderr:
        raise ktap.Skip("users may not make namespaces here")
    ktap.equal("status (%s%s)" % (done.stdout, done.stderr), done.returncode, 0)
    ktap.equal("answered pings", done.stdout.count("bytes from"), 4)


@ktap.case(("N", "Y"))
def not_the_first(replace):
    """That root cannot switch the lo of the first namespace, not even through an open file."""
    prepare(replace)
    first = net.init_net()
    opened = os.open(first.lo + "/rlo/active", os.O_RDWR)

    def body():
        become_user()
        own_namespaces()
        ktap.fails("EACCES|EPERM", "opening the first namespace's file", kernel.write, first.lo + "/rlo/active", "1")
        for text in (b"1", b"0", b"x"):
            ktap.fails("EPERM", "writing %r to a file opened by root" % text, os.write, opened, text)
        ktap.equal("reading it", os.pread(opened, 10, 0), b"0\n")
        ktap.fails("EACCES|EPERM", "writing the parameter", kernel.write, net.REPLACE, "N")
    ktap.value_of(body)
    ktap.equal("active in the first namespace", first.rlo("active"), 0)


@ktap.case()
def not_a_sibling():
    """Nor that of another user's namespace; root of the first may."""
    prepare("N")
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        def body():
            become_user()
            own_namespaces()
        status, text, _ = ktap.run(body)
        theirs.setblocking(True)
        if status:
            theirs.send(text.encode())
        else:
            socket.send_fds(theirs, [b"."], [os.open(net.SYS + "/class/net/lo/rlo/active", os.O_RDWR)])
        theirs.recv(1)
        os._exit(0)
    text, fds, _, _ = socket.recv_fds(ours, 1000, 1)
    if b"users may not" in text:
        raise ktap.Skip("users may not make namespaces here")
    ktap.equal("the other namespace", text, b".")

    def sibling():
        become_user()
        own_namespaces()
        ktap.fails("EPERM", "switching another user's lo", os.write, fds[0], b"1")
    ktap.value_of(sibling)
    ktap.equal("active there", os.pread(fds[0], 10, 0), b"0\n")
    os.write(fds[0], b"1")
    ktap.equal("active after root wrote it", os.pread(fds[0], 10, 0), b"1\n")
    ours.send(b"x")
    os.waitpid(pid, 0)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
