# SPDX-License-Identifier: GPL-2.0
"""The backlog of a CPU made to overflow for certain, and settings that only the first namespace has.

A plug (a queue discipline) holds packets on lo and lets them go all at once: a
CPU that is transmitting does not receive meanwhile.
"""

import os
import subprocess

import kernel
import ktap

MAX_BACKLOG = "/proc/sys/net/core/netdev_max_backlog"
# Columns of softnet_stat as net.softnet() numbers them.
PROCESSED, DROPPED, RECEIVED_RPS, FLOW_LIMIT = 1, 2, 10, 11


class Setting:
    """A file that has another value for a while; skips where the kernel lacks it, and says which option it is."""

    def __init__(self, path, value, option):
        self.path, self.value, self.option, self.old = path, str(value), option, None

    def __enter__(self):
        if not os.path.exists(self.path):
            raise ktap.Skip("no " + self.option)
        self.old = kernel.read(self.path)
        kernel.write(self.path, self.value)
        return self

    def __exit__(self, *_):
        kernel.write(self.path, self.old)


class Plug:
    """Holds what is sent on a device back until release()."""

    def __init__(self, name="lo"):
        self.name = name
        self._tc("add", "")
        self._tc("change", "block")

    def _tc(self, verb, action):
        command = "tc qdisc %s dev %s root plug %s" % (verb, self.name, action)
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        if done.returncode and verb == "add":
            raise ktap.Skip("no CONFIG_NET_SCH_PLUG: " + done.stderr.strip())
        ktap.equal("status of " + command, done.returncode, 0)

    def block(self):
        """Holds what is sent from now on."""
        self._tc("change", "block")

    def release(self):
        """Lets everything go, and what comes later too."""
        self._tc("change", "release_indefinite")

    def remove(self):
        """Takes it away."""
        self._tc("del", "")
