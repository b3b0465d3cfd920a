#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""rlo's files in sysfs: nonsense, missing privileges, and descriptors that outlive what they show."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import signal
import socket
import time

import kernel
import ktap
import net

PER_CPU = ("packets", "bytes", "accepted", "dropped", "length_log2")
TOTALS = ("active", "mode", "owner", "delivery") + PER_CPU
PROTOCOLS = ["%s_%s" % (ip, name) for ip in ("ipv4", "ipv6") for name in ("icmp", "other", "sctp", "tcp", "udp")] + ["other"]
NONSENSE = ("2", "-1", "10", "01", "1 ", " 1", "1 1", "1x", "true", "yes", "enable", "offf", "o", "of", "ok", "oo", "yy", "\n", " ", "\n\n",
            "1\n\n", "0x1", "\0", "1\0", "\u00e9", "a" * 4095)


@ktap.case(net.LANES)
def nonsense(lane):
    """What is neither 1 nor 0 is EINVAL and changes nothing."""
    env = net.enter(lane)
    path = env.lo + "/rlo/active"
    for text in NONSENSE:
        ktap.fails("EINVAL", "writing %r" % text[:20], kernel.write, path, text)
        ktap.equal("active after %r" % text[:20], env.rlo("active"), int(env.is_rlo))
    net.send_udp(net.udp_pair("127.0.0.1"), 5, 100)
    ktap.equal("packets", env.rlo("packets"), 5 if env.is_rlo else 0)


@ktap.case()
def what_is_taken():
    """1 and 0, with and without a newline, again and again; EBUSY for 0 in a replaced namespace."""
    env = net.enter("lo")
    path = env.lo + "/rlo/active"
    for text, want in (("1", 1), ("1\n", 1), ("0", 0), ("0\n", 0), ("1", 1), ("0", 0)):
        kernel.write(path, text)
        ktap.equal("after %r" % text, env.rlo("active"), want)
        ktap.equal("mode", kernel.read(env.lo + "/rlo/mode"), "takeover")

    def replaced(env):
        kernel.write(env.lo + "/rlo/active", "1")
        for text in ("0", "0\n"):
            ktap.fails("EBUSY", "switching a replaced lo off", kernel.write, env.lo + "/rlo/active", text)
        ktap.equal("active", env.rlo("active"), 1)
        net.send_udp(net.udp_pair("127.0.0.1"), 5, 100)
        ktap.equal("packets", env.rlo("packets"), 5)
    net.in_lane("replacement", replaced)


@ktap.case(net.LANES)
def names(lane):
    """The directory holds what is documented, and nothing else."""
    env = net.enter(lane)
    found = sorted(n for n in os.listdir(env.lo + "/rlo") if not n.startswith("cpu"))
    ktap.equal("files", found, sorted(TOTALS + ("protocol",)))
    ktap.equal("files of a CPU", sorted(os.listdir(env.lo + "/rlo/cpu0")), sorted(PER_CPU))
    ktap.equal("files of protocols", sorted(os.listdir(env.lo + "/rlo/protocol")), PROTOCOLS)
    ktap.equal("files of the module", os.listdir("/sys/kernel/rlo"), ["replaced_namespaces"])
    net.ip("link add d0 type dummy")
    ktap.check(not os.path.exists(env.sys + "/class/net/d0/rlo"), "another device has a directory, too")


@ktap.case(net.LANES)
def without_net_admin(lane):
    """Root without CAP_NET_ADMIN reads everything and writes nothing, not even through an open file."""
    env = net.enter(lane)
    path = env.lo + "/rlo/active"
    opened = os.open(path, os.O_WRONLY)

    def powerless():
        kernel.drop_net_admin()
        for text in ("0", "1", "nonsense"):
            ktap.fails("EPERM", "writing %s" % text, kernel.write, path, text)
            ktap.fails("EPERM", "writing %s to a file opened before" % text, os.write, opened, text.encode())
        for name in TOTALS:
            kernel.read("%s/rlo/%s" % (env.lo, name))
    ktap.value_of(powerless)
    ktap.equal("active", env.rlo("active"), int(env.is_rlo))

    def nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        ktap.fails("EACCES", "opening it as nobody", kernel.write, path, "1")
        ktap.fails("EPERM", "writing to root's open file as nobody", os.write, opened, b"1")
        for name in TOTALS:
            kernel.read("%s/rlo/%s" % (env.lo, name))
    ktap.value_of(nobody)
    ktap.equal("active", env.rlo("active"), int(env.is_rlo))


@ktap.case()
def other_capabilities_do():
    """CAP_NET_ADMIN is enough: no other capability is asked for."""
    env = net.enter("lo")
    opened = os.open(env.lo + "/rlo/active", os.O_WRONLY)

    def only_net_admin():
        kernel.keep_only(kernel.CAP_NET_ADMIN)
        os.write(opened, b"1")
    ktap.value_of(only_net_admin)
    ktap.equal("active", env.rlo("active"), 1)


def open_all(env):
    """Descriptors of every file of rlo in a namespace."""
    paths = ["%s/rlo/%s" % (env.lo, name) for name in TOTALS[1:]]
    paths += ["%s/rlo/cpu0/%s" % (env.lo, name) for name in PER_CPU]
    paths += ["%s/rlo/protocol/%s" % (env.lo, name) for name in PROTOCOLS]
    return [os.open(path, os.O_RDONLY) for path in paths] + [os.open(env.lo + "/rlo/active", os.O_RDWR)]


def all_gone(fds):
    """Fails unless every descriptor answers ENODEV."""
    for fd in fds:
        ktap.fails("ENODEV", "reading after the end", kernel.read_again, fd)
    ktap.fails("ENODEV", "writing after the end", os.write, fds[-1], b"1")


@ktap.case(("lo", "takeover"))
def open_over_rmmod(lane):
    """Files kept open while the module leaves and comes back answer ENODEV; new ones work."""
    env = net.enter(lane)
    ktap.wait_for("nobody uses the module", lambda: kernel.refcnt("rlo") == 0, 20)
    module = os.open("/sys/kernel/rlo/replaced_namespaces", os.O_RDONLY)
    fds = open_all(env)
    directory = os.open(env.lo + "/rlo", os.O_RDONLY)
    for fd in fds:
        ktap.check(kernel.read_again(fd), "nothing to read")
    kernel.rmmod("rlo")
    all_gone(fds)
    ktap.fails("ENODEV", "reading a file of the module", kernel.read_again, module)
    ktap.equal("names in the open directory", ktap.error_of(os.listdir, directory) or os.listdir(directory), [])
    kernel.insmod("rlo")
    all_gone(fds)
    ktap.equal("active after loading", env.rlo("active"), 0)
    for fd in fds:
        os.close(fd)


@ktap.case(net.LANES)
def open_over_namespace(lane):
    """Files kept open while the namespace ends answer ENODEV."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    pid = os.fork()
    if pid == 0:
        status, text, env = ktap.run(net.enter, lane)
        if status:
            theirs.send(text.encode())
            os._exit(1)
        net.send_udp(net.udp_pair("127.0.0.1"), 5, 100)
        socket.send_fds(theirs, [b"."], open_all(env))
        time.sleep(600)
        os._exit(0)
    text, fds, _, _ = socket.recv_fds(ours, 1000, 30)
    ktap.equal("the namespace", text, b".")
    ktap.check(all(kernel.read_again(fd) for fd in fds), "nothing to read")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    ktap.wait_for("the files are gone", lambda: ktap.error_of(kernel.read_again, fds[0]) == "ENODEV")
    time.sleep(0.2)
    all_gone(fds)
    ktap.wait_for("nobody uses the module", lambda: kernel.refcnt("rlo") == 0)
    kernel.rmmod("rlo")
    all_gone(fds)
    kernel.insmod("rlo")


@ktap.case()
def switched_while_it_ends():
    """lo is switched from outside, through an open file, while its namespace ends under traffic."""
    kernel.need_module("rlo")
    for _ in range(8):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            status, text, env = ktap.run(net.enter, "lo")
            if status:
                theirs.send(text.encode())
                os._exit(1)
            net.Traffic(("127.0.0.1",))
            socket.send_fds(theirs, [b"."], [os.open(env.lo + "/rlo/active", os.O_WRONLY)])
            time.sleep(600)
            os._exit(0)
        text, fds, _, _ = socket.recv_fds(ours, 1000, 1)
        ktap.equal("the namespace", text, b".")
        written, error = 0, ""
        while not error:
            error = ktap.error_of(os.write, fds[0], b"10"[written % 2:][:1])
            written += not error
            if not error and written == 10:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        ktap.check(error == "ENODEV" and written >= 10, "after %d writes: %s" % (written, error))
        os.close(fds[0])
    ktap.wait_for("nobody uses the module", lambda: kernel.refcnt("rlo") == 0)


@ktap.case(limit=90)
def read_while_removed():
    """Readers and a writer of every file while the module leaves and comes, ten times."""
    env = net.enter("lo")
    ktap.wait_for("nobody uses the module", lambda: kernel.refcnt("rlo") == 0, 20)

    def reader():
        read, fds = 0, []
        while not ended:
            try:
                fds = open_all(env)
                for fd in fds:
                    kernel.read_again(fd)
                    read += 1
                os.write(fds[-1], b"01"[read % 2:][:1])
            except OSError as error:
                ktap.check(error.errno in (2, 19), "reading: %s" % error)
            for fd in fds:
                os.close(fd)
            fds = []
        ktap.check(read > 20, "only %d reads" % read)

    ended, pids = [], []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
            status, text, _ = ktap.run(reader)
            if status:
                ktap.note(text)
            os._exit(status)
        pids.append(pid)
    for _ in range(10):
        time.sleep(0.1)
        kernel.rmmod("rlo")
        ktap.check(not os.path.exists(env.lo + "/rlo"), "the directory is still there")
        kernel.insmod("rlo")
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    ktap.equal("readers", [os.waitpid(pid, 0)[1] for pid in pids], [0] * len(pids))
    env.active(0)


@ktap.finally_
def restore():
    """Loaded, as before."""
    if not kernel.loaded("rlo"):
        kernel.insmod("rlo")
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(net.main())
