#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""netpoll: the kernel's log leaves through a port (netconsole), with interrupts off, while programs send frames there."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import contextlib
import re
import signal
import socket
import struct
import threading
import time

import bpf
import kernel
import ktap
import net
import port
import tools
from viewed import KIND, SWAP, Seen, for_ours

TRACE = "/sys/kernel/tracing/instances/rnet"
PACKET_QDISC_BYPASS = 20
LINES = 300
SAID, HEARD = 6665, 6666


class Console:
    """The kernel's log, sent from the first port to the second, while it is entered."""

    def __init__(self, pair):
        self.pair = pair
        self.listener = pair.socket(1, socket.AF_INET, socket.SOCK_DGRAM)
        self.listener.bind((port.V4[1], HEARD))
        self.found, self.stop = [], threading.Event()
        self.thread = threading.Thread(target=self._listen)

    def _listen(self):
        self.listener.settimeout(0.2)
        while not self.stop.is_set():
            try:
                self.found += map(int, re.findall(rb"rnet line (\d+)\.", self.listener.recv(4096)))
            except TimeoutError:
                pass

    def __enter__(self):
        before = kernel.read("/proc/sys/kernel/printk_devkmsg")
        self.levels = kernel.read("/proc/sys/kernel/printk").split()[0], before
        mac = self.pair.link(1)["address"]
        self.pair.run(0, "modprobe netconsole netconsole=%d@%s/%%s,%d@%s/%s" % (SAID, port.V4[0], HEARD, port.V4[1], mac))
        kernel.write("/proc/sys/kernel/printk", "7")
        kernel.write("/proc/sys/kernel/printk_devkmsg", "on\n")
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.listener.close()
        kernel.write("/proc/sys/kernel/printk", self.levels[0])
        kernel.write("/proc/sys/kernel/printk_devkmsg", self.levels[1] + "\n")
        tools.run("modprobe -r netconsole")

    def say(self, numbers):
        """Lines with these numbers."""
        for number in numbers:
            kernel.write("/dev/kmsg", "<6>rnet line %d.\n" % number)


@ktap.case(limit=200)
def beside_programs():
    """Lines of the log arrive while a program sends back whatever comes, on the same queue; both go on."""
    tools.need("NETCONSOLE")
    pair = Seen("rigb-rigb")
    # One queue for both.
    pair.run(0, "ethtool -L %s combined 1")
    pair.wait_link()
    with Console(pair) as console:
        console.say(range(20))
        ktap.wait_for("the first lines", lambda: len(console.found) >= 20, 10)
        ktap.equal("lines without a program", console.found, list(range(20)))
        pair.attach(for_ours([SWAP, bpf.verdict(bpf.XDP_TX)]))
        pair.wait_link()
        stop, before = threading.Event(), pair.counters()[1]

        def flood():
            while not stop.is_set():
                try:
                    pair.send([200] * 50)
                except OSError:
                    time.sleep(0.001)
        thread = threading.Thread(target=flood)
        thread.start()
        try:
            ktap.wait_for("frames come back", lambda: pair.counters()[1] > before, 10)
            middle = pair.counters()[1]
            console.say(range(20, LINES))
            sent = pair.counters()[1] - middle
            ktap.check(sent > 0, "no frame was sent back meanwhile")
            # netpoll keeps what finds the queue locked, for some time; the other end may be too busy for some lines.
            ktap.wait_for("one of the last lines", lambda: console.found[-1] > LINES - 50, 20)
        finally:
            stop.set()
            thread.join()
        ktap.note("%d of %d lines came, %d frames were sent back meanwhile" % (len(console.found), LINES, sent))
        ktap.equal("more than once", len(set(console.found)), len(console.found))
        ktap.check(len(console.found) > LINES // 2, "only %d lines came" % len(console.found))
        # The ring is empty and whole.
        port.settled()
        for sniffer in pair.sniffers:
            sniffer.frames()
        before = pair.counters()[1]
        pair.send([100] * 40)
        ktap.equal("frames that come back", len(pair.came(1, 40)), 40)
        ktap.equal("counted", pair.counters()[1] - before, 40)
        console.say([LINES])
        ktap.wait_for("a line after that", lambda: console.found[-1] == LINES, 10)
    pair.attach(None)
    pair.wait_link()
    pair.ping()


class Polls:
    """The core's own trace of polls without a budget, while it is entered: what they claim to have received."""

    def __enter__(self):
        if not os.path.isdir(TRACE):
            try:
                os.mkdir(TRACE)
            except OSError as error:
                raise ktap.Skip("no tracing: %s" % error) from error
        kernel.write(TRACE + "/events/napi/napi_poll/filter", "budget == 0")
        kernel.write(TRACE + "/events/napi/napi_poll/enable", "1")
        return self

    def works(self):
        """Until now, one number for each poll of a port of ours."""
        found = re.findall(r"napi_poll: .* for device (\S+) work (\d+) budget 0", kernel.read(TRACE + "/trace"))
        return [int(work) for device, work in found if device == port.NAMES[0]]

    def __exit__(self, *_):
        kernel.write(TRACE + "/events/napi/napi_poll/enable", "0")
        os.rmdir(TRACE)


@contextlib.contextmanager
def flood(pair, end, cpu):
    """A process on a CPU that sends frames out of a port as fast as it can, past the queueing discipline."""
    sock = pair.socket(end, socket.AF_PACKET, socket.SOCK_RAW)
    sock.setsockopt(net.SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    sock.bind((port.NAMES[end], 0))
    frame = b"\xff" * 6 + bytes.fromhex(pair.link(end)["address"].replace(":", "")) + struct.pack("!H", KIND) + bytes(200)
    child = os.fork()
    if not child:
        net.pin(cpu)
        while True:
            try:
                sock.send(frame)
            except OSError:
                pass
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        sock.close()


@ktap.case(limit=200)
def without_budget():
    """Whoever waits for the queue has the port polled without a budget: it receives nothing there, and goes on."""
    tools.need("NETCONSOLE")
    here, *others = net.cpus()
    if not others:
        raise ktap.Skip("one CPU")
    pair = Seen("rigb-rigb")
    pair.run(0, "ethtool -L %s combined 1")
    pair.attach(for_ours([SWAP, bpf.verdict(bpf.XDP_TX)]), end=1)
    pair.wait_link()
    pair.ping()
    # While this CPU writes lines and waits for the queue, which the other one has, that one's frames come back to here.
    net.pin(here)
    for device, cpu in zip(pair.devices, (here, others[0])):
        for irq in os.listdir("%s/devices/%s/msi_irqs" % (port.PCI, device)):
            kernel.write("/proc/irq/%s/smp_affinity_list" % irq, str(cpu))
    for end in (0, 1):
        pair.run(end, "ethtool -C %s adaptive-rx off rx-usecs 0")
    with flood(pair, 0, others[0]), Console(pair) as console, Polls() as polls:
        deadline, number = time.monotonic() + 20 * ktap.SLOW, 0
        while time.monotonic() < deadline and len(polls.works()) < 20:
            console.say(range(number, number + 20))
            number += 20
        works = polls.works()
    ktap.note("%d lines, %d polls without a budget" % (number, len(works)))
    ktap.equal("received without a budget", sum(works), 0)
    pair.attach(None, end=1)
    pair.wait_link()
    pair.ping()
    with Console(pair) as console:
        console.say([number])
        ktap.wait_for("a line after that", lambda: number in console.found, 20)
    if not works:
        raise ktap.Skip("nobody found the queue taken")


if __name__ == "__main__":
    sys.exit(port.main())
