#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Namespaces that come and go under traffic, and what they must not leave behind."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import random
import signal
import socket
import struct
import time

import endure
import kernel
import ktap
import net

WORKERS = 4


def short_life(lane):
    """A namespace full of traffic, and killed in the middle of it."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)
            os.unshare(os.CLONE_NEWNET)
            if lane == "takeover":
                net.mount_sys()
                net.Env(lane, net.SYS).active(1)
            net.set_up("lo")
            pairs = [net.udp_pair(a) for a in ("127.0.0.1", "::1")]
            one, two = net.tcp_pair("127.0.0.1")
            for sock in (one, two):
                sock.setblocking(False)
            sent = 0
            while True:
                for pair in pairs:
                    for i in range(8):
                        pair[0].send(net.datagram(i, 1000))
                    for i in range(8):
                        net.check_datagram(pair[1].recv(2000), i, 1000)
                try:
                    one.send(bytes(50000))
                except BlockingIOError:
                    two.recv(1 << 20)
                sent += 1
                if sent == 2:
                    os.write(write, b".")
        except BaseException as error:  # pylint: disable=broad-except
            os.write(write, repr(error).encode())
        os._exit(1)
    os.close(write)
    said = os.read(read, 1000)
    os.close(read)
    time.sleep(random.random() * 0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    ktap.equal("traffic in the namespace", said, b".")


def churn(lane, count):
    """Several workers, each making one namespace after the other."""
    kernel.write(net.REPLACE, "Y" if lane == "replacement" else "N")
    children = []
    for _ in range(WORKERS):
        pid = os.fork()
        if pid == 0:
            status, text, _ = ktap.run(lambda: [short_life(lane) for _ in range(count // WORKERS)])
            if status:
                ktap.note(text)
            os._exit(status)
        children.append(pid)
    return [os.waitpid(pid, 0)[1] for pid in children]


@ktap.case(net.LANES, limit=150)
def under_traffic(lane):
    """100 namespaces (40 but for replacement; fewer on a slow kernel), four at a time, killed in the middle of TCP and UDP."""
    kernel.need_module("rlo")
    endure.report_waits()
    log = kernel.Log()
    before = endure.quiet()
    ktap.equal("workers", churn(lane, int((100 if lane == "replacement" else 40) * ktap.PART)), [0] * WORKERS)
    endure.nothing_left(before)
    ktap.equal("kernel's log", log.lines(r"waiting for|rlo"), [])


@ktap.case(net.LANES)
def between_namespaces(lane):
    """Namespaces joined by a veth end while packets cross between them and their own lo."""
    kernel.need_module("rlo")
    endure.report_waits()
    log = kernel.Log()
    before = endure.quiet()

    def body(env):
        net.ip("link add v0 type veth peer name v1")
        net.ip("link add d0 type dummy")
        net.ip("addr add 192.0.2.1/24 dev v0")
        net.ip("addr add 2001:db8::1/64 dev v0 nodad")
        other = endure.another_namespace()
        net.ip("link set v1 netns %d" % other)
        net.ip("link set v0 up")
        net.ip("link set d0 up")
        # Cached routes to own addresses on other devices hold lo.
        for address in ("192.0.2.1", "2001:db8::1", "127.0.0.1"):
            net.send_udp(net.udp_pair(address), 20, 200)
        keep = [net.tcp_pair(a) for a in ("192.0.2.1", "2001:db8::1")]
        for one, two in keep:
            one.send(bytes(5000))
            for sock in (one, two):
                # Nobody could answer them any more: they would keep the namespace for a minute.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        net.ip("link del d0")
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)
        return env.lane
    for _ in range(3):
        net.in_lane(lane, body)
    endure.nothing_left(before)
    ktap.equal("kernel's log", log.lines(r"waiting for|rlo"), [])


@ktap.case()
def while_switching():
    """Namespaces are made by many while `replace` is switched: each is whole, in one mode or the other."""
    kernel.need_module("rlo")
    endure.report_waits()
    log = kernel.Log()
    before = endure.quiet()

    def worker():
        modes = set()
        for _ in range(8):
            def body():
                os.unshare(os.CLONE_NEWNET)
                net.mount_sys()
                net.set_up("lo")
                net.send_udp(net.udp_pair("127.0.0.1"), 5, 100)
                net.send_udp(net.udp_pair("::1"), 5, 100)
                mode = kernel.read(net.SYS + "/class/net/lo/rlo/mode")
                packets = kernel.number(net.SYS + "/class/net/lo/rlo/packets")
                ktap.equal("packets in mode " + mode, packets >= 10, mode == "replacement")
                return mode
            modes.add(ktap.value_of(body))
        return sorted(modes)

    switch = os.fork()
    if switch == 0:
        while True:
            for value in "NY":
                kernel.write(net.REPLACE, value)
                time.sleep(0.03)
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            status, text, value = ktap.run(worker)
            if status:
                ktap.note("worker: %s, modes %s" % (text, value))
            os._exit(status)
        children.append(pid)
    results = [os.waitpid(pid, 0)[1] for pid in children]
    os.kill(switch, signal.SIGKILL)
    os.waitpid(switch, 0)
    ktap.equal("workers", results, [0] * 4)
    endure.nothing_left(before)
    ktap.equal("kernel's log", log.lines(r"waiting for|rlo"), [])


@ktap.case(("replacement",))
def counted(lane):
    """replaced_namespaces and the module's users go up and down with the namespaces."""
    before = endure.quiet()
    stop, pids = socket.socketpair(), []
    for i in range(5):
        pid = os.fork()
        if pid == 0:
            net.enter(lane)
            stop[1].send(b".")
            time.sleep(600)
            os._exit(0)
        pids.append(pid)
        stop[0].recv(1)
        ktap.equal("replaced namespaces", kernel.number(net.REPLACED), before[0] + i + 1)
        ktap.check(kernel.refcnt("rlo") >= before[1] + 1, "nobody holds the module")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    endure.nothing_left(before)


@ktap.finally_
def restore():
    """As before."""
    endure.report_waits(False)
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(net.main())
