#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Loading and removing the module."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import signal
import subprocess
import time

import kernel
import ktap
import net


def unload():
    """Removes the module, once nobody uses it any more."""
    if kernel.loaded("rlo"):
        net.init_net().active(0)
        ktap.wait_for("nobody uses the module", lambda: kernel.refcnt("rlo") == 0, 20)
        kernel.rmmod("rlo")


def whole():
    """Fails unless lo works, without rlo."""
    for path in ("/sys/class/net/lo/rlo", "/sys/kernel/rlo", "/sys/module/rlo"):
        ktap.check(not os.path.exists(path), path + " is still there")
    for address in ("127.0.0.1", "::1"):
        net.send_udp(net.udp_pair(address), 10, 500)


class Resident:
    """A process in a new namespace that stays there until told."""

    def __init__(self, lane):
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status, text, _ = ktap.run(net.enter, lane)
            os.write(write, text.encode() or b".")
            time.sleep(600 if status == 0 else 0)
            os._exit(0)
        os.close(write)
        ktap.equal("the namespace", os.read(read, 1000), b".")
        os.close(read)

    def end(self):
        """Ends the process, and the namespace with it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@ktap.case(limit=120)
def fifty_times():
    """Loaded and removed 50 times (12 on a slow kernel): idle, with lo taken over, under traffic, with `replace` off."""
    kernel.need_module("rlo")
    unload()
    net.set_up("lo")
    traffic, turns = None, int(50 * ktap.PART)
    for i in range(turns):
        if i == turns * 3 // 5:
            traffic = net.Traffic()
        kernel.insmod("rlo", "replace=%d" % (i % 2))
        env = net.init_net()
        ktap.equal("replace", kernel.read(net.REPLACE), "NY"[i % 2])
        ktap.equal("mode", kernel.read(env.lo + "/rlo/mode"), "takeover")
        ktap.equal("active", env.rlo("active"), 0)
        ktap.equal("users", kernel.refcnt("rlo"), 0)
        if i % 3:
            env.active(1)
            if not traffic:
                net.send_udp(net.udp_pair("127.0.0.1"), 3, 100)
                ktap.equal("rlo's packets", env.rlo("packets"), 3)
        kernel.rmmod("rlo")
        if not traffic:
            whole()
    ktap.check(traffic.alive(), "the traffic ended early")
    traffic.stop()
    whole()


@ktap.case()
def with_namespaces():
    """Loaded into a system with namespaces: all keep their lo, and can be taken over."""
    kernel.need_module("rlo")
    unload()
    os.unshare(os.CLONE_NEWNET)
    net.mount_sys()
    net.set_up("lo")
    one, two = net.tcp_pair("127.0.0.1")
    for _ in range(3):
        kernel.insmod("rlo")
        env = net.Env("takeover", net.SYS)
        ktap.equal("mode", kernel.read(env.lo + "/rlo/mode"), "takeover")
        ktap.equal("packets", env.rlo("packets"), 0)
        one.send(b"before")
        ktap.equal("TCP", two.recv(100), b"before")
        env.active(1)
        net.send_udp(net.udp_pair("::1"), 10, 100)
        ktap.equal("packets", env.rlo("packets"), 10)
        one.send(b"during")
        ktap.equal("TCP", two.recv(100), b"during")
        kernel.rmmod("rlo")
        one.send(b"after")
        ktap.equal("TCP", two.recv(100), b"after")
        ktap.check(not os.path.exists(env.lo + "/rlo"), "the directory is still there")


@ktap.case()
def refused_while_used():
    """While a replaced namespace lives rmmod is refused and changes nothing; afterwards it works."""
    kernel.need_module("rlo")
    unload()
    kernel.insmod("rlo")
    resident = Resident("replacement")
    ktap.equal("replaced namespaces", kernel.number(net.REPLACED), 1)
    for _ in range(3):
        ktap.fails("EAGAIN|EBUSY", "removing it", kernel.rmmod, "rlo")
    done = subprocess.run(["rmmod", "rlo"], capture_output=True, text=True, check=False)
    ktap.check(done.returncode and "in use" in done.stderr, "rmmod says: %r" % done.stderr)
    ktap.equal("packets of another namespace", net.in_lane("replacement", lambda env: (
        net.send_udp(net.udp_pair("127.0.0.1"), 5, 100), env.rlo("packets"))[1]), 5)
    resident.end()
    ktap.wait_for("no namespace is replaced", lambda: kernel.number(net.REPLACED) == 0)
    ktap.wait_for("nobody uses the module", lambda: kernel.refcnt("rlo") == 0)
    kernel.rmmod("rlo")
    whole()


@ktap.case()
def drains():
    """With `replace` off no more namespaces are replaced, and the module can go when the last has ended."""
    kernel.need_module("rlo")
    unload()
    kernel.insmod("rlo")
    residents = [Resident("replacement") for _ in range(2)]
    kernel.write(net.REPLACE, "N")
    newer = Resident("lo")
    ktap.equal("replaced namespaces", kernel.number(net.REPLACED), 2)
    for left, resident in ((1, residents[0]), (0, residents[1])):
        ktap.fails("EAGAIN|EBUSY", "removing it", kernel.rmmod, "rlo")
        resident.end()
        ktap.wait_for("%d namespaces are left" % left, lambda n=left: kernel.number(net.REPLACED) == n)
    ktap.wait_for("nobody uses the module", lambda: kernel.refcnt("rlo") == 0)
    kernel.rmmod("rlo")
    whole()
    newer.end()


@ktap.case()
def parameter():
    """`replace` takes the kernel's truth values, nothing else, and everybody can read it."""
    kernel.need_module("rlo")
    for text, want in (("N", "N"), ("1", "Y"), ("0", "N"), ("y", "Y"), ("off", "N"), ("on", "Y")):
        kernel.write(net.REPLACE, text)
        ktap.equal("after " + text, kernel.read(net.REPLACE), want)
    for text in ("2", "maybe", "-1", "\n"):
        ktap.fails("EINVAL", "writing %r" % text, kernel.write, net.REPLACE, text)
        ktap.equal("after %r" % text, kernel.read(net.REPLACE), "Y")
    ktap.equal("mode", os.stat(net.REPLACE).st_mode & 0o777, 0o644)
    done = subprocess.run(["modinfo", "-p", kernel.module_file("rlo")], capture_output=True, text=True, check=False)
    ktap.check("replace:" in done.stdout and "(bool)" in done.stdout, "modinfo says %r" % done.stdout)
    unload()
    ktap.fails("EINVAL", "loading with replace=2", kernel.insmod, "rlo", "replace=2")
    ktap.check(not kernel.loaded("rlo"), "it was loaded nevertheless")
    kernel.insmod("rlo", "replace=N")
    ktap.equal("loaded with replace=N", kernel.read(net.REPLACE), "N")
    kernel.write(net.REPLACE, "Y")


@ktap.case(limit=90)
def while_namespaces_come():
    """Loaded and removed while namespaces are made and ended: refused or done, never half."""
    kernel.need_module("rlo")
    unload()
    refused = removed = 0

    def one_life():
        os.unshare(os.CLONE_NEWNET)
        net.set_up("lo")
        net.send_udp(net.udp_pair("127.0.0.1"), 3, 100)

    def maker():
        ended = []
        signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
        while not ended:
            ktap.value_of(one_life)
    makers = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            status, text, _ = ktap.run(maker)
            if status:
                ktap.note(text)
            os._exit(status)
        makers.append(pid)
    try:
        for _ in range(5):
            kernel.insmod("rlo")
            end = time.monotonic() + 6 * ktap.SLOW
            kernel.write(net.REPLACE, "Y")
            time.sleep(0.1)
            while time.monotonic() < end:
                error = ktap.error_of(kernel.rmmod, "rlo")
                if not error:
                    removed += 1
                    break
                ktap.check(error in ("EAGAIN", "EBUSY"), "rmmod: " + error)
                refused += 1
                kernel.write(net.REPLACE, "N")
                time.sleep(0.02)
            else:
                raise ktap.Failure("with `replace` off it did not drain in time")
    finally:
        for pid in makers:
            os.kill(pid, signal.SIGTERM)
        results = [os.waitpid(pid, 0)[1] for pid in makers]
    ktap.equal("makers of namespaces", results, [0, 0])
    ktap.check(removed == 5, "removed %d times, refused %d times" % (removed, refused))


@ktap.finally_
def restore():
    """Loaded, as before."""
    if not kernel.loaded("rlo"):
        kernel.insmod("rlo")
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(net.main())
