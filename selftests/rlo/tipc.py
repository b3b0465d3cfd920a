#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A protocol (TIPC) that holds each namespace's lo: such a namespace keeps it."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import shutil
import subprocess
import time

import kernel
import ktap
import net


def tipc(load):
    """Loads or removes TIPC."""
    if not shutil.which("modprobe"):
        raise ktap.Skip("no modprobe")
    done = subprocess.run(["modprobe"] + ([] if load else ["-r"]) + ["tipc"], capture_output=True, text=True, check=False)
    if load and done.returncode:
        raise ktap.Skip("no TIPC in this kernel")
    return done.returncode == 0


def unload_rlo():
    """Removes rlo if it is there."""
    if kernel.loaded("rlo"):
        ktap.wait_for("nobody uses rlo", lambda: kernel.refcnt("rlo") == 0, 20)
        kernel.rmmod("rlo")


def look():
    """A new namespace with `replace` on: its mode, and whether lo works."""
    os.unshare(os.CLONE_NEWNET)
    net.mount_sys()
    net.set_up("lo")
    env = net.Env("?", net.SYS)
    for address in ("127.0.0.1", "::1"):
        net.send_udp(net.udp_pair(address), 20, 1000)
    mode, packets = kernel.read(env.lo + "/rlo/mode"), env.rlo("packets")
    if mode == "takeover":
        env.active(1)
        net.send_udp(net.udp_pair("127.0.0.1"), 20, 1000)
        ktap.equal("rlo's packets, taken over", env.rlo("packets") - packets, 20)
    if packets and mode == "takeover":
        raise ktap.Failure("rlo counted before it was active")
    return mode


@ktap.case()
def tipc_first():
    """TIPC, then rlo: new namespaces keep the kernel's lo, each says so in one line, and all of it works."""
    unload_rlo()
    tipc(True)
    kernel.insmod("rlo")
    log = kernel.Log()
    for _ in range(2):
        ktap.equal("mode", ktap.value_of(look), "takeover")
        lines = log.lines("rlo")
        ktap.equal("lines of rlo in the log (%s)" % lines, len(lines), 1)
        ktap.check("lo" in lines[0] and "keep" in lines[0], "the line says what happens: " + lines[0])
    ktap.equal("replaced namespaces", kernel.number(net.REPLACED), 0)
    kernel.rmmod("rlo")
    ktap.check(tipc(False), "TIPC cannot be removed")
    time.sleep(0.2)
    ktap.equal("complaints", log.lines("waiting for|WARNING|BUG"), [])


@ktap.case()
def rlo_first():
    """rlo, then TIPC: what is replaced already stays so and works; TIPC comes and goes."""
    kernel.need_module("rlo")
    kernel.write(net.REPLACE, "Y")
    log = kernel.Log()

    def body(env):
        tipc(True)
        for address in ("127.0.0.1", "::1"):
            net.send_udp(net.udp_pair(address), 20, 1000)
        ktap.equal("rlo's packets", env.rlo("accepted") >= 40, True)
        subprocess.run(["tipc", "node", "set", "netid", "4711"], capture_output=True, check=False)
        return ktap.value_of(look)
    mode = net.in_lane("replacement", body)
    ktap.check(mode in ("takeover", "replacement"), "mode of the next namespace: %s" % mode)
    ktap.wait_for("no namespace is replaced", lambda: kernel.number(net.REPLACED) == 0)
    ktap.check(tipc(False), "TIPC cannot be removed")
    ktap.equal("mode without TIPC", ktap.value_of(look), "replacement")
    ktap.equal("complaints", log.lines("waiting for|WARNING|BUG"), [])


@ktap.finally_
def restore():
    """As before."""
    tipc(False)
    if not kernel.loaded("rlo"):
        kernel.insmod("rlo")
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(net.main())
