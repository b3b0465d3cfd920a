#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Native XDP on rlo's NAPI delivery: frames from elsewhere, and what a program changes."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import socket
import threading

import bpf
import kernel
import ktap
import net
import tools
from queues import counters, fresh, setting
from xsk import udp_frame


@ktap.case()
def redirected_here():
    """Frames that a program on another device redirects to lo arrive by its queues; not while they are off."""
    env = fresh()
    tools.need("VETH")
    tools.ip_batch("link add v0 type veth peer name v1", "link set v0 up", "link set v1 up")
    tools.run("sysctl -qw net.ipv4.conf.lo.route_localnet=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.lo.rp_filter=0".split())
    target = bpf.Map(bpf.DEVMAP, entries=1)
    target.set(0, socket.if_nametoindex("lo"))
    bpf.need_xdp("v1", bpf.Program(bpf.XDP, [bpf.redirect_map(target, 0), bpf.exit_()]).fd, bpf.DRV_MODE)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 4000))
    receiver.settimeout(2)
    payload = b"from elsewhere"
    frame = udp_frame(payload, 4000)

    def send(count):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind(("v0", 0))
            for _ in range(count):
                sock.send(frame)
    before = counters()["packets"]
    send(10)
    ktap.equal("datagrams", [receiver.recv(100) for _ in range(10)], [payload] * 10)
    ktap.check(counters()["packets"] - before >= 10, "they did not come by the queues")
    env.deliver("backlog")
    send(10)
    receiver.settimeout(0.5)
    try:
        receiver.recv(100)
        raise ktap.Failure("a frame arrived that lo does not take")
    except TimeoutError:
        pass
    env.deliver("napi")
    send(3)
    receiver.settimeout(5 * ktap.SLOW)
    ktap.equal("datagrams again", [receiver.recv(100) for _ in range(3)], [payload] * 3)


@ktap.case()
def xdp_and_settings():
    """A program keeps the queues: they cannot be switched off, and TCP sends no large packets meanwhile."""
    env = fresh()
    counter = bpf.Counters(1)
    bpf.need_xdp("lo", bpf.Program(bpf.XDP, [counter.add(0), bpf.verdict(bpf.XDP_PASS), bpf.exit_()]).fd, bpf.DRV_MODE)
    ktap.fails("EBUSY", "switching off with a program", kernel.write, env.lo + "/rlo/delivery", "backlog")
    ktap.check("tcp-segmentation-offload: off" in setting("-k", "lo"), "TCP may send large packets to a program")
    one, two = net.tcp_pair("127.0.0.1")
    data = os.urandom(300000)
    one.settimeout(20 * ktap.SLOW)
    got = []
    reader = threading.Thread(target=lambda: got.append(net.read_exactly(two, len(data))))
    reader.start()
    one.sendall(data)
    reader.join()
    ktap.check(got == [data], "TCP through a program")
    ktap.check(counter.read()[0] > 5, "the program saw %r" % counter.read())
    bpf.need_xdp("lo", -1, bpf.DRV_MODE)
    ktap.check("tcp-segmentation-offload: on" in setting("-k", "lo"), "TCP sends no large packets afterwards")
    seen = counter.read()
    net.send_udp(net.udp_pair("::1"), 20, 100)
    ktap.equal("the program afterwards", counter.read(), seen)
    env.deliver("backlog")


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
