#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Traffic for driver.py, in the VM: one kind at a time, on one lo at a time.

Says in /out/phase what it is about to send and waits for /out/go-PHASE; sends
until there is /out/done-PHASE.
"""

import os
import pathlib
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
import kernel  # pylint: disable=wrong-import-position
import net  # pylint: disable=wrong-import-position

OUT = pathlib.Path("/out")
SIZE = 64


def udp(address, done):
    """One datagram after the other, each received before the next."""
    sender, receiver = net.udp_pair(address)
    while not done():
        for _ in range(8):
            sender.send(bytes(SIZE))
            receiver.recv(SIZE)


def tcp(address, done):
    """Bytes there and back: every packet carries data and the other's acknowledgement."""
    one, other = net.tcp_pair(address)
    for sock in (one, other):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while not done():
        for _ in range(8):
            one.send(bytes(SIZE))
            other.recv(SIZE)
            other.send(bytes(SIZE))
            one.recv(SIZE)


def pktgen(_, done):
    """Packets of the kernel's generator, which belong to no socket; as in rows.py. The generator calls the
    driver itself: a datagram that is too short to be counted shows which function that is."""
    sender, _ = net.udp_pair("127.0.0.1")

    def tell(file, *lines):
        for line in lines:
            kernel.write("/proc/net/pktgen/" + file, line)
    tell("kpktgend_0", "rem_device_all", "add_device lo")
    tell("lo", "count 8", "pkt_size %d" % (2 * SIZE), "delay 0", "dst_mac 02:00:00:00:00:01", "src_mac 02:00:00:00:00:02",
         "dst 127.0.0.1", "src_min 127.0.0.1", "src_max 127.0.0.1", "udp_dst_min 9", "udp_dst_max 9")
    while not done():
        sender.send(b"")
        tell("pgctrl", "start")
    tell("kpktgend_0", "rem_device_all")


KINDS = {"udp4": (udp, "127.0.0.1"), "udp6": (udp, "::1"), "tcp4": (tcp, "127.0.0.1"), "tcp6": (tcp, "::1"),
         "pktgen": (pktgen, None)}


def phases(lane):
    """All kinds of traffic, in a namespace of this lane."""
    net.enter(lane)
    for kind, (send, address) in KINDS.items():
        # Neighbours and the first use of a socket type are not what a packet costs.
        count = iter(range(4))
        send(address, lambda count=count: next(count, None) is None)
        name = "%s-%s" % (lane, kind)
        (OUT / "phase.new").write_text(name)
        (OUT / "phase.new").rename(OUT / "phase")
        while not (OUT / ("go-" + name)).exists():
            time.sleep(0.05)
        send(address, (OUT / ("done-" + name)).exists)


def main():
    """Every lane, in a process of its own."""
    kernel.need_module("rlo")
    subprocess.run(["modprobe", "pktgen"], check=True)
    with open("/proc/kallsyms", encoding="ascii") as symbols, open(OUT / "kallsyms", "w", encoding="ascii") as out:
        out.writelines(line for line in symbols if line.split()[1] in "tTwW")
    (OUT / "btf").write_bytes(pathlib.Path("/sys/kernel/btf/vmlinux").read_bytes())
    for lane in net.LANES:
        pid = os.fork()
        if pid == 0:
            phases(lane)
            os._exit(0)
        if os.waitpid(pid, 0)[1]:
            sys.exit("driver_guest: %s failed" % lane)
    net.restore_defaults()


if __name__ == "__main__":
    main()
