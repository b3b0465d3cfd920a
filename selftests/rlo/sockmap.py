#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sockets whose data a BPF program hands to another socket (sockmap), over lo: the bytes stay what they were."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import fcntl
import hashlib
import struct

import bpf
import ktap
import net

V4_V6 = ("127.0.0.1", "::1")
MSG_APPLY_BYTES, MSG_CORK_BYTES, F_INGRESS = 61, 62, 1


def sockmap(*sockets):
    """A map of these."""
    try:
        a_map = bpf.Map(bpf.SOCKMAP, 4, 4, 8)
    except OSError as error:
        raise ktap.Skip("no CONFIG_BPF_SYSCALL with sockmap: %s" % error) from error
    for number, sock in enumerate(sockets):
        a_map.set(number, sock.fileno())
    return a_map


def through(source, sink, data, pieces=None):
    """Sends in a child process; fails unless the same comes out of the other socket."""
    pid = os.fork()
    if pid == 0:
        try:
            source.settimeout(None)
            for at in range(0, len(data), pieces or len(data)):
                source.sendall(data[at:at + (pieces or len(data))])
            os._exit(0)
        finally:
            os._exit(1)
    got = net.read_exactly(sink, len(data))
    ktap.equal("status of the sender", os.waitpid(pid, 0)[1], 0)
    ktap.equal("bytes", len(got), len(data))
    ktap.equal("checksum", hashlib.sha256(got).hexdigest(), hashlib.sha256(data).hexdigest())


def quiet(*sockets):
    """Fails if any of them has data."""
    for sock in sockets:
        sock.setblocking(False)
        ktap.fails("EAGAIN", "receiving where nothing was sent to", sock.recv, 1)
        sock.settimeout(20)


def switched(env, function):
    """Before, while and after the transmit path is switched, where it can be."""
    function()
    if env.lane != "replacement":
        for value in (not env.is_rlo, env.is_rlo):
            env.active(value)
            function()


def moved(env, before, least):
    """Fails unless rlo saw that many bytes, or none where it is not in the way."""
    grown = env.rlo("bytes") - before
    ktap.check(grown >= least if env.is_rlo else grown == 0, "rlo counted %d bytes, of %d" % (grown, least))


@ktap.case(net.LANES)
def message_out(lane):
    """sk_msg: what one socket sends leaves through another, over lo."""
    env = net.enter(lane)
    for address in V4_V6:
        one, two = net.tcp_pair(address)
        three, four = net.tcp_pair(address)
        a_map = sockmap(one, three)
        verdict = bpf.Program(bpf.SK_MSG, [
            bpf.map_ref(bpf.R2, a_map), bpf.mov(bpf.R3, 1), bpf.mov(bpf.R4, 0), bpf.call(bpf.MSG_REDIRECT_MAP), bpf.exit_()])
        verdict.attach(a_map, bpf.AT_SK_MSG_VERDICT)
        a_map.set(0, one.fileno())
        data = os.urandom(150000)
        before = env.rlo("bytes")
        through(one, four, data)
        moved(env, before, len(data))
        switched(env, lambda o=one, f=four: (through(o, f, data[:50000], 777), through(o, f, data[:1])))
        # The other direction has no program.
        through(two, one, data[:5000])
        quiet(one, two, three, four)
        verdict.detach(a_map, bpf.AT_SK_MSG_VERDICT)


@ktap.case(net.LANES)
def message_in(lane):
    """sk_msg with F_INGRESS: what one socket sends is at once there to be received on another, past lo."""
    env = net.enter(lane)
    for address in V4_V6:
        one, two = net.tcp_pair(address)
        a_map = sockmap(one, two)
        verdict = bpf.Program(bpf.SK_MSG, [
            bpf.map_ref(bpf.R2, a_map), bpf.mov(bpf.R3, 1), bpf.mov(bpf.R4, F_INGRESS), bpf.call(bpf.MSG_REDIRECT_MAP),
            bpf.exit_()])
        verdict.attach(a_map, bpf.AT_SK_MSG_VERDICT)
        for sock, key in ((one, 0), (two, 1)):
            a_map.set(key, sock.fileno())
        data = os.urandom(100000)
        before = net.flat_stats()["tx.bytes"]
        through(one, two, data)
        grown = net.flat_stats()["tx.bytes"] - before
        ktap.check(grown < len(data) // 2, "%d bytes went over lo" % grown)
        switched(env, lambda o=one, t=two: through(o, t, data[:30000], 5000))
        quiet(one, two)


@ktap.case(net.LANES)
def message_decisions(lane):
    """sk_msg: dropped messages are refused and never come; cork waits for enough bytes; apply counts them."""
    net.enter(lane)
    for address in V4_V6:
        one, two = net.tcp_pair(address)
        a_map = sockmap(one)
        drop = bpf.Program(bpf.SK_MSG, [bpf.mov(bpf.R0, bpf.SK_DROP), bpf.exit_()])
        drop.attach(a_map, bpf.AT_SK_MSG_VERDICT)
        a_map.set(0, one.fileno())
        ktap.fails("EACCES", "sending what is dropped", one.send, b"never")
        quiet(two)
        # Programs are found again when a socket is put into the map.
        one, two = net.tcp_pair(address)
        a_map = sockmap()
        calls = bpf.Counters(1)
        cork = bpf.Program(bpf.SK_MSG, [
            bpf.mov(bpf.R6, bpf.R1), calls.add(0), bpf.mov(bpf.R1, bpf.R6), bpf.mov(bpf.R2, 3000), bpf.call(MSG_CORK_BYTES),
            bpf.mov(bpf.R0, bpf.SK_PASS), bpf.exit_()])
        cork.attach(a_map, bpf.AT_SK_MSG_VERDICT)
        a_map.set(0, one.fileno())
        data = os.urandom(3000)
        one.sendall(data[:1000])
        one.sendall(data[1000:2000])
        quiet(two)
        one.sendall(data[2000:])
        ktap.check(net.read_exactly(two, 3000) == data, "other bytes came out of the cork")
        one, two = net.tcp_pair(address)
        a_map, calls = sockmap(), bpf.Counters(1)
        apply = bpf.Program(bpf.SK_MSG, [
            bpf.mov(bpf.R6, bpf.R1), calls.add(0), bpf.mov(bpf.R1, bpf.R6), bpf.mov(bpf.R2, 4000), bpf.call(MSG_APPLY_BYTES),
            bpf.mov(bpf.R0, bpf.SK_PASS), bpf.exit_()])
        apply.attach(a_map, bpf.AT_SK_MSG_VERDICT)
        a_map.set(0, one.fileno())
        for at in range(0, 8000, 1000):
            one.sendall(data[:1000])
            ktap.check(net.read_exactly(two, 1000) == data[:1000], "other bytes came")
            ktap.equal("verdicts for %d bytes" % (at + 1000), calls.read(), [at // 4000 + 1])


@ktap.case(net.LANES)
def stream_verdict(lane):
    """sk_skb: what one socket receives is sent on by another (a proxy), or dropped."""
    env = net.enter(lane)
    for address in V4_V6:
        one, two = net.tcp_pair(address)
        three, four = net.tcp_pair(address)
        a_map = sockmap()
        verdict = bpf.Program(bpf.SK_SKB, [
            bpf.map_ref(bpf.R2, a_map), bpf.mov(bpf.R3, 1), bpf.mov(bpf.R4, 0), bpf.call(bpf.SK_REDIRECT_MAP), bpf.exit_()])
        verdict.attach(a_map, bpf.AT_SK_SKB_VERDICT)
        for sock, key in ((two, 0), (three, 1)):
            a_map.set(key, sock.fileno())
        data = os.urandom(150000)
        before = env.rlo("bytes")
        # one -> lo -> two, which hands it to three -> lo -> four.
        through(one, four, data)
        moved(env, before, 2 * len(data))
        switched(env, lambda o=one, f=four: (through(o, f, data[:50000], 999), through(o, f, data[:1])))
        quiet(one, two, three, four)
        a_map.remove(0)
        through(one, two, data[:10000])
        drop_map = sockmap()
        drop = bpf.Program(bpf.SK_SKB, [bpf.mov(bpf.R0, bpf.SK_DROP), bpf.exit_()])
        drop.attach(drop_map, bpf.AT_SK_SKB_VERDICT)
        drop_map.set(0, four.fileno())
        three.send(b"never")
        ktap.wait_for("everything was acknowledged", lambda t=three: unsent(t) == 0)
        quiet(four)


def unsent(sock):
    """Bytes that the other end has not acknowledged: SIOCOUTQ."""
    return struct.unpack("i", fcntl.ioctl(sock, 0x5411, bytes(4)))[0]


@ktap.case(net.LANES)
def datagrams(lane):
    """sk_skb: what one UDP socket receives is there on another; each datagram once, whole, in order.

    One at a time: a socket that gets several from the program hands them out as one piece.
    """
    env = net.enter(lane)
    for address in V4_V6:
        sender, first = net.udp_pair(address)
        other, second = net.udp_pair(address)
        # Only to a connected socket.
        second.connect(other.getsockname())
        a_map = sockmap()
        verdict = bpf.Program(bpf.SK_SKB, [
            bpf.map_ref(bpf.R2, a_map), bpf.mov(bpf.R3, 1), bpf.mov(bpf.R4, F_INGRESS), bpf.call(bpf.SK_REDIRECT_MAP),
            bpf.exit_()])
        verdict.attach(a_map, bpf.AT_SK_SKB_VERDICT)
        for sock, key in ((first, 0), (second, 1)):
            a_map.set(key, sock.fileno())
        switched(env, lambda s=sender, r=second: net.send_udp((s, r), 10, 1200, window=1))
        quiet(first, second)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
