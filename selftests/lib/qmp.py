# SPDX-License-Identifier: GPL-2.0
"""QEMU's monitor (QMP), from inside the VM that it runs: device_del, set_link and the like.

The VM has to have the port, which port.py asks for: a monitor of the same QEMU behind a virtio
serial port. So a test needs no second program outside.
"""

import glob
import json
import os
import select
import time

import kernel
import ktap

NAME = "qmp"


def qemu_args(unique):
    """What QEMU has to be told; `unique` tells VMs apart that run at the same time."""
    path = "path=rnet-qmp-%s,abstract=on" % unique
    return ["-chardev socket,id=qmp0,%s,server=on,wait=off" % path, "-mon chardev=qmp0,mode=control",
            "-chardev socket,id=qmp1,%s" % path, "-device virtserialport,chardev=qmp1,name=" + NAME]


def _device():
    for path in glob.glob("/sys/class/virtio-ports/*"):
        if kernel.read(path + "/name") == NAME:
            return "/dev/" + os.path.basename(path)
    raise ktap.Skip("no monitor of QEMU in this VM")


class Monitor:
    """A session. Only one at a time can have the port."""

    def __init__(self):
        self.fd = os.open(_device(), os.O_RDWR)
        self.rest = b""
        self.number = 0
        try:
            # A session before this one has done it; the port knows no sessions.
            self("qmp_capabilities")
        except ktap.Failure:
            pass

    def close(self):
        """Gives the port free."""
        os.close(self.fd)

    def _message(self, end):
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise ktap.Failure("QEMU does not answer")
            self.rest += os.read(self.fd, 65536)
        line, _, self.rest = self.rest.partition(b"\n")
        try:
            return json.loads(line)
        except ValueError:
            # The end of something that a session before this one did not read.
            return {}

    def __call__(self, command, **arguments):
        """The answer to a command; `_` in a name stands for `-`. Fails if QEMU refuses it."""
        self.number += 1
        ident = "%d.%d" % (os.getpid(), self.number)
        arguments = {name.replace("_", "-"): value for name, value in arguments.items()}
        request = json.dumps({"execute": command, "arguments": arguments, "id": ident}) + "\n"
        os.write(self.fd, request.encode())
        end = time.monotonic() + 20 * ktap.SLOW
        while True:
            answer = self._message(end)
            if answer.get("id") == ident:
                ktap.check("return" in answer, "QEMU: %s: %s" % (command, answer.get("error", {}).get("desc")))
                return answer["return"]


class Trace:
    """What QEMU's devices do meanwhile: {event: how often}, by its log in /out.

    Used as a context; `count` is filled at its end.
    """

    LOG = "/out/qemu.log"
    READ, WRITE = "e1000e_core_read", "e1000e_core_write"
    # A message, and a second one that comes when an interrupt was held back.
    MESSAGES = ("e1000e_irq_msix_notify_vec", "e1000e_irq_msix_notify_postponed_vec")

    def __init__(self, monitor, *events):
        self.monitor = monitor
        self.events = events or (self.READ, self.WRITE) + self.MESSAGES
        self.count = {}
        self.registers = {}
        if not os.path.exists(self.LOG):
            raise ktap.Skip("QEMU's log cannot be read here")

    def _enable(self, on):
        for event in self.events:
            self.monitor("trace-event-set-state", name=event, enable=on)

    def __enter__(self):
        self.start = os.path.getsize(self.LOG)
        self._enable(True)
        return self

    def __exit__(self, *_):
        self._enable(False)
        with open(self.LOG, "rb") as file:
            file.seek(self.start)
            lines = file.read().decode(errors="replace").splitlines()
        self.count = dict.fromkeys(self.events, 0)
        for line in lines:
            name, _, rest = line.partition(" ")
            if name in self.count:
                self.count[name] += 1
                if "register " in rest:
                    register = name[-5:].strip("_") + " " + rest.partition("register ")[2].partition(",")[0]
                    self.registers[register] = self.registers.get(register, 0) + 1

    def messages(self):
        """How many interrupt messages were sent."""
        return sum(self.count.get(name, 0) for name in self.MESSAGES)

    def accesses(self):
        """How many registers were read or written."""
        return self.count[self.READ] + self.count[self.WRITE]
