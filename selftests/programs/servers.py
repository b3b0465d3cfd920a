# SPDX-License-Identifier: GPL-2.0
"""Servers that are started in the present network namespace, and what runs against them."""

import json
import os
import re
import shutil
import socket
import subprocess
import time

import ktap
import net

ADDRESSES = ("127.0.0.1", "::1")
# ktap makes the first longer where things are slow; runs get it here.
START_LIMIT, RUN_LIMIT = 200, 900 * ktap.SLOW


def url_host(address):
    """An address as it stands in a URL."""
    return "[%s]" % address if ":" in address else address


def run(*words, stdin=None, limit=RUN_LIMIT, env=None):
    """The output of a command; fails if its status is not 0."""
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, timeout=limit, check=False,
                              env={**os.environ, **(env or {})})
    except subprocess.TimeoutExpired:
        raise ktap.Failure("%s took longer than %d s" % (words[0], limit)) from None
    if done.returncode:
        raise ktap.Failure("%s: status %d: %s" % (" ".join(words), done.returncode,
                                                  (done.stderr or done.stdout).decode(errors="replace")[-500:]))
    return done.stdout.decode(errors="replace")


def found(what, pattern, text):
    """The groups of a pattern that has to be in a text."""
    match = re.search(pattern, text, re.M | re.S)
    if not match:
        raise ktap.Failure("%s: no %r in: %s" % (what, pattern, text[-600:]))
    return match.groups()


class Server:
    """A server in the foreground, from the moment it listens until it is stopped."""

    def __init__(self, words, port, addresses=ADDRESSES):
        self.log = "/tmp/server.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for address in addresses:
            try:
                ktap.wait_for("%s listens on %s" % (words[0], address),
                              lambda a=address: self.answers(a, port), START_LIMIT)
            except ktap.Failure:
                with open(self.log, encoding="utf-8", errors="replace") as log:
                    ktap.note(log.read()[-2000:])
                raise

    def answers(self, address, port):
        """Whether it takes connections."""
        ktap.check(self.process.poll() is None, "the server ended with status %s" % self.process.returncode)
        with socket.socket(net.family(address), socket.SOCK_STREAM) as sock:
            return sock.connect_ex((address, port)) == 0

    def stop(self):
        """Ends it."""
        self.process.terminate()
        try:
            self.process.wait(START_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise ktap.Failure("the server did not end") from None


def fresh(path, owner=None):
    """An empty directory."""
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    if owner:
        shutil.chown(path, owner, owner)
    return path


def put(path, text):
    """A file with this text; its path."""
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return path


class Results:
    """How fast it was, for information: a line of JSON each."""

    def __init__(self, program, lane):
        self.program, self.lane = program, lane

    def add(self, what, unit, value):
        """One run."""
        row = {"program": self.program, "lane": self.lane, "what": what, "unit": unit, "value": value}
        with open("/out/programs.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def timed(self, what, unit, amount, function, *args):
        """Calls a function that moves this amount."""
        start = time.monotonic()
        value = function(*args)
        self.add(what, unit, amount / (time.monotonic() - start))
        return value


class Watch:
    """That the traffic really went over lo, and through rlo where it is active."""

    def __init__(self, env):
        self.env = env
        self.before = self.count()

    def count(self):
        """What `ip -s link` says was sent, and what rlo counted."""
        return net.link_stats()["tx"]["packets"], self.env.rlo("packets")

    def check(self, least):
        """Fails unless so many packets were sent, and rlo saw as many, or none."""
        sent, seen = (after - before for after, before in zip(self.count(), self.before))
        ktap.note("%d packets over lo, rlo counted %d" % (sent, seen))
        ktap.check(sent >= least, "only %d packets were sent over lo" % sent)
        ktap.check(seen >= least if self.env.is_rlo else seen == 0, "rlo counted %d packets" % seen)
