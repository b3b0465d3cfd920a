#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""samples/sockmap: local TCP connections from socket to socket; the bytes are the same, and no packet is sent."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import select
import socket
import struct
import subprocess
import threading
import time

import kernel
import ktap
import net
import shortcut
import tools
from shortcut import ADDRESSES, LANES, Shortcut, both_ways, digest, enter, pair


def device_bytes():
    """What lo has sent in this namespace."""
    return net.flat_stats()["tx.bytes"]


@ktap.case(LANES)
def data(lane):
    """Both directions, every kind of local address: checksums, and no packets while it runs; packets before and after."""
    _, path = enter(lane)
    size = 400000
    for running in (False, True, False):
        sample = Shortcut(path) if running else None
        for address in ADDRESSES:
            one, two = pair(address)
            before, counts = device_bytes(), sample.counts() if sample else {}
            both_ways(one, two, size)
            crossed = device_bytes() - before
            if not sample:
                ktap.check(crossed >= 2 * size, "%s: %d bytes crossed lo without it" % (address, crossed))
                continue
            ktap.check(crossed < 2000, "%s: %d bytes crossed lo" % (address, crossed))
            grown = net.delta(counts, sample.counts())
            ktap.equal("%s: redirected" % address, grown.pop("redirected-bytes", 0), 2 * size)
            ktap.equal("%s: what else was counted" % address, set(grown), {"redirected"})
            one.close()
            two.close()
        if sample:
            last, errors = sample.stop()
            ktap.equal("ends", last["ends"], 2 * len(ADDRESSES))
            ktap.equal("complaints", errors, "")


@ktap.case(LANES)
def at_once(lane):
    """Sent as soon as the connection is there, by the client or the server, on other CPUs: in order, nothing lost."""
    _, path = enter(lane)
    sample = Shortcut(path)
    rounds = 60 if ktap.SLOW == 1 else 15
    for first in ("client", "server", "client, deferred"):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(20 * ktap.SLOW)
            # The server's end is not there, and so not in the map, before the first byte has come.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5 if "deferred" in first else 0)
            text = b"".join(struct.pack("!I", i) for i in range(5000))

            def talk(sock, sends, where=text):
                sock.settimeout(20 * ktap.SLOW)
                if sends:
                    # Small ones first: the other end may not be in the map yet.
                    for at in list(range(0, 80, 4)) + [80]:
                        sock.sendall(where[at:at + 4] if at < 80 else where[80:])
                    sock.shutdown(socket.SHUT_WR)
                    ktap.equal("answer", net.read_exactly(sock, 100), b"fine")
                else:
                    got = net.read_exactly(sock, len(where) + 1)
                    sock.sendall(b"fine" if got == where else b"%d bytes, or others" % len(got))
                sock.close()
            pid = os.fork()
            if pid == 0:
                status = ktap.run(lambda: [talk(socket.create_connection(listener.getsockname()), "client" in first)
                                           for _ in range(rounds)])
                if status[0]:
                    print("# client: %s" % status[1], flush=True)
                os._exit(status[0])
            for _ in range(rounds):
                talk(listener.accept()[0], first == "server")
            ktap.equal("the %s sends: status of the client" % first, os.waitpid(pid, 0)[1], 0)
        ktap.note("%s: %r" % (first, sample.counts()))
        if "deferred" not in first:
            # On a busy machine the other end may be late, as if it were deferred.
            counts = sample.counts()
            ktap.check(counts["redirected"] > 4 * counts["passed"], "most passed: %r" % counts)


@ktap.case(LANES)
def ends(lane):
    """Close, half-close and reset: what was sent before is there, then the end; no end is missed."""
    _, path = enter(lane)
    sample = Shortcut(path)
    blob = os.urandom(200000)
    for address in ("127.0.0.1", "::1"):
        # Closed at once: all of it is there, and the end after it.
        one, two = pair(address)
        one.sendall(blob)
        one.close()
        ktap.equal("sent before the close", digest(net.read_exactly(two, len(blob) + 1)), digest(blob))
        # The reader is told of later writes that nobody reads.
        ktap.wait_for("writing to nobody fails", lambda t=two: ktap.error_of(t.send, b"x") in ("EPIPE", "ECONNRESET"))
        # Half-closed: the answer comes, also if it is read when the other end has been closed for long.
        one, two = pair(address)
        one.sendall(b"question")
        one.shutdown(socket.SHUT_WR)
        ktap.equal("question", net.read_exactly(two, 100), b"question")
        two.sendall(blob[:60000])
        two.close()
        time.sleep(0.1)
        ktap.equal("answer", digest(net.read_exactly(one, len(blob))), digest(blob[:60000]))
        # Half-closed by the one that has received something redirected, and reads it later.
        one, two = pair(address)
        two.sendall(b"early")
        one.shutdown(socket.SHUT_WR)
        ktap.equal("end", two.recv(10), b"")
        two.sendall(b" and late")
        ktap.equal("both, in order", net.read_exactly(one, 14), b"early and late")
        two.shutdown(socket.SHUT_WR)
        ktap.equal("end", one.recv(10), b"")
        # Both have sent their last, and something is unread; what comes after the last is refused.
        one, two = pair(address)
        one.sendall(b"1")
        ktap.equal("data", two.recv(10), b"1")
        two.sendall(b"unread")
        one.shutdown(socket.SHUT_WR)
        ktap.fails("EPIPE", "sending after the end", one.send, b"x")
        ktap.equal("end", two.recv(1), b"")
        two.close()
        time.sleep(0.2)
        ktap.equal("read after both ends", one.recv(100), b"unread")
        ktap.equal("end", one.recv(1), b"")
        # A reader that sleeps is woken, by data and by the end; so is poll().
        one, two = pair(address)
        poll = select.poll()
        poll.register(two, select.POLLIN | select.POLLRDHUP)
        ktap.equal("poll", poll.poll(0), [])
        one.sendall(b"1")
        ktap.equal("poll with data", poll.poll(5000), [(two.fileno(), select.POLLIN)])
        ktap.equal("data", two.recv(10), b"1")
        threading.Timer(0.1, one.close).start()
        ktap.equal("end of one that sleeps", two.recv(10), b"")
        # A reset.
        one, two = pair(address)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
        ktap.fails("ECONNRESET", "reading after a reset", two.recv, 10)
        ktap.fails("EPIPE", "sending after a reset", two.send, b"x")
    counts = sample.counts()
    ktap.check(counts["redirected"] and counts["passed"], "%r" % counts)


class Numbers:
    """A process that sends numbers, one after the other, until it is told to end."""

    def __init__(self, sock):
        wait, self.go_on = os.pipe()
        self.number, self.pid = 0, os.fork()
        if self.pid == 0:
            os.close(self.go_on)
            count = 0
            while not select.select([wait], [], [], 0)[0]:
                sock.sendall(struct.pack("!500I", *range(count, count + 500)))
                count += 500
            sock.shutdown(socket.SHUT_WR)
            os._exit(0)
        os.close(wait)

    def read(self, sock):
        """The next 500: false at the end."""
        part = net.read_exactly(sock, 2000)
        want = struct.pack("!500I", *range(self.number, self.number + 500))
        ktap.check(part in (want, b""), "%d bytes, or other numbers than from %d" % (len(part), self.number))
        self.number += 500
        return bool(part)


@ktap.case(LANES)
def while_it_ends(lane):
    """Connections from before stay as they are; those from while it ran go on, in order, when it has ended."""
    _, path = enter(lane)
    for address in ("127.0.0.1", "::1"):
        old = pair(address)
        both_ways(*old, 30000)
        sample = Shortcut(path)
        new = pair(address)
        before = device_bytes()
        both_ways(*new, 30000)
        both_ways(*old, 100000)
        ktap.check(device_bytes() - before >= 200000, "a connection from before was redirected")
        ktap.equal("redirected", sample.counts()["redirected-bytes"], 60000)
        ktap.equal("passed", sample.counts()["passed"], 0)
        # It ends while numbers come one way, and something is unread that went the other way.
        new[1].sendall(b"unread")
        numbers = Numbers(new[0])
        for _ in range(50):
            numbers.read(new[1])
        stopped = []
        stopper = threading.Thread(target=lambda s=sample, k=stopped: k.append(s.stop()))
        stopper.start()
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            numbers.read(new[1])
        ktap.equal("it has ended with something unread", stopped, [])
        ktap.equal("what was unread", new[0].recv(100), b"unread")
        while not stopped:
            numbers.read(new[1])
        ktap.equal("complaints", stopped[0][1], "")
        before = device_bytes()
        for _ in range(50):
            numbers.read(new[1])
        ktap.check(device_bytes() > before, "numbers do not come by the device afterwards")
        os.close(numbers.go_on)
        while numbers.read(new[1]):
            pass
        new[1].sendall(b"the other way")
        ktap.equal("the other way", new[0].recv(100), b"the other way")
        stopper.join()


@ktap.case()
def others():
    """What is not meant is left alone: other machines, other control groups; namespaces are told apart."""
    _, path = enter("backlog")
    sample = Shortcut(path)
    tools.need("VETH")
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    ends_of = []
    os.unshare(os.CLONE_NEWNET)
    there = os.open("/proc/self/ns/net", os.O_RDONLY)
    net.set_up("lo")
    tools.ip_batch("link add v0 type veth peer name v1", "addr add 198.51.100.1/24 dev v0", "link set v0 up")
    tools.run(["ip", "link", "set", "v1", "netns", "/proc/%d/fd/%d" % (os.getpid(), here)])
    os.setns(here, os.CLONE_NEWNET)
    tools.ip_batch("addr add 198.51.100.2/24 dev v1", "link set v1 up")
    # The same addresses and ports in two namespaces.
    for space in (here, there):
        os.setns(space, os.CLONE_NEWNET)
        listener = socket.create_server(("127.0.0.1", 5001))
        one = socket.create_connection(("127.0.0.1", 5001), 20 * ktap.SLOW, source_address=("127.0.0.1", 5002))
        two, _ = listener.accept()
        listener.close()
        ends_of.append((one, two))
    for number, (one, two) in enumerate(ends_of):
        one.sendall(b"space %d" % number)
    for number, (one, two) in enumerate(ends_of):
        two.settimeout(5)
        ktap.equal("in namespace %d" % number, two.recv(100), b"space %d" % number)
        both_ways(one, two, 50000)
    counts = sample.counts()
    ktap.equal("ends", counts["ends"], 4)
    ktap.equal("redirected", counts["redirected-bytes"], 2 * (len("space 0") + 2 * 50000))
    # Another machine.
    listener = socket.create_server(("198.51.100.1", 0))
    address = listener.getsockname()
    os.setns(here, os.CLONE_NEWNET)
    one = socket.create_connection(address, 20 * ktap.SLOW)
    two, _ = listener.accept()
    both_ways(one, two, 100000)
    ktap.equal("counts after a connection to another machine", sample.counts(), counts)
    # Another control group, and one end in it.
    other = shortcut.cgroup("rnet-other-%d" % os.getpid())
    shortcut.join(other)
    both_ways(*pair("127.0.0.1"), 50000)
    ktap.equal("counts after another control group", sample.counts(), counts)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        shortcut.join(path)
        one = socket.create_connection(listener.getsockname(), 20 * ktap.SLOW)
        two, _ = listener.accept()
        both_ways(one, two, 50000)
    grown = net.delta(counts, sample.counts())
    ktap.equal("ends of a connection between two", grown["ends"], 1)
    ktap.check("redirected" not in grown and grown["passed-bytes"] == 50000, "%r" % grown)


@ktap.case()
def fast_open():
    """Data that came with the SYN, or was to come with it, stays in front of what is sent later."""
    _, path = enter("backlog")
    kernel.write("/proc/sys/net/ipv4/tcp_fastopen", "1027")
    sample = Shortcut(path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
        # The first one gets a cookie.
        for with_data in (0, 1):
            before = tools.snmp().get("TcpExtTCPFastOpenActive", 0)
            one = socket.socket()
            one.settimeout(None)
            one.sendto(b"first ", 0x20000000, listener.getsockname())  # MSG_FASTOPEN
            one.sendall(b"second ")
            two, _ = listener.accept()
            two.settimeout(20 * ktap.SLOW)
            one.sendall(b"third")
            one.shutdown(socket.SHUT_WR)
            ktap.equal("all of it", net.read_exactly(two, 100), b"first second third")
            two.sendall(b"answer")
            ktap.equal("answer", one.recv(100), b"answer")
            ktap.equal("SYNs with data", tools.snmp()["TcpExtTCPFastOpenActive"] - before, with_data)


@ktap.case()
def errors():
    """What users meet: what is wrong, and what to do next."""
    shortcut.program()
    kernel.private_mounts()
    path = shortcut.cgroup("rnet-%d" % os.getpid())

    def tried(*args, user=None):
        done = subprocess.run([shortcut.program(), *args], capture_output=True, text=True, user=user, check=False, timeout=30)
        return done.returncode, done.stdout, done.stderr
    for args, user, want in (((path,), 65534, "needs root"), (("/proc",), None, "not in cgroup2"),
                             (("/nonexistent",), None, "No such file"), (("-i", "x", path), None, "not a number")):
        status, _, error = tried(*args, user=user)
        ktap.check(status == 1 and want in error and "next: " in error, "%r: status %d, %s" % (args, status, error))
    for args in ((), ("-x", path), (path, path)):
        status, _, error = tried(*args)
        ktap.check(status == 2 and "usage:" in error, "%r: status %d, %s" % (args, status, error))
    status, out, _ = tried("--help")
    ktap.check(status == 0 and "usage:" in out, "--help: status %d" % status)


@ktap.finally_
def restore():
    """The control groups go."""
    kernel.private_mounts()
    top = shortcut.CGROUPS
    if ktap.error_of(shortcut.cgroup, "") == "":
        for name in os.listdir(top):
            if name.startswith("rnet-"):
                ktap.error_of(os.rmdir, os.path.join(top, name))
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(net.main())
