# SPDX-License-Identifier: GPL-2.0
"""samples/sockmap: started for a control group, its counters, ended."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import threading

import kernel
import ktap
import net

CGROUPS = "/tmp/rnet-cgroup"
# The kernel's lo, and rlo's device with either delivery.
LANES = ("lo", "backlog", "napi")
OWN = "192.0.2.77"
ADDRESSES = ("127.0.0.1", "::1", "127.9.8.7", OWN, "mapped")


def program():
    """Where it is; skips where it was not built."""
    path = os.path.join(os.environ.get("RNET_MODULES") or "/nonexistent", "rnet-sockmap")
    path = path if os.path.exists(path) else shutil.which("rnet-sockmap")
    if not path:
        raise ktap.Skip("samples/sockmap is not built (make sockmap)")
    return path


def cgroup(name):
    """A control group, made if need be. The mount is in the mount namespace of this process."""
    os.makedirs(CGROUPS, exist_ok=True)
    if not os.path.exists(CGROUPS + "/cgroup.procs"):
        try:
            kernel.mount("cgroup2", CGROUPS, "cgroup2")
        except OSError as error:
            raise ktap.Skip("no cgroup2: %s" % error) from error
    path = os.path.join(CGROUPS, name)
    os.makedirs(path, exist_ok=True)
    return path


def join(path):
    """This process, and those that it starts, belong to a control group from now on; so do their sockets."""
    kernel.write(path + "/cgroup.procs", "%d" % os.getpid())


class Shortcut:
    """The program, running."""

    def __init__(self, path, *options):
        self.process = subprocess.Popen([program(), *options, path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("redirects"):
            raise ktap.Failure("rnet-sockmap: %s" % self.process.stderr.read())

    @staticmethod
    def _numbers(line):
        words = line.split()
        return dict(zip(words[::2], map(int, words[1::2])))

    def counts(self):
        """{"ends", "redirected", "redirected-bytes", "passed", "passed-bytes"}"""
        self.process.send_signal(signal.SIGUSR1)
        return self._numbers(self.process.stdout.readline())

    def stop(self):
        """Ends it: (its last counts, what it complained about)."""
        self.process.send_signal(signal.SIGTERM)
        out, errors = self.process.communicate(timeout=30 * ktap.SLOW)
        ktap.equal("status of rnet-sockmap", self.process.returncode, 0)
        return self._numbers(out.splitlines()[-1]), errors


def enter(lane):
    """A namespace, and this process in a control group of its own: (namespace, control group)."""
    program()
    env = net.enter("lo" if lane == "lo" else "replacement")
    if lane != "lo":
        env.deliver(lane)
    net.ip("addr add %s/32 dev lo" % OWN)
    path = cgroup("rnet-%d" % os.getpid())
    join(path)
    return env, path


def pair(address):
    """Two ends of a connection; "mapped": from an IPv4 socket to one of IPv6."""
    if address != "mapped":
        return net.tcp_pair(address)
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        one = socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=20 * ktap.SLOW)
        two, _ = listener.accept()
        two.settimeout(20 * ktap.SLOW)
        return one, two


def digest(data):
    """Its checksum."""
    return hashlib.sha256(data).hexdigest()


def both_ways(one, two, size):
    """Random bytes in both directions at once, in pieces of all sizes; fails unless they come as they were sent."""
    wanted = {one: os.urandom(size), two: os.urandom(size)}
    got, threads = {}, []

    def send(sock, data):
        at, step = 0, 1
        while at < len(data):
            sock.sendall(data[at:at + step])
            at, step = at + step, step * 3 % 70001
    for source, sink in ((one, two), (two, one)):
        threads.append(threading.Thread(target=send, args=(source, wanted[source])))
        threads.append(threading.Thread(target=lambda s=source, k=sink: got.update({s: net.read_exactly(k, size)})))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for source in (one, two):
        ktap.equal("bytes", len(got.get(source, b"")), size)
        ktap.equal("checksum", digest(got[source]), digest(wanted[source]))
