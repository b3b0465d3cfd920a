# SPDX-License-Identifier: GPL-2.0
"""Asks QEMU about the machine that it emulates: why a VM hangs is often not in its own log."""

import json
import os
import re
import time

# Seconds for an answer.
PATIENCE = 10
# The flag of a CPU that takes interrupts.
IF = 0x200
# How often the CPUs are looked at: one that stands still looks the same twice.
TURNS = 2


class Monitor:
    """QEMU's monitor, over a socket. Errors: OSError."""

    def __init__(self, sock):
        self.sock, self.received, self.greeted = sock, b"", False
        sock.settimeout(PATIENCE)

    def ask(self, command, **arguments):
        """What a command returns; None where QEMU refuses it, or is gone."""
        if not self.greeted:
            self.greeted = True
            self.ask("qmp_capabilities")
        self.sock.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            line, found, rest = self.received.partition(b"\n")
            if not found:
                more = self.sock.recv(1 << 16)
                if not more:
                    return None
                self.received += more
                continue
            self.received = rest
            answer = json.loads(line)
            # Events and the greeting come in between.
            if "return" in answer or "error" in answer:
                return answer.get("return")

    def print(self, line):
        """What QEMU prints for a command of its own monitor."""
        return (self.ask("human-monitor-command", **{"command-line": line}) or "").replace("\r", "")

    def cpus(self):
        """For each CPU one line: where it is, whether it takes interrupts, its timer, and the interrupts that wait for it."""
        lines = []
        for number, text in enumerate(re.split(r"^CPU#\d+$", self.print("info registers -a"), flags=re.MULTILINE)[1:]):
            apic = self.print("info lapic %d" % number)
            lines.append("CPU %d: %s; timer: %s; in service: %s; waiting: %s" % (
                number, " ".join(re.findall(r"\b(?:RIP|RFL|CPL|HLT|RSP)=\S+", text)),
                one(r"(initial_count.*)", apic), one(r"^ISR\s+(.*)", apic), one(r"^IRR\s+(.*)", apic)))
        return lines


def one(pattern, text):
    """The group of the first match."""
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1).strip() if found else "not told"


def broken(text):
    """Why no CPU of this machine.log can go on by itself, if that is the emulator's doing; else nothing.

    A CPU that is halted with interrupts on takes one that waits for it. A timer that has run down was an interrupt, which sets
    the timer again: a kernel that keeps interrupts off too long has it waiting, and does not count.
    """
    looks = {}
    for line in text.splitlines():
        number, _, rest = line.partition(": ")
        looks.setdefault(number, []).append(rest)
    for number, seen in looks.items():
        if len(seen) != TURNS or not number.startswith("CPU "):
            continue
        if all("HLT=1" in look and int(one(r"RFL=(\w+)", look), 16) & IF and not look.endswith("waiting: (none)") for look in seen):
            return "%s sleeps, and is not woken by the interrupt that waits for it" % number
        if len({one(r"(initial_count = [1-9]\d* current_count = 0);", look) for look in seen} - {"not told"}) == 1 and all(
                "current_count = 0; in service: (none); waiting: (none)" in look for look in seen):
            return "the timer of %s has run down, and its interrupt has not come" % number
    return ""


def describe(sock, out):
    """machine.log in a directory, once: what QEMU knows of the CPUs. Where QEMU itself hangs, its monitor does not answer."""
    path = os.path.join(out, "machine.log")
    if os.path.exists(path):
        return
    with open(path, "w", encoding="utf-8") as file:
        try:
            monitor = Monitor(sock)
            for turn in range(TURNS):
                time.sleep(turn)
                print(*monitor.cpus(), sep="\n", file=file, flush=True)
        except (OSError, ValueError) as error:
            print("QEMU's monitor did not answer: %s" % error, file=file)


def backtrace(sock):
    """A VM that hangs says where: an NMI makes it panic with a backtrace."""
    try:
        Monitor(sock).ask("inject-nmi")
        time.sleep(3)
    except (OSError, ValueError):
        pass
