#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What can be seen of lo is the same on all three, field by field."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import json
import subprocess

import ktap
import net

# Counters and what has to differ.
NOT_COMPARED = ("stats", "stats64")


def output(*command):
    """Status and text of a command."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [done.returncode, done.stdout, done.stderr]


def tree(top, skip=()):
    """{path: text or error} of all files below."""
    found = {}
    for directory, names, files in os.walk(top):
        names[:] = sorted(n for n in names if n not in skip)
        for name in files + names:
            path = os.path.join(directory, name)
            short = path[len(top) + 1:]
            status = os.lstat(path)
            if os.path.islink(path):
                found[short] = "link"
            elif os.path.isdir(path):
                found[short] = "directory %o" % status.st_mode
            else:
                try:
                    with open(path, encoding="utf-8", errors="replace") as file:
                        text = file.read()
                except OSError as error:
                    text = "error %s" % error.errno
                found[short] = "%o %d: %s" % (status.st_mode, status.st_uid, text)
    return found


def look(lane):
    """Everything about lo in a new namespace, before anything was sent."""
    return net.in_lane(lane, lambda env: {
        "link": [{k: v for k, v in link.items() if k not in NOT_COMPARED} for link in net.ip("-d -s -j link show")],
        "link text": net.ip("-d link show lo"),
        "address": net.ip("-j -d addr show lo"),
        "routes v4": net.ip("-j -4 -d route show table all"),
        "routes v6": net.ip("-j -6 -d route show table all"),
        "rules": net.ip("-j rule"),
        "neighbours": net.ip("-j neigh show dev lo nud all"),
        "multicast": net.ip("-j maddr show dev lo"),
        "netconf": net.ip("-j netconf show dev lo"),
        "features": output("ethtool", "-k", "lo"),
        "time stamps": output("ethtool", "-T", "lo"),
        "driver": output("ethtool", "-i", "lo"),
        "settings": output("ethtool", "lo"),
        "link state": output("ethtool", "-a", "lo"),
        "channels": output("ethtool", "-l", "lo"),
        "ring": output("ethtool", "-g", "lo"),
        "coalescing": output("ethtool", "-c", "lo"),
        "private flags": output("ethtool", "--show-priv-flags", "lo"),
        "statistics": output("ethtool", "-S", "lo"),
        "sysfs": tree(env.lo, skip=("rlo", "statistics", "power")),
        "names in sysfs": sorted(n for n in os.listdir(env.lo) if n != "rlo"),
        "sysctl v4": tree("/proc/sys/net/ipv4/conf/lo"),
        "sysctl v6": {k: v for k, v in tree("/proc/sys/net/ipv6/conf/lo").items() if k != "stable_secret"},
        "neighbour table": tree("/proc/sys/net/ipv4/neigh/lo"),
        "qdisc": output("tc", "-d", "qdisc", "show", "dev", "lo"),
        "devices": sorted(os.listdir(env.sys + "/class/net")),
        "proc/net/dev": [line.split(":")[0].strip() for line in open("/proc/net/dev", encoding="ascii")],
        "if_inet6": open("/proc/net/if_inet6", encoding="ascii").read(),
        "rename": output("ip", "link", "set", "lo", "name", "lo"),
        "move": output("ip", "link", "set", "lo", "netns", "1"),
        "delete": output("ip", "link", "del", "lo"),
        "master": output("ip", "link", "set", "lo", "master", "lo"),
        "set address": output("ip", "link", "set", "lo", "address", "02:00:00:00:00:01"),
        "address then": output("ip", "-j", "link", "show", "lo"),
        "promisc": output("ip", "link", "set", "lo", "promisc", "on"),
        "tso off": output("ethtool", "-K", "lo", "tso", "off"),
        "rx off": output("ethtool", "-K", "lo", "rx", "off"),
        "sg off": output("ethtool", "-K", "lo", "sg", "off"),
        "features then": output("ethtool", "-k", "lo"),
        "gso limit": output("ip", "link", "set", "lo", "gso_max_size", "524280"),
        "gso too large": output("ip", "link", "set", "lo", "gso_max_size", "524281"),
        "gso segments": output("ip", "link", "set", "lo", "gso_max_segs", "65535"),
        "link then": output("ip", "-d", "link", "show", "lo"),
        "speed": output("ethtool", "-s", "lo", "speed", "1000"),
        "time": output("ethtool", "-C", "lo", "rx-usecs", "1"),
    })


def look_once(lane):
    """The same, kept for the next case of this run."""
    path = "/tmp/rnet-look-%d-%s.json" % (os.getppid(), lane)
    if not os.path.exists(path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(look(lane), file)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


@ktap.case(net.RLO)
def same_as_lo(lane):
    """ip, ethtool, sysfs, sysctl, addresses and routes, and the errors of what lo refuses."""
    want, got = look_once("lo"), look(lane)
    ktap.equal("interface index of lo", [l["ifindex"] for l in want["link"] if l["ifname"] == "lo"], [1])
    wrong = []
    for key, value in want.items():
        if isinstance(value, dict):
            wrong += ["%s: %s: %r, not %r" % (key, name, got[key].get(name), value.get(name))
                      for name in sorted(set(value) | set(got[key])) if got[key].get(name) != value.get(name)]
        elif got[key] != value:
            wrong.append("%s: %r, not %r" % (key, got[key], value))
    ktap.check(not wrong, "\n".join(wrong))


@ktap.case(("replacement",))
def first_of_all(lane):
    """lo is the first device, with index 1, also beside the devices that every namespace gets."""
    net.enter(lane)
    links = net.ip("-j link show")
    ktap.equal("first device", (links[0]["ifname"], links[0]["ifindex"]), ("lo", 1))
    ktap.equal("devices called lo", [l["ifname"] for l in links].count("lo"), 1)
    net.ip("link add d0 type dummy")
    ktap.check(net.ip("-j link show d0")[0]["ifindex"] > 1, "index of another device")


@ktap.case(net.LANES)
def several_addresses(lane):
    """Addresses on lo itself come and go."""
    net.enter(lane)
    for address in ("198.51.100.7/32", "2001:db8:5::7/128"):
        net.ip("addr add %s dev lo" % address)
        plain = address.split("/", maxsplit=1)[0]
        net.send_udp(net.udp_pair(plain), 5, 500)
        net.ip("addr del %s dev lo" % address)
        ktap.fails("EADDRNOTAVAIL", "binding to it afterwards", net.udp_pair, plain)
    net.ip("route add blackhole 203.0.113.0/24")
    net.ip("-6 route add unreachable 2001:db8:9::/48")
    net.ip("route flush table main")


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
