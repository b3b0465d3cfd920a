# SPDX-License-Identifier: GPL-2.0
"""What long runs share: how often, how far, which memory is not given back, what is left behind."""

import ctypes
import glob
import os
import signal
import subprocess
import time

import kernel
import ktap
import net

LONG = os.environ.get("RNET_LONG") == "1"
TIMEOUT = "/proc/sys/net/core/netdev_unregister_timeout_secs"
COMPLAINTS = r"waiting for|rlo|rnet"


def report_waits(on=True):
    """The kernel says after 1 s that a device waits for its users, not after 10.

    On the debug kernel, where 10 s are little, guest.py has set it to a minute.
    """
    if ktap.SLOW == 1:
        kernel.write(TIMEOUT, "1" if on else "10")


def count(full, short):
    """How often: `full` with RNET_LONG=1, otherwise few enough for make check."""
    return full if LONG else short


def limit(full, short=300):
    """A case's time limit in seconds, generous: a kernel with KASAN under emulation is ten times slower."""
    return full if LONG else short


class Progress:
    """A line of diagnostics now and then: how far, and how long it has taken."""

    def __init__(self, what, total, every=15):
        self.what, self.total, self.every = what, total, every
        self.start = self.last = time.monotonic()
        self.done = False

    def at(self, number, more=""):
        """So many are done."""
        now = time.monotonic()
        last = number == self.total and now - self.start >= self.every and not self.done
        if now - self.last >= self.every or last:
            self.last, self.done = now, number == self.total
            ktap.note("%s: %d of %d, %.0f s%s" % (self.what, number, self.total, now - self.start, more))


# --- namespaces ----------------------------------------------------------------

class Place:
    """A new namespace with its own sysfs, which this process can enter and leave (with ...)."""

    number = 0

    def __init__(self, lane):
        Place.number += 1
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        kernel.write(net.REPLACE, "Y" if lane == "replacement" else "N")
        os.unshare(os.CLONE_NEWNET)
        self.fd = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.env = net.Env(lane, "%s-%d" % (net.SYS, Place.number))
        os.makedirs(self.env.sys, exist_ok=True)
        kernel.private_mounts()
        kernel.mount("sysfs", self.env.sys, "sysfs")
        net.set_up("lo")
        if lane == "takeover":
            self.env.active(1)
        os.setns(self.home, os.CLONE_NEWNET)

    def __enter__(self):
        os.setns(self.fd, os.CLONE_NEWNET)
        return self.env

    def __exit__(self, *_):
        os.setns(self.home, os.CLONE_NEWNET)


def another_namespace():
    """The ID of a process that sleeps in a namespace of its own, which is there when this returns."""
    ready, made = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.unshare(os.CLONE_NEWNET)
        os.write(made, b".")
        time.sleep(600)
        os._exit(0)
    os.close(made)
    said = os.read(ready, 1)
    os.close(ready)
    ktap.equal("a new namespace", said, b".")
    return pid


def drained():
    """Fails if the destruction of namespaces is stuck: two more have to go, one after the other."""
    for i in range(2):
        name, pid = "rnetp%d" % i, another_namespace()
        done = subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", "x", "netns", str(pid)],
                              capture_output=True, text=True, check=False)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        ktap.equal("ip link add", done.stderr, "")
        ktap.wait_for("an ended namespace is gone", lambda: not os.path.exists("/sys/class/net/" + name), 20)


def quiet():
    """(replaced namespaces, users of the module) when nothing is about to end."""
    kernel.need_module("rlo")
    kernel.write(net.REPLACE, "N")
    drained()
    return kernel.number(net.REPLACED), kernel.refcnt("rlo")


def nothing_left(before):
    """Fails if namespaces, module users or kernel complaints are left."""
    drained()
    ktap.wait_for("replaced namespaces are back to %d" % before[0], lambda: kernel.number(net.REPLACED) == before[0])
    ktap.wait_for("users of the module are back to %d" % before[1], lambda: kernel.refcnt("rlo") == before[1])


def live_namespaces():
    """How many the kernel keeps memory for: objects of their slab cache (the first one is not in it)."""
    kernel.write("/sys/kernel/slab/net_namespace/shrink", "1")
    return slabs()["net_namespace"][0]


# --- memory ----------------------------------------------------------------------

def slabs():
    """{cache: (objects in use, size of one)}."""
    table = {}
    for line in kernel.read("/proc/slabinfo").splitlines()[2:]:
        words = line.split()
        table[words[0]] = (int(words[1]), int(words[3]))
    return table


def memory():
    """What the kernel uses, in bytes by cache, once what could be given back is given back."""
    for _ in range(count(2, 1)):
        # Waits for what RCU callbacks free: membarrier(MEMBARRIER_CMD_GLOBAL).
        ctypes.CDLL(None).syscall(324, 1, 0, 0)
        kernel.write("/proc/sys/vm/drop_caches", "3")
        for path in glob.glob("/sys/kernel/slab/*"):
            if not os.path.islink(path):
                kernel.write(path + "/shrink", "1")
    now = {name: used * size for name, (used, size) in slabs().items()}
    meminfo = dict(line.split(":") for line in kernel.read("/proc/meminfo").splitlines())
    for name in ("Percpu", "KernelStack", "VmallocUsed"):
        now["/" + name] = int(meminfo[name].split()[0]) * 1024
    return now


class Growth:
    """Memory at several times of a run, and what grew all the time."""

    def __init__(self):
        self.sizes = {name: size for name, (_, size) in slabs().items()}
        self.points = []

    def point(self, cycles):
        """So many cycles are done."""
        self.points.append((cycles, memory()))

    def cycles(self):
        """From the first to the last point."""
        return self.points[-1][0] - self.points[0][0]

    def total(self):
        """Bytes for 100 cycles, all caches together."""
        return 100 * (sum(self.points[-1][1].values()) - sum(self.points[0][1].values())) / self.cycles()

    def objects(self, name):
        """How many objects of a cache (or pages) a cycle has left behind."""
        size = self.sizes.get(name, 4096)
        return (self.points[-1][1].get(name, 0) - self.points[0][1].get(name, 0)) / size / self.cycles()

    def steady(self, name):
        """Whether it grew from each point to the next."""
        values = [point[1].get(name, 0) for point in self.points]
        return all(a < b for a, b in zip(values, values[1:]))

    def summary(self):
        """{"total": bytes for 100 cycles, "objects": {cache: objects left by one cycle}}, what grew steadily only."""
        names = set().union(*(point[1] for point in self.points))
        return {"cycles": self.cycles(), "total": round(self.total()),
                "objects": {name: round(self.objects(name), 3) for name in sorted(names) if self.steady(name)}}


def compare_growth(what, reference, seen):
    """Fails if something grows with each cycle that does not grow in the reference; both are summaries."""
    ktap.note("memory that grew for 100 cycles: %s %d bytes (%d cycles), reference %d bytes (%d cycles)"
              % (what, seen["total"], seen["cycles"], reference["total"], reference["cycles"]))
    leaked = {}
    if seen["cycles"] < 100:
        # What is kept for other reasons is more than that.
        return
    for name, objects in seen["objects"].items():
        ktap.note("%s: %s grew steadily, by %.3f objects a cycle, in the reference %.3f"
                  % (what, name, objects, reference["objects"].get(name, 0)))
        # A leak leaves one or more for each cycle, or one page of per-CPU memory for a few dozen.
        floor = 0.02 if name == "/Percpu" else 0.4
        if objects - max(0, reference["objects"].get(name, 0)) > floor:
            leaked[name] = objects
    ktap.equal("memory that each cycle of %s leaves behind (objects)" % what, leaked, {})
