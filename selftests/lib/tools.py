# SPDX-License-Identifier: GPL-2.0
"""Programs that tests run, and what the running kernel was built with."""

import gzip
import json
import os
import re
import subprocess
import threading

import kernel
import ktap
import net

_config = {}


def config():
    """The options of the running kernel, without CONFIG_; empty if nobody says."""
    if not _config:
        release = os.uname().release
        for path in ("/proc/config.gz", "/lib/modules/%s/config" % release, "/boot/config-" + release):
            if os.path.exists(path):
                with (gzip.open if path.endswith("gz") else open)(path, "rt", encoding="ascii") as file:
                    _config.update(re.findall(r"^CONFIG_(\w+)=(.*)$", file.read(), re.M))
                break
    return _config


def need(*options):
    """Skips where the kernel was built without one of the options."""
    for option in options:
        if config() and option not in config():
            raise ktap.Skip("no CONFIG_" + option)


def attempt(command, text=None):
    """Runs a command (a string or a list): (status, output, errors)."""
    words = command.split() if isinstance(command, str) else command
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr.strip()


def run(command, text=None):
    """The output of a command that has to succeed."""
    status, out, error = attempt(command, text)
    if status:
        raise ktap.Failure("%s: %s" % (command, error or "status %d" % status))
    return out


def ip_batch(*lines):
    """Several commands of ip at once, which saves its start."""
    return run("ip -batch -", "".join(line + "\n" for line in lines))


def tc(*args):
    """Runs tc; its output, as JSON if it was asked for."""
    out = run("tc " + " ".join(args))
    return json.loads(out or "[]") if "-j" in " ".join(args).split() else out


def nft(rules):
    """Loads rules into nftables."""
    return run("nft -f -", rules)


def nft_counters():
    """All named counters: {name: (packets, bytes)}."""
    listed = json.loads(run("nft -j list counters"))["nftables"]
    return {c["counter"]["name"]: (c["counter"]["packets"], c["counter"]["bytes"]) for c in listed if "counter" in c}


def tx_packets(name="lo"):
    """How many packets a device has sent, by its statistics (ip takes long to start)."""
    return kernel.number("%s/class/net/%s/statistics/tx_packets" % (net.SYS, name))


def snmp():
    """What the protocols of this namespace count, v4 and v6: {"IpFragCreates": ..., "Ip6FragCreates": ...}."""
    out = {}
    for path in ("/proc/net/snmp", "/proc/net/netstat"):
        with open(path, encoding="ascii") as file:
            lines = [line.split() for line in file]
        for names, values in zip(lines[::2], lines[1::2]):
            out.update((names[0][:-1] + name, int(value)) for name, value in zip(names[1:], values[1:]))
    for path in ("/proc/net/snmp6", "/proc/net/sctp/snmp"):
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                out.update((name, int(value)) for name, value in map(str.split, file))
    return out


def snmp_since(before):
    """What they counted since, without zeros; some counters are there only once they are used."""
    return {key: value - before.get(key, 0) for key, value in snmp().items() if value != before.get(key, 0)}


class Program:
    """A program in the background; its output is collected line by line."""

    def __init__(self, command, ready=None):
        words = command.split() if isinstance(command, str) else command
        self.lines = []
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while ready and ready not in (line := self.process.stderr.readline()):
            ktap.check(line, "%s does not start" % words[0])
        self.thread = threading.Thread(target=self._collect, daemon=True)
        self.thread.start()

    def _collect(self):
        for line in self.process.stdout:
            if line.strip():
                self.lines.append(line.rstrip("\n"))

    def wait(self, pattern, count=1, seconds=60):
        """Waits until that many lines match."""
        ktap.wait_for("%d lines with %s" % (count, pattern),
                      lambda: sum(bool(re.search(pattern, line)) for line in list(self.lines)) >= count, seconds)

    def stop(self):
        """Ends it (SIGTERM): (its lines, what it said beside them)."""
        self.process.terminate()
        self.thread.join(30)
        errors = self.process.stderr.read()
        self.process.wait(30)
        return self.lines, errors
