# SPDX-License-Identifier: GPL-2.0
"""Allocations of memory that fail, one after the other.

/proc/self/fail-nth lets the Nth allocation of the next system call fail; N grows until none is left.
The stack filter of the kernel's fault injection picks those that a function of a module has asked
for, itself or through the core.
"""

import collections
import errno
import os
import re
import time

import kernel
import ktap

DEBUGFS = "/sys/kernel/debug"
KINDS = ("failslab", "fail_page_alloc")
# Where modules are loaded: MODULES_VADDR to MODULES_END of x86-64, with the space before it.
MODULES = (0xffffffffa0000000, 0xffffffffff000000)
ANYBODY = (0, 0xffffffffffffffff)
TUNNELS = "/proc/sys/net/core/fb_tunnels_only_for_init_net"
# A failure may be reported as any of these.
NO_MEMORY = ("ENOMEM", "ENOBUFS", "EAGAIN")
# Whether every allocation is tried; then the cases may take longer, and more of them have to fail.
LONG = bool(os.environ.get("RNET_LONG"))
MORE = 10 if LONG else 1
# Seconds between two lines that say how far it is.
PROGRESS = 15
# An end for a loop that never comes to one.
MOST = 3000


def acpi():
    """Where the interpreter of ACPI lies: (begin, end), or nowhere."""
    found = [int(line.split()[0], 16) for line in kernel.read("/proc/kallsyms").splitlines()
             if re.match(r"\S+ [tT] acpi_(ps|ds|ns|ex|ut|rs|ev)_", line)]
    return (min(found), max(found) + 0x1000) if found else (0, 0)


def arm(who):
    """Prepares both kinds of failures for allocations with `who` on the stack."""
    if not os.path.isdir(DEBUGFS + "/failslab"):
        raise ktap.Skip("no CONFIG_FAILSLAB")
    # fail-nth would let copies from and to user space fail, too.
    if os.path.isdir(DEBUGFS + "/fail_usercopy"):
        kernel.write(DEBUGFS + "/fail_usercopy/stacktrace-depth", "32")
        kernel.write(DEBUGFS + "/fail_usercopy/require-end", "0x2")
        kernel.write(DEBUGFS + "/fail_usercopy/require-start", "0x1")
    # Devices of tunnels that every new namespace gets, where their drivers are built in; a file of the first one.
    if os.path.exists(TUNNELS):
        kernel.write(TUNNELS, "1")
    for kind in KINDS:
        values = {"ignore-gfp-wait": "N", "verbose": 0, "probability": 0, "stacktrace-depth": 32,
                  "require-start": hex(who[0]), "require-end": hex(who[1])}
        # The interpreter of ACPI does not survive it: it counts a reference too few (KASAN: use after free).
        values.update(zip(("reject-start", "reject-end"), map(hex, acpi())))
        if kind == "fail_page_alloc":
            values["min-order"] = 0
        for name, value in values.items():
            kernel.write("%s/%s/%s" % (DEBUGFS, kind, name), str(value))


class Injector:
    """The allocations of this thread that are to fail."""

    def __init__(self):
        self.fd = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
        self.errors = collections.Counter()

    def call(self, nth, function, *args):
        """(whether the Nth allocation failed, the error's name or "")."""
        os.pwrite(self.fd, b"%d" % nth, 0)
        error = ""
        try:
            function(*args)
        except OSError as failure:
            error = errno.errorcode.get(failure.errno, str(failure.errno))
        left = int(os.pread(self.fd, 32, 0).split(b"\0")[0])
        os.pwrite(self.fd, b"0", 0)
        if left == 0:
            self.errors[error or "none"] += 1
        return left == 0, error


def steps(each=8, each_long=MOST):
    """1, 2, 3, ...; from `each` on (with RNET_LONG: `each_long`) ever fewer, as each takes seconds here."""
    nth, start = 1, time.monotonic()
    said = start
    while nth < MOST:
        if time.monotonic() - said > PROGRESS:
            said = time.monotonic()
            ktap.note("allocation %d, %.0f s" % (nth, said - start))
        yield nth
        nth += 1 if nth < (each_long if LONG else each) else 1 + nth // 4
    raise ktap.Failure("still allocations left after %d" % MOST)


def share(percent, who=MODULES):
    """Of all allocations with `who` on the stack, whoever asks, so many fail from now on; 0: none."""
    arm(who)
    for kind in KINDS:
        for name, value in (("times", -1), ("interval", 1), ("task-filter", "N"), ("probability", percent)):
            kernel.write("%s/%s/%s" % (DEBUGFS, kind, name), str(value))


def release():
    """Nothing fails any more."""
    for kind in KINDS:
        for name, value in (("probability", "0"), ("require-start", "0"), ("require-end", hex(ANYBODY[1])), ("ignore-gfp-wait", "Y")):
            path = "%s/%s/%s" % (DEBUGFS, kind, name)
            if os.path.exists(path):
                kernel.write(path, value)
