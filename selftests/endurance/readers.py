#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Files of rlo that many read and write when what they show goes away: ENODEV, no old values, no hang."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import errno
import mmap
import re
import signal
import socket
import struct
import time

import endure
import flows
import kernel
import ktap
import net

REMOVED = endure.count(200, 8)
ENDED = endure.count(100, 3)
READERS = 3
HANG = 60 * ktap.SLOW
NAMES = ("mode", "packets", "bytes", "accepted", "dropped", "cpu0/packets", "cpu0/accepted", "active")
VALUE = re.compile(rb"\d+\n|takeover\n|replacement\n")
# Words of the shared page: how often it was loaded and removed, and the last removal that was begun.
STATE, BEGUN, STOP, FIRST = 0, 1, 2, 8


class Shared:
    """Numbers that all processes see."""

    def __init__(self):
        self.page = mmap.mmap(-1, 4096)

    def __getitem__(self, word):
        return struct.unpack_from("<Q", self.page, 8 * word)[0]

    def __setitem__(self, word, value):
        struct.pack_into("<Q", self.page, 8 * word, value)


class Reader:
    """A process that reads, or writes `active`; where it is can be seen from outside."""

    def __init__(self, shared, number, function):
        self.shared, self.word, self.name = shared, FIRST + 4 * number, "reader %d" % number
        self.pid = os.fork()
        if self.pid == 0:
            status, text, _ = ktap.run(function, self)
            if status:
                ktap.note("%s: %s" % (self.name, text))
            os._exit(status)

    def beat(self, file):
        """Another call begins, on that file."""
        self.shared[self.word] += 1
        self.shared[self.word + 1] = file

    def calls(self):
        """How many it has begun."""
        return self.shared[self.word]

    def where(self):
        """What it does, for a report."""
        try:
            stack = [line.split()[-1] for line in kernel.read("/proc/%d/stack" % self.pid).splitlines()[:6]]
        except OSError:
            stack = ["gone"]
        return "%s on %s: %s" % (self.name, NAMES[self.shared[self.word + 1]], " < ".join(stack))

    def ended(self):
        """Whether it is through."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def goes_on(readers, calls):
    """Fails unless each of them makes that many more calls, and says where it hangs."""
    start = [reader.calls() for reader in readers]
    end = time.monotonic() + HANG
    while True:
        late = [r for r, first in zip(readers, start) if r.calls() < first + calls and not r.ended()]
        if not late:
            return
        ktap.check(time.monotonic() < end, "hung: " + "; ".join(reader.where() for reader in late))
        time.sleep(0.002)


def through(readers):
    """Fails unless all end, without a failure."""
    end = time.monotonic() + HANG
    while late := [reader for reader in readers if not reader.ended()]:
        ktap.check(time.monotonic() < end, "does not end: " + "; ".join(reader.where() for reader in late))
        time.sleep(0.002)
    ktap.equal("readers", [os.waitpid(reader.pid, 0)[1] for reader in readers], [0] * len(readers))


def open_all(top):
    """Descriptors of NAMES; the last can be written to."""
    fds = []
    try:
        for name in NAMES:
            fds.append(os.open("%s/%s" % (top, name), os.O_RDWR if name == "active" else os.O_RDONLY))
    except OSError:
        for fd in fds:
            os.close(fd)
        raise
    return fds


def look(reader, fds, file, last):
    """One read; "" for a value, else the error. A counter never goes back."""
    reader.beat(file)
    try:
        value = os.pread(fds[file], 100, 0)
    except OSError as error:
        return errno.errorcode[error.errno]
    ktap.check(VALUE.fullmatch(value), "%s showed %r" % (NAMES[file], value))
    if value[:1].isdigit() and NAMES[file] != "active":
        ktap.check(int(value) >= last.get(file, 0), "%s went from %d to %s" % (NAMES[file], last.get(file, 0), value))
        last[file] = int(value)
    return ""


def write_one(reader, fd, value):
    """Writes to `active`; the error, which can only be one of two."""
    reader.beat(len(NAMES) - 1)
    error = ktap.error_of(os.write, fd, value)
    ktap.check(error in ("", "ENODEV", "EBUSY"), "writing: " + error)
    return error


def over_loads(shared, top, writes):
    """Opens and reads until the module has left and come again: from its leaving on all must be ENODEV."""
    def one_load(reader):
        first = shared[STATE]
        reader.beat(0)
        try:
            fds = open_all(top)
        except OSError as error:
            ktap.check(error.errno in (errno.ENOENT, errno.ENODEV), "opening: %s" % error)
            return 0
        # Odd states: removed, or being loaded. It is known which load the files belong to if the
        # state was the same before and after opening.
        load, last, old, step = first + first % 2, {}, 0, 0
        known = first == shared[STATE]
        # Some close while they are valid, others after the next load.
        while not shared[STOP] and shared[STATE] < load + 2 and (known or step < 50):
            file, state = step % len(NAMES), shared[STATE]
            error = look(reader, fds, file, last)
            if known and state > load:
                ktap.check(error == "ENODEV", "%s of load %d, in state %d: %s" % (NAMES[file], load, state, error or "a value"))
                old += 1
                time.sleep(0.001)
            elif error:
                ktap.check(error == "ENODEV" and (not known or shared[BEGUN] > load), "%s: %s" % (NAMES[file], error))
                time.sleep(0.001)
            if writes:
                error = write_one(reader, fds[-1], b"01"[step % 2:][:1])
                ktap.check(error == "ENODEV" or not known or state <= load, "writing after the end: " + (error or "success"))
            step += 1
        for fd in fds:
            os.close(fd)
        return old

    def body(reader):
        while not shared[STOP]:
            shared[reader.word + 2] += one_load(reader)
    return body


@ktap.case(limit=endure.limit(1800))
def over_rmmod():
    """The module leaves and comes under readers, writers and traffic."""
    env = net.enter("lo")
    ktap.wait_for("nobody uses the module", lambda: kernel.refcnt("rlo") == 0, 60)
    traffic = flows.Flows(("udp", "tcp"))
    shared = Shared()
    readers = [Reader(shared, i, over_loads(shared, env.lo + "/rlo", writes=i == 0)) for i in range(READERS)]
    progress = endure.Progress("removed while read", REMOVED)
    try:
        for i in range(REMOVED):
            goes_on(readers, 20)
            shared[BEGUN] = 2 * i + 1
            kernel.rmmod("rlo")
            shared[STATE] = 2 * i + 1
            ktap.check(not os.path.exists(env.lo + "/rlo"), "the directory is still there")
            goes_on(readers, 3)
            kernel.insmod("rlo")
            shared[STATE] = 2 * i + 2
            progress.at(i + 1, ", calls: %r" % [reader.calls() for reader in readers])
    finally:
        shared[STOP] = 1
    through(readers)
    old = [shared[reader.word + 2] for reader in readers]
    ktap.note("%d removals, calls: %r, of them on files of a module that had left: %r" % (REMOVED, [r.calls() for r in readers], old))
    ktap.check(sum(old) > 0, "nobody read what had left")
    traffic.stop()
    env.active(0)


def until_gone(fds, writes):
    """Reads all files until each has said ENODEV, and says so for ever."""
    def body(reader):
        gone, last, step = set(), {}, 0
        while len(gone) < len(fds):
            file = step % len(fds)
            step += 1
            error = look(reader, fds, file, last)
            ktap.check(error in ("", "ENODEV"), "%s: %s" % (NAMES[file], error))
            ktap.check(error or file not in gone, "%s came back" % NAMES[file])
            if error:
                gone.add(file)
            if writes and step % 3 == 0:
                write_one(reader, fds[-1], b"01"[step % 2:][:1])
        for file in range(len(fds)):
            ktap.equal("%s at last" % NAMES[file], look(reader, fds, file, last), "ENODEV")
    return body


@ktap.case(net.LANES, limit=endure.limit(1800))
def over_namespace(lane):
    """The namespace ends, in the middle of its traffic, under readers and a writer outside of it."""
    kernel.need_module("rlo")
    endure.report_waits()
    log, before, progress = kernel.Log(), endure.quiet(), endure.Progress("ended while read, " + lane, ENDED)
    for i in range(ENDED):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            status, text, env = ktap.run(net.enter, lane)
            if status:
                theirs.send(text.encode())
                os._exit(1)
            net.Traffic(("127.0.0.1",))
            socket.send_fds(theirs, [b"."], open_all(env.lo + "/rlo"))
            time.sleep(600)
            os._exit(0)
        ours.settimeout(HANG)
        text, fds, _, _ = socket.recv_fds(ours, 1000, 30)
        ktap.equal("the namespace", text, b".")
        shared = Shared()
        readers = [Reader(shared, n, until_gone(fds, writes=n == 0)) for n in range(READERS)]
        goes_on(readers, 3 * len(fds))
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        through(readers)
        for fd in fds:
            os.close(fd)
        ours.close()
        theirs.close()
        progress.at(i + 1)
    endure.nothing_left(before)
    ktap.equal("kernel's log", log.lines(endure.COMPLAINTS), [])


@ktap.finally_
def restore():
    """Loaded, as before."""
    endure.report_waits(False)
    if not kernel.loaded("rlo"):
        kernel.insmod("rlo")
    net.restore_defaults()


if __name__ == "__main__":
    sys.exit(net.main())
