#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""epoll_wait() that polls the queues of rlo's NAPI delivery: its own settings, the sysctl, suspended interrupts."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import contextlib
import fcntl
import re
import select
import socket
import struct
import time

import kernel
import ktap
import net
import netlink
from queues import counters, fresh, setting

# EPIOCSPARAMS, EPIOCGPARAMS: microseconds, budget, whether to prefer it
SET_PARAMS, GET_PARAMS, PARAMS = 0x40088a01, 0x80088a02, "IHBx"
SO_INCOMING_NAPI_ID, SO_BUSY_POLL, SO_PREFER_BUSY_POLL, SO_BUSY_POLL_BUDGET = 56, 46, 69, 70
# <linux/netdev.h>
NAPI_GET, NAPI_SET = 11, 14
NAPI_IFINDEX, NAPI_ID, DEFER_HARD_IRQS, GRO_FLUSH_TIMEOUT, IRQ_SUSPEND_TIMEOUT = 1, 2, 5, 6, 7
SYSCTL = "/proc/sys/net/core/busy_poll"
TRACING = "/sys/kernel/tracing"
# What softirqs poll with, what busy polling does unless told otherwise, and what is asked for here.
WEIGHT, USUAL, MINE = 64, 8, 7


class Polls:
    """What the tracepoint napi:napi_poll has seen in this task: [(work, budget)]."""

    def __init__(self):
        if not os.path.exists(TRACING + "/instances"):
            try:
                kernel.mount("tracefs", TRACING, "tracefs")
            except OSError as error:
                raise ktap.Skip("no tracefs: %s" % error) from error
        self.path = "%s/instances/rnet-%d" % (TRACING, os.getpid())
        os.mkdir(self.path)
        self.event = self.path + "/events/napi/napi_poll/"
        kernel.write(self.event + "filter", "common_pid == %d" % os.getpid())
        kernel.write(self.event + "enable", "1")

    def take(self):
        """Since the last call."""
        found = re.findall(r"for device lo work (\d+) budget (\d+)", kernel.read(self.path + "/trace"))
        with open(self.path + "/trace", "w", encoding="ascii"):
            pass
        return [(int(work), int(budget)) for work, budget in found]

    def close(self):
        """Nothing is left."""
        kernel.write(self.event + "enable", "0")
        os.rmdir(self.path)


@contextlib.contextmanager
def polls():
    """Polls, for a while."""
    found = Polls()
    try:
        yield found
    finally:
        found.close()


@contextlib.contextmanager
def sysctl(value):
    """net.core.busy_poll, which is one for the whole machine, and to be seen in the first namespace only."""
    def exchange(text):
        with open("/proc/1/ns/net", encoding="ascii") as first:
            os.setns(first.fileno(), os.CLONE_NEWNET)
        before = kernel.read(SYSCTL)
        kernel.write(SYSCTL, text)
        return before
    before = ktap.value_of(exchange, str(value))
    try:
        yield
    finally:
        ktap.value_of(exchange, before)


def begin(how="napi"):
    """A namespace; this process, which receives, and who sends are on two CPUs."""
    if len(net.cpus()) < 2:
        raise ktap.Skip("one CPU")
    env = fresh(how)
    net.pin(1)
    return env


def params(epoll, usecs=0, budget=0, prefer=0):
    """Sets an epoll's own parameters, which can be read back."""
    try:
        fcntl.ioctl(epoll.fileno(), SET_PARAMS, struct.pack(PARAMS, usecs, budget, prefer))
    except OSError as error:
        if error.errno == 25:
            raise ktap.Skip("this kernel's epoll has no parameters") from error
        raise
    got = struct.unpack(PARAMS, fcntl.ioctl(epoll.fileno(), GET_PARAMS, bytes(8)))
    ktap.equal("parameters of epoll", got, (usecs, budget, prefer))


def sender(function):
    """Runs it in a process on the other CPU."""
    pid = os.fork()
    if pid == 0:
        net.pin(0)
        status = ktap.run(function)
        if status[0]:
            print("# sender: " + status[1], flush=True)
        os._exit(status[0])
    return pid


def first_packet(pair):
    """One packet from the sender's CPU, which tells a socket of its queue: the queue's NAPI."""
    pid = sender(lambda: pair[0].send(net.datagram(0, 100)))
    ktap.equal("status of the sender", os.waitpid(pid, 0)[1], 0)
    net.check_datagram(pair[1].recv(200), 0, 100)
    return pair[1].getsockopt(socket.SOL_SOCKET, SO_INCOMING_NAPI_ID)


def polled():
    """Packets that somebody has found by polling, as the kernel counts."""
    lines = [line.split() for line in kernel.read("/proc/net/netstat").splitlines() if line.startswith("TcpExt:")]
    return int(dict(zip(*lines))["BusyPollRxPackets"])


def events(epoll, pair, count=100):
    """Datagrams, one at a time, for somebody who waits in epoll_wait(): what comes of it has to be right."""
    net.pin(1)

    def send():
        for i in range(count):
            pair[0].send(net.datagram(i, 100))
            time.sleep(0.001)
    before = polled()
    pid = sender(send)
    at = 0
    pair[1].setblocking(False)
    while at < count:
        ktap.check(epoll.poll(10 * ktap.SLOW), "no event for datagram %d" % at)
        while at < count:
            try:
                data = pair[1].recv(200)
            except BlockingIOError:
                break
            net.check_datagram(data, at, 100)
            at += 1
    ktap.equal("status of the sender", os.waitpid(pid, 0)[1], 0)
    pair[1].settimeout(5 * ktap.SLOW)
    return polled() - before


def with_budget(found, budget):
    """(packets, polls) with a budget."""
    return sum(work for work, of in found if of == budget), sum(of == budget for _, of in found)


@ktap.case()
def own_settings():
    """EPIOCSPARAMS: epoll_wait() polls the queue, with the budget that it was given; not without, and not on lo."""
    env = begin()
    pair = net.udp_pair("127.0.0.1")
    ktap.check(first_packet(pair) > 0, "the socket does not know its NAPI")
    with polls() as trace, contextlib.closing(select.epoll()) as epoll:
        epoll.register(pair[1], select.EPOLLIN)
        for usecs, budget, prefer in ((0, 0, 0), (20000, MINE, 0), (20000, MINE, 1), (20000, 0, 0), (0, 0, 0)):
            params(epoll, usecs, budget, prefer)
            first_packet(pair)
            trace.take()
            counted, seen = events(epoll, pair), trace.take()
            packets, number = with_budget(seen, budget or USUAL)
            ktap.note("%d us, budget %d, preferred %d: the kernel counted %d, the tracepoint %d packets in %d polls"
                      % (usecs, budget, prefer, counted, packets, number))
            if not usecs:
                ktap.equal("polled without parameters", (counted, packets, number), (0, 0, 0))
                continue
            # The kernel does not count the last poll of each wait. On a busy machine this CPU is often away.
            ktap.check(packets >= 5 and number >= packets // (budget or USUAL) and counted, "not polled: %r" % seen[:20])
        ktap.fails("EINVAL", "nonsense", fcntl.ioctl, epoll.fileno(), SET_PARAMS, struct.pack(PARAMS, 0, 0, 2))
        # Nothing to poll on the backlog.
        params(epoll, 20000, MINE, 0)
        env.deliver("backlog")
        first_packet(pair)
        trace.take()
        ktap.equal("polled on the backlog", (events(epoll, pair), with_budget(trace.take(), MINE)), (0, (0, 0)))
        env.deliver("napi")
        first_packet(pair)
        ktap.check(events(epoll, pair) > 0, "not polled after the backlog")
        # Queues switched under it.
        for number in (1, os.cpu_count()):
            setting("-L", "lo", "rx", number)
            events(epoll, pair)


@ktap.case()
def by_sysctl():
    """net.core.busy_poll: the same without a word of the program, by the NAPI of its sockets."""
    begin()
    for address in ("127.0.0.1", "::1"):
        pair = net.udp_pair(address)
        with polls() as trace, contextlib.closing(select.epoll()) as epoll:
            epoll.register(pair[1], select.EPOLLIN)
            for usecs in (0, 20000, 0):
                with sysctl(usecs):
                    first_packet(pair)
                    trace.take()
                    counted, seen = events(epoll, pair), trace.take()
                packets, _ = with_budget(seen, USUAL)
                ktap.note("%s, %d us: the kernel counted %d, the tracepoint %d packets" % (address, usecs, counted, packets))
                ktap.check((counted and packets >= 5) if usecs else (counted, packets) == (0, 0), "%r" % seen[:20])


@ktap.case()
def connections():
    """Streams in an epoll that polls, with SO_PREFER_BUSY_POLL: all bytes, in order, and the ends of the streams."""
    begin()
    listener = socket.create_server(("127.0.0.1", 0))
    blob = os.urandom(300000)

    def send():
        socks = [socket.create_connection(listener.getsockname()) for _ in range(4)]
        for at in range(0, len(blob), 10000):
            for sock in socks:
                sock.sendall(blob[at:at + 10000])
            time.sleep(0.01)
        for sock in socks:
            sock.close()
    with polls() as trace, contextlib.closing(select.epoll()) as epoll:
        params(epoll, 20000, MINE, 1)
        pid, got = sender(send), {}
        for _ in range(4):
            sock, _ = listener.accept()
            for option, value in ((SO_BUSY_POLL, 100), (SO_PREFER_BUSY_POLL, 1), (SO_BUSY_POLL_BUDGET, 16)):
                sock.setsockopt(socket.SOL_SOCKET, option, value)
            sock.setblocking(False)
            epoll.register(sock, select.EPOLLIN)
            got[sock.fileno()] = [sock, b"", False]
        while not all(done for _, _, done in got.values()):
            ready = epoll.poll(10 * ktap.SLOW)
            ktap.check(ready, "nothing comes: %r" % [(len(d), e) for _, d, e in got.values()])
            for fd, _ in ready:
                data = got[fd][0].recv(1 << 20)
                got[fd][1] += data
                if not data:
                    got[fd][2] = True
                    epoll.unregister(fd)
        ktap.equal("streams that are right", [data == blob for _, data, _ in got.values()], [True] * 4)
        packets, number = with_budget(trace.take(), MINE)
        ktap.note("%d packets in %d polls" % (packets, number))
        ktap.check(packets > 0, "nothing was polled for")
    ktap.equal("status of the sender", os.waitpid(pid, 0)[1], 0)


def napi_set(napi, **values):
    """netdev-genl napi-set, and what napi-get says then."""
    sock = netlink.Socket(protocol=16)
    names = {"defer": DEFER_HARD_IRQS, "flush": GRO_FLUSH_TIMEOUT, "suspend": IRQ_SUSPEND_TIMEOUT}
    family = sock.family("netdev")
    payload = netlink.attribute(NAPI_ID, napi)
    if values:
        _, error = sock.ask(family, netlink.genl(NAPI_SET, payload + b"".join(
            netlink.attribute(names[name], value) for name, value in values.items())))
        ktap.equal("napi-set", error, "")
    answers, error = sock.ask(family, netlink.genl(NAPI_GET, payload))
    ktap.equal("napi-get", error, "")
    got = dict(netlink.attributes(answers[0][4:]))
    return {name: int.from_bytes(got[kind], "little") for name, kind in names.items() if kind in got}


@ktap.case()
def suspended():
    """irq-suspend-timeout: between two epoll_wait() that find something the queue is left alone, and not for ever."""
    begin()
    pair = net.udp_pair("127.0.0.1")
    napi = first_packet(pair)
    wanted = {"defer": 10, "flush": 2000000, "suspend": 400000000}
    ktap.equal("at first", napi_set(napi), {"defer": 0, "flush": 0, "suspend": 0})
    ktap.equal("afterwards", napi_set(napi, **wanted), wanted)

    def burst(first, count):
        ktap.equal("status of the sender", os.waitpid(sender(lambda: [pair[0].send(net.datagram(i, 100)) for i in
                                                                   range(first, first + count)]), 0)[1], 0)

    def receive(first, count):
        pair[1].settimeout(5 * ktap.SLOW)
        for i in range(first, first + count):
            net.check_datagram(pair[1].recv(200), i, 100)
        pair[1].setblocking(False)
    with polls() as trace, contextlib.closing(select.epoll()) as epoll:
        epoll.register(pair[1], select.EPOLLIN)
        params(epoll, 20000, MINE, 1)
        waited = 0
        for turn in range(20):
            first = 100 * turn
            pair[1].setblocking(False)
            pid = sender(lambda f=first: [time.sleep(0.003), pair[0].send(net.datagram(f, 100))])
            ktap.check(epoll.poll(5 * ktap.SLOW), "no event")
            ktap.equal("status of the sender", os.waitpid(pid, 0)[1], 0)
            receive(first, 1)
            # It works on that one meanwhile, and does not poll.
            burst(first + 1, 5)
            if ktap.error_of(pair[1].recv, 1, socket.MSG_PEEK) == "EAGAIN":
                trace.take()
                ktap.check(epoll.poll(5 * ktap.SLOW), "no event")
                waited += with_budget(trace.take(), MINE)[0] > 0
            receive(first + 1, 5)
        ktap.note("%d of 20 bursts waited for epoll_wait()" % waited)
        ktap.check(waited >= 5, "only %d of 20 bursts waited for epoll_wait()" % waited)
        # Whoever does not come back is not waited for: the timer polls.
        first = 5000
        pid = sender(lambda: [time.sleep(0.003), pair[0].send(net.datagram(first, 100))])
        ktap.check(epoll.poll(5 * ktap.SLOW), "no event")
        os.waitpid(pid, 0)
        receive(first, 1)
        start = time.monotonic()
        burst(first + 1, 5)
        receive(first + 1, 5)
        ktap.note("without epoll_wait() it took %.0f ms" % (1000 * (time.monotonic() - start)))
    # Without a NAPI's own settings and polling all is as before.
    napi_set(napi, defer=0, flush=0, suspend=0)
    ktap.check(counters()["dropped"] == 0, "something was dropped")
    net.send_udp(net.udp_pair("::1"), 100, 500)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
