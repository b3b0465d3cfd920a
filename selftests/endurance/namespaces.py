#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Namespaces made and ended by the hundred under traffic: nothing is left, no more memory than with lo."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import json
import random
import select
import signal
import socket
import subprocess
import time

import endure
import flows
import kernel
import ktap
import net

# Together 1,000 for each lane.
COUNTS = {"parallel": endure.count(600, 8), "unshare": endure.count(200, 2), "ip_netns": endure.count(150, 2),
          "in_flight": endure.count(50, 2)}
MEMORY, POINTS = 400, 4
WORKERS = 4
START = 60 * ktap.SLOW
KEPT = "/tmp/rnet-endurance"


def send_for_ever(lane, write):
    """Traffic in the present namespace until killed; says on a pipe when it flows."""
    try:
        if lane == "takeover":
            net.mount_sys()
            net.Env(lane, net.SYS).active(1)
        net.set_up("lo")
        datagrams = [net.udp_pair(a) for a in ("127.0.0.1", "::1")]
        streams = [flows.pair(kind, "127.0.0.1") for kind in ("tcp", "sctp") if kind == "tcp" or os.path.exists("/proc/net/sctp")]
        for sock in sum(streams, ()):
            sock.setblocking(False)
        rounds = 0
        while True:
            for pair in datagrams:
                for i in range(8):
                    pair[0].send(net.datagram(i, 1000))
                for i in range(8):
                    net.check_datagram(pair[1].recv(2000), i, 1000)
            for one, two in streams:
                try:
                    one.send(bytes(30000))
                except BlockingIOError:
                    two.recv(1 << 20)
            rounds += 1
            if rounds == 2:
                os.write(write, b".")
    except BaseException as error:  # pylint: disable=broad-except
        os.write(write, repr(error).encode())
    os._exit(1)


def started(read, what):
    """Fails unless traffic flows."""
    ktap.check(select.select([read], [], [], START)[0], "%s hung for %d s before traffic flowed" % (what, START))
    ktap.equal("traffic in " + what, os.read(read, 1000), b".")
    time.sleep(random.random() * 0.02)


def kill(pid):
    """Ends a process in the middle of what it does."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def unshare_once(lane, number):
    """A namespace made by unshare(2), whose only process is killed while packets are under way."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.unshare(os.CLONE_NEWNET)
        send_for_ever(lane, write)
    os.close(write)
    try:
        started(read, "namespace %d" % number)
    finally:
        os.close(read)
        kill(pid)


def ip_netns_once(lane, number):
    """One made and deleted by `ip netns`, deleted before or after its process is killed."""
    name = "rnet-%d" % number
    net.ip("netns add " + name)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with open("/run/netns/" + name, encoding="ascii") as file:
            os.setns(file.fileno(), os.CLONE_NEWNET)
        send_for_ever(lane, write)
    os.close(write)
    try:
        started(read, name)
        if number % 2:
            net.ip("netns del " + name)
        kill(pid)
        if not number % 2:
            net.ip("netns del " + name)
    finally:
        os.close(read)


def in_flight_once(lane, number):
    """One that ends while packets wait: in a delaying queue on lo, and in the backlog of the other CPU."""
    pid = os.fork()
    if pid == 0:
        def body():
            os.unshare(os.CLONE_NEWNET)
            net.mount_sys()
            env = net.Env(lane, net.SYS)
            net.set_up("lo")
            if lane == "takeover":
                env.active(1)
            sender, _receiver = net.udp_pair("127.0.0.1")
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            if number % 2:
                done = subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "400ms"],
                                      capture_output=True, text=True, check=False)
                ktap.equal("tc qdisc add", done.stderr, "")
            else:
                kernel.write(env.lo + "/queues/rx-0/rps_cpus", "%x" % (1 << net.cpus()[-1]))
                net.pin(net.cpus()[0])
            before = kernel.number(env.lo + "/statistics/tx_packets")
            for i in range(100):
                sender.send(net.datagram(i, 500))
                raw.sendto(bytes(60), ("lo", 0x88B5))
            passed = kernel.number(env.lo + "/statistics/tx_packets") - before
            ktap.check(passed < 200 if number % 2 else passed > 0, "%d packets passed" % passed)
        status, text, _ = ktap.run(body)
        if status:
            ktap.note(text)
        os._exit(status)
    ktap.equal("namespace %d" % number, os.waitpid(pid, 0)[1], 0)


WAYS = {"parallel": unshare_once, "unshare": unshare_once, "ip_netns": ip_netns_once, "in_flight": in_flight_once}


def many(way, lane, count, workers=1, shown=None):
    """That many, by some processes; each says over a pipe what it has done, so that one that hangs is known."""
    if lane != "unloaded":
        kernel.write(net.REPLACE, "Y" if lane == "replacement" else "N")
    progress = endure.Progress(shown or "%s, %s" % (way, lane), count)
    pipes, pids = {}, []
    for worker in range(workers):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            def body(worker=worker, write=write):
                for number in range(worker, count, workers):
                    WAYS[way](lane, number)
                    os.write(write, b".")
            status, text, _ = ktap.run(body)
            if status:
                ktap.note(text)
            os._exit(status)
        os.close(write)
        pipes[read] = worker
        pids.append(pid)
    done = 0
    while pipes:
        ready = select.select(list(pipes), [], [], 2 * START)[0]
        ktap.check(ready, "%s: workers %s hung after %d of %d namespaces" % (way, sorted(pipes.values()), done, count))
        for read in ready:
            part = os.read(read, 1000)
            done += len(part)
            if not part:
                del pipes[read]
                os.close(read)
        progress.at(done)
    ktap.equal("workers", [os.waitpid(pid, 0)[1] for pid in pids], [0] * workers)
    ktap.equal("namespaces", done, count)


def begin():
    """What has to be the same at the end."""
    kernel.need_module("rlo")
    flows.have_sctp()
    subprocess.run(["modprobe", "sch_netem"], capture_output=True, check=False)
    endure.report_waits()
    log = kernel.Log()
    before = endure.quiet()
    return log, before, endure.live_namespaces()


def same_as(state):
    """Fails if a namespace, a user of the module or a line in the log is left."""
    log, before, namespaces = state
    endure.nothing_left(before)
    ktap.wait_for("the kernel keeps %d namespaces" % namespaces, lambda: endure.live_namespaces() <= namespaces, 30)
    ktap.equal("kernel's log", log.lines(endure.COMPLAINTS), [])


@ktap.case(net.LANES, limit=endure.limit(1800))
def ended(lane):
    """Made in several ways, ended with TCP, UDP and SCTP (in_flight: with packets in queues) under way."""
    state = begin()
    for way, count in COUNTS.items():
        many(way, lane, count, WORKERS if way == "parallel" else 1)
    same_as(state)
    ktap.note("%d namespaces: %r" % (sum(COUNTS.values()), COUNTS))


@ktap.case(("unloaded",) + net.LANES if endure.LONG else (), limit=endure.limit(1800))
def memory(lane):
    """What the kernel uses does not grow more for each namespace than it does without rlo."""
    state = begin()
    if lane == "unloaded":
        kernel.rmmod("rlo")
    many("parallel", lane, 40, WORKERS)
    endure.drained()
    growth, part = endure.Growth(), MEMORY // POINTS
    growth.point(0)
    for i in range(POINTS):
        many("parallel", lane, part, WORKERS, "memory, %s, part %d of %d" % (lane, i + 1, POINTS))
        endure.drained()
        growth.point(part * (i + 1))
    kernel.need_module("rlo")
    same_as(state)
    summary = growth.summary()
    os.makedirs(KEPT, exist_ok=True)
    kept_file = "%s/%s.json" % (KEPT, "%s")
    with open(kept_file % lane, "w", encoding="ascii") as file:
        json.dump(summary, file)
    if not os.path.exists(kept_file % "unloaded"):
        raise ktap.Skip("the reference has not run: memory.unloaded")
    endure.compare_growth(lane, json.loads(kernel.read(kept_file % "unloaded")), summary)


@ktap.finally_
def restore():
    """As before."""
    kernel.need_module("rlo")
    endure.report_waits(False)
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(net.main())
