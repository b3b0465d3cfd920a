# SPDX-License-Identifier: GPL-2.0
"""rsoftnet's files, and other sources for what they say."""

import os
import re

import kernel
import ktap
import net
import tools

TOP = "/sys/kernel/rsoftnet"
EVENTS = "/sys/kernel/tracing/events/"
STAGES = ("xmit", "netif_rx", "rps_ipi", "enqueue", "softirq_raise", "softirq_entry", "softirq_context",
          "softirq_exit", "poll_backlog", "poll_device", "poll_threaded", "deliver", "ip", "netfilter", "tcp", "udp",
          "sock_queue", "wakeup", "drop")
# Those that are enabled one by one only.
FUNCTIONS = ("enqueue", "softirq_context", "ip", "netfilter", "tcp", "udp", "sock_queue")
LATENCIES = ("transmit", "backlog", "softirq", "poll", "wakeup", "rps_ipi")


def path(*names):
    """Of a file."""
    return "/".join((TOP,) + names)


def put(name, value):
    """Writes to a file."""
    kernel.write(path(name), "%s\n" % value)


def number(*names):
    """A file's number."""
    return kernel.number(path(*names))


def stage(name, cpu=None, what="count"):
    """A counter of a stage."""
    return number("stage", name, *(["cpu%d" % cpu] if cpu is not None else []), what)


def functions():
    """Enables the stages that are functions; skips where the kernel cannot probe them."""
    for name in FUNCTIONS:
        function("stage/%s/enable" % name)


def callers_known():
    """Whether the kernel shows who runs softirqs: with frame pointers a function is in between."""
    return "FRAME_POINTER" not in tools.config()


def function(name):
    """Enables one of them; skips where the kernel cannot."""
    error = ktap.error_of(put, name, 1)
    if error in ("EOPNOTSUPP", "ENOTSUP"):
        raise ktap.Skip("no CONFIG_FPROBE, or no BTF")
    ktap.equal("enabling " + name, error, "")


def main():
    """A test program of rsoftnet, which it finds loaded, with everything off."""
    def first():
        kernel.need_module("rsoftnet")
        quiet()
    return ktap.main(first)


def quiet():
    """Everything off, at zero and without filters."""
    if kernel.loaded("rsoftnet"):
        put("enable", 0)
        put("log/enable", 0)
        put("log/functions", 0)
        put("filter/device", "")
        put("filter/netns", "")
        put("reset", 1)


def enter(filtered=True):
    """A new namespace with lo up, which alone is looked at; its lo."""
    quiet()
    os.unshare(os.CLONE_NEWNET)
    net.mount_sys()
    net.set_up("lo")
    if filtered:
        put("filter/netns", netns_inum())
    return net.SYS + "/class/net/lo"


def netns_inum():
    """The number of this process's network namespace."""
    return os.stat("/proc/self/ns/net").st_ino


class Snapshot:
    """A snapshot, its own consistency checked."""

    def __init__(self, text=None):
        self.text = kernel.read(path("snapshot")) + "\n" if text is None else text
        lines = self.text.splitlines()
        ktap.equal("first and last line", (lines[0], lines[-1]), ("rsoftnet 1", "end"))
        self.backlog, self.stages, self.latencies, self.reasons, self.targets, self.other = {}, {}, {}, {}, {}, {}
        for line in lines[1:-1]:
            word, *rest = line.split()
            getattr(self, "_" + word, self._other)(word, rest)
        self._check()

    def _other(self, word, rest):
        self.other[" ".join([word] + rest[:-1])] = rest[-1]

    def _backlog(self, _, rest):
        self.backlog[int(rest[0][3:])] = pairs(rest[1:])

    def _stage(self, _, rest):
        self.stages.setdefault(rest[0], {})[rest[1]] = pairs(rest[2:])

    def _latency(self, _, rest):
        at = rest.index("log2_ns")
        values = pairs(rest[2:at])
        values["log2_ns"] = [int(word) for word in rest[at + 1:]]
        self.latencies.setdefault(rest[0], {})[rest[1]] = values

    def _reason(self, _, rest):
        self.reasons[rest[0]] = int(rest[1])

    def _target(self, _, rest):
        self.targets.setdefault(rest[0], {})[int(rest[1][3:]), int(rest[2][3:])] = int(rest[3])

    def _check(self):
        ktap.equal("stages", tuple(self.stages), STAGES)
        ktap.equal("latencies", tuple(self.latencies), LATENCIES)
        for name, rows in self.stages.items():
            total = rows.pop("all")
            for key in set(total) - {"enable"}:
                ktap.equal("sum of %s of %s" % (key, name), sum(row[key] for row in rows.values()), total[key])
            rows["all"] = total
        for name, rows in self.latencies.items():
            for cpu, row in rows.items():
                ktap.equal("%s %s: sum of the buckets" % (name, cpu), sum(row["log2_ns"]), row["count"])

    def count(self, name, cpu="all", what="count"):
        """A counter of a stage."""
        return self.stages[name][cpu][what]


def pairs(words):
    """{name: number} of name, number, name, number."""
    return {name: int(value) for name, value in zip(words[::2], words[1::2])}


def events():
    """The log of events, in the order of their times: [{"time": ..., "cpu": ..., "what": ..., ...}]."""
    lines = kernel.read(path("log/events")).splitlines()
    ktap.equal("first and last line", (lines[0], lines[-1]), ("rsoftnet-log 1", "end"))
    ktap.check(lines[1].startswith("lost "), "no line lost")
    found = []
    for line in lines[2:-1]:
        word, time, cpu, what, *rest = line.split()
        ktap.equal("first word", word, "event")
        row = {"time": int(time), "cpu": int(cpu[3:]), "what": what}
        row.update((name, int(value) if value.isdigit() else value) for name, value in zip(rest[::2], rest[1::2]))
        found.append(row)
    return sorted(found, key=lambda row: row["time"])


class Hits:
    """Hits of a tracepoint, counted by the kernel's own histograms."""

    def __init__(self, event, key, filter_=""):
        self.base = EVENTS + event
        if not os.path.exists(self.base + "/hist"):
            raise ktap.Skip("no histograms of tracepoints in this kernel")
        self.key = key
        self.trigger = "hist:keys=%s%s" % (key, " if " + filter_ if filter_ else "")

    def __enter__(self):
        kernel.write(self.base + "/trigger", self.trigger)
        return self

    def __exit__(self, *_):
        kernel.write(self.base + "/trigger", "!" + self.trigger)

    def rows(self):
        """[(text of the key, hits)]."""
        return [(key, int(count)) for key, count in
                re.findall(r"\{ ([^}]*)\} hitcount: +(\d+)", kernel.read(self.base + "/hist"))]

    def total(self):
        """All of them."""
        return int(re.search(r"Hits: (\d+)", kernel.read(self.base + "/hist"))[1])


def softirqs(name="NET_RX"):
    """/proc/softirqs: {cpu: number}."""
    lines = kernel.read("/proc/softirqs").splitlines()
    cpus = [int(word[3:]) for word in lines[0].split()]
    for line in lines[1:]:
        word, *numbers = line.split()
        if word == name + ":":
            return dict(zip(cpus, map(int, numbers)))
    raise ktap.Failure("no %s in /proc/softirqs" % name)
