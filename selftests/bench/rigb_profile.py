#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Where the instructions go that a row of rigb.py counts, with igb and with rigb: rigb_profile.py OUT [--row N]

selftests/bench/run.sh --rigb-profile calls it. In the exact lane QEMU logs each instruction that the one CPU executes while
packets are sent and received: both ends, the stack and the programs. They are counted by function, interrupts and all, which
single steps (rigb_driver.py) would leave out; QEMU and the log cost no instruction. What differs is printed.
"""

import collections
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

import driver

HERE = pathlib.Path(__file__).resolve().parent
MODULES = ("igb", "rigb", "rnet")
# Functions that differ by fewer instructions for a packet are shown together.
LEAST = 4
USER = "(user space)"
# What the guest calls before and after what is counted.
MARK = "__x64_sys_getpgid"


class Machine:
    """QEMU's monitor, for people: it takes a line and prints."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(path)
        self.sock.settimeout(60)
        self.answer()

    def answer(self):
        """Up to the prompt."""
        text = b""
        while not text.endswith(b"(qemu) "):
            more = self.sock.recv(4096)
            if not more:
                raise driver.Failure("profile: the machine has ended")
            text += more

    def tell(self, line):
        """A command."""
        self.sock.sendall(line.encode() + b"\n")
        self.answer()


def counted(log, symbols):
    """{(function, module): instructions} of a log."""
    places, found = collections.Counter(), collections.Counter()
    mark, inside = "%016x" % symbols.by_name[MARK], False
    with open(log, encoding="ascii", errors="replace") as lines:
        for line in lines:
            # Trace CPU: host address [cs_base/pc/flags/cflags] function
            if not line.startswith("Trace"):
                continue
            place = line.split("/", 2)[1]
            inside ^= place == mark
            places[place] += inside
    for place, number in places.items():
        address = int(place, 16)
        start, name, module = symbols.find(address) if address >> 63 else (0, USER, "")
        found[name if start or name == USER else "?", module] += number
    return found


def profile(out, row):
    """({drivers: counts}, packets) from one boot."""
    for old in out.glob("*-*"):
        old.unlink()
    port = subprocess.run([sys.executable, "-B", str(HERE / "../lib/port.py")], capture_output=True, text=True, check=True).stdout
    found = {}
    with tempfile.TemporaryDirectory(prefix="rnet-hmp-") as directory:
        path = directory + "/hmp"
        command = [str(HERE / "../vm/run"), "--lane", "exact", "--time-limit", "900", "--module", "rigb.ko", "--out", str(out),
                   "--qemu-args", port.strip() + " -chardev socket,id=hmp,path=%s,server=on,wait=off -mon chardev=hmp,mode=readline" % path,
                   "--", "python3", "-B", str(HERE / "rigb_profile_guest.py"), str(row)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            try:
                machine = None
                for side in ("igb", "rigb"):
                    driver.wait_for(out / ("ready-" + side), process, 300)
                    machine = machine or Machine(path)
                    log = out / ("log-" + side)
                    for line in ("logfile %s" % log, "one-insn-per-tb on", "log exec,nochain"):
                        machine.tell(line)
                    (out / ("go-" + side)).touch()
                    driver.wait_for(out / ("done-" + side), process, 300)
                    for line in ("log none", "one-insn-per-tb off"):
                        machine.tell(line)
                    found[side] = counted(log, driver.Symbols(out / ("symbols-" + side)))
                    log.unlink()
                    (out / ("seen-" + side)).touch()
                    print("profile: %s: %d instructions" % (side, sum(found[side].values())), file=sys.stderr, flush=True)
                status = process.wait(120)
            finally:
                process.terminate()
        if status:
            raise driver.Failure("profile: the VM ended with status %d" % status)
    return found, int((out / "packets").read_text())


def table(found, packets):
    """Lines: parts, then functions that differ most."""
    igb, rigb = found["igb"], found["rigb"]

    def line(name, one, two):
        return "%-70s %8.0f %8.0f %+8.0f" % (name[-70:], one / packets, two / packets, (two - one) / packets)

    def part(counts, wanted):
        return sum(number for key, number in counts.items() if wanted(key))
    lines = ["%-70s %8s %8s %8s" % ("instructions for a packet", "igb", "rigb", "more")]
    for name, wanted in (("all", lambda key: True), ("the driver, and the layer", lambda key: key[1] in MODULES),
                         ("programs", lambda key: key[0] == USER),
                         ("the rest of the kernel", lambda key: key[1] not in MODULES and key[0] != USER)):
        lines.append(line(name, part(igb, wanted), part(rigb, wanted)))
    lines.append("")
    rest = [0, 0]
    for key in sorted(set(igb) | set(rigb), key=lambda key: igb[key] - rigb[key]):
        one, two = igb[key], rigb[key]
        if abs(two - one) < LEAST * packets:
            rest = [rest[0] + one, rest[1] + two]
            continue
        lines.append(line((driver.demangled(key[0]) if re.match("_R|_ZN", key[0]) else key[0]) + (" [%s]" % key[1] if key[1] else ""), one, two))
    return lines + [line("functions that differ by fewer than %d" % LEAST, *rest)]


def main():
    """Measures and prints."""
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    row = int(sys.argv[sys.argv.index("--row") + 1]) if "--row" in sys.argv else 3
    start = time.monotonic()
    try:
        found, packets = profile(out, row)
    except driver.Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    print("\n".join(table(found, packets)))
    (out / "profile.json").write_text(json.dumps({side: {" ".join(key): n for key, n in counts.items()} for side, counts in found.items()}))
    print("# %d packets, %.0f s" % (packets, time.monotonic() - start))
    return 0


if __name__ == "__main__":
    sys.exit(main())
