# SPDX-License-Identifier: GPL-2.0
"""rlo's receive queues: switched on, set and read with ethtool."""

import re
import subprocess

import ktap
import net


def fresh(how="napi"):
    """A namespace on rlo with a delivery."""
    env = net.enter("replacement")
    env.deliver(how)
    return env


def ethtool(*args):
    """(status, output, errors)"""
    done = subprocess.run(["ethtool", *map(str, args)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def setting(*args):
    """ethtool, which has to succeed; its output."""
    status, out, errors = ethtool(*args)
    ktap.check(status == 0, "ethtool %s: %s" % (" ".join(map(str, args)), errors.strip()))
    return out


def counters():
    """ethtool -S: {name: value}, and the sum over queues without their number."""
    found = {name: int(value) for name, value in re.findall(r"^\s+(\w+): (\d+)$", setting("-S", "lo"), re.M)}
    for name in list(found):
        plain = re.sub(r"^rx\d+_", "", name)
        found[plain] = found.get(plain, 0) + found[name]
    return found
