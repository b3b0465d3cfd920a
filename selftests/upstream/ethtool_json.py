#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""ethtool, with "--json -l DEVICE", which the ethtool of Debian 13 does not have.

Two of the kernel's tests ask for it. The numbers are those that "ethtool -l" prints; anything
else is passed on.
"""

import json
import os
import subprocess
import sys

ETHTOOL = "/usr/sbin/ethtool"


def channels(device):
    """What "ethtool -l" prints, as newer versions have it in JSON."""
    found, suffix = {"ifname": device}, "-max"
    for line in subprocess.run([ETHTOOL, "-l", device], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
        name, _, value = line.partition(":")
        if name.startswith("Current"):
            suffix = ""
        elif value.strip().isdigit():
            found[name.lower() + suffix] = int(value)
    return [found]


def main():
    """One call."""
    if len(sys.argv) == 4 and sys.argv[1:3] == ["--json", "-l"]:
        print(json.dumps(channels(sys.argv[3])))
    else:
        os.execv(ETHTOOL, [ETHTOOL] + sys.argv[1:])


if __name__ == "__main__":
    main()
