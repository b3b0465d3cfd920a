#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""All that can be asked about lo, field by field: rlo answers as the kernel's lo does.

After the same traffic in each lane every answer is taken apart into fields
(keys of JSON, netlink attributes, files, lines) and compared with what the
kernel's lo says in the same boot.  DIFFERENCES is the whole list of fields that
may differ; Documentation/differences.rst has the same list.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import fcntl
import fnmatch
import json
import re
import socket
import struct
import subprocess

import kernel
import ktap
import net
import netlink

# (field, lanes in which it differs from a kernel without rlo, why).
DIFFERENCES = (
    ("sysfs rlo", "lo takeover replacement", "rlo's own files"),
    ("sysfs rlo/*", "lo takeover replacement", "rlo's own files"),
    ("modules in use", "replacement", "the namespace keeps rlo loaded"),
    ("hits of a probe on loopback_xmit", "takeover replacement", "another function transmits"),
)
TABLE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../Documentation/differences.rst")

# Fields that hold times, which differ from one look to the next, and the bytes of them that do.
TIMES = (
    ("rtnetlink addresses * attribute 6", slice(8, 16)),
    ("rtnetlink multicast * attribute 6", slice(8, 16)),
    ("rtnetlink neighbours * attribute 3", slice(0, 12)),
    # Last change, and a random time near one that is told apart.
    ("rtnetlink link* attribute 26 * attribute 10 * attribute 5", slice(4, 12)),
    ("ip -s ntable show dev lo.*.reachable", slice(0, None)),
)

ETHTOOL = ("-k", "-T", "-i", "-g", "-l", "-c", "-a", "-S", "-x", "-m", "-d", "-e", "-n", "-P", "", "--show-eee", "--show-fec",
           "--show-priv-flags", "--show-module", "--show-pse", "--show-mm", "--show-phys", "--get-plca-cfg",
           "--show-tunnels", "-w", "--get-phy-tunable", "--show-time-stamping")

SIOCETHTOOL, SIOCGIFCONF = 0x8946, 0x8912
# Of a device: name's index, flags, metric, memory, MTU, hardware address, map, queue length; PHY; time stamps; private.
IOCTLS = (0x8913, 0x891d, 0x891f, 0x8921, 0x8927, 0x8933, 0x8942, 0x8970, 0x8947, 0x8948, 0x89b0, 0x89b1, 0x89f0, 0x8994)
# ETHTOOL_*: 0x53 is beyond the last.
ETHTOOL_COMMANDS = range(0x54)
# ETHTOOL_MSG_USER_*.
ETHTOOL_MESSAGES = range(1, 52)
RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH, RTM_GETNEIGHTBL = 18, 22, 26, 30, 66
RTM_GETQDISC, RTM_GETMULTICAST, RTM_GETANYCAST, RTM_GETNETCONF, RTM_GETSTATS = 38, 58, 62, 82, 94
AF_BRIDGE, AF_MPLS = 7, 28
IFLA_EXT_MASK, IFLA_AF_SPEC, AF_SPEC = 29, 26, -1
TRACING, NOT_HERE = "/sys/kernel/tracing", "not in this kernel"
# NETDEV_CMD_*: devices, page pools and their statistics, queues, NAPIs, statistics of queues.
NETDEV_DUMPS = (1, 5, 9, 10, 11, 12)


def traffic():
    """The same packets in each lane, among them what is counted apart."""
    net.pin(net.cpus()[0])
    for address in ("127.0.0.1", "::1"):
        net.send_udp(net.udp_pair(address), 20, 500)
        ktap.equal("ping", subprocess.run(["ping", "-q", "-c", "3", "-i", "0.01", address],
                                          capture_output=True, check=False).returncode, 0)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind(("lo", 0))
        for target in (bytes(6), b"\x02\0\0\0\0\x09", b"\xff" * 6, b"\x01\0\x5e\0\0\x01"):
            # A protocol that nobody takes, IP without an IP header, 802.3, a VLAN tag.
            for protocol in (b"\x88\xb5", b"\x08\0", b"\x86\xdd", b"\0\x20", b"\x81\0\0\x05\x88\xb5"):
                sock.send(target + bytes(6) + protocol + bytes(60))
    # In the order of the backlog of one CPU: what was sent before has been counted.
    net.send_udp(net.udp_pair("127.0.0.1"), 1, 500)


# --- the fields -------------------------------------------------------------------

def flatten(prefix, value):
    """{path: value} of what JSON holds."""
    if isinstance(value, (dict, list)) and value:
        found = {}
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found.update(flatten("%s.%s" % (prefix, key), inner))
        return found
    return {prefix: repr(value)}


def of_ip():
    """ip, as JSON."""
    found = {}
    for what in ("-d -s -s link show lo", "-d -s addr show lo", "-d -4 route show table all", "-d -6 route show table all",
                 "rule show", "neigh show dev lo nud all", "maddr show dev lo", "netconf show dev lo",
                 "stats show dev lo", "-s ntable show dev lo", "addrlabel list", "-d token"):
        found.update(flatten("ip " + what, net.ip("-j", what)))
    found.update(flatten("tc qdisc", json.loads(subprocess.run(
        ["tc", "-j", "-s", "-d", "qdisc", "show", "dev", "lo"], capture_output=True, text=True, check=True).stdout)))
    return found


def of_ethtool(options=ETHTOOL):
    """The program ethtool: status, words of refusal, and each line of the answer."""
    found = {}
    for option in options:
        done = subprocess.run(["ethtool"] + option.split() + ["lo"], capture_output=True, text=True, check=False)
        name = "ethtool " + option
        found[name + " status"] = "%d %s" % (done.returncode, done.stderr.strip())
        for number, line in enumerate(done.stdout.splitlines()):
            field, _, value = line.strip().partition(":")
            found["%s %d %s" % (name, number, field)] = value.strip()
    return found


def tree(name, top, skip=()):
    """Every file below: its mode, its owner and its text, or the error of reading it."""
    found = {}
    for directory, names, files in os.walk(top):
        names[:] = sorted(n for n in names if os.path.join(directory, n) not in skip)
        for entry in names + files:
            path = os.path.join(directory, entry)
            status = os.lstat(path)
            text = "%o %d:%d " % (status.st_mode, status.st_uid, status.st_gid)
            if os.path.islink(path):
                text += os.readlink(path)
            elif not os.path.isdir(path):
                try:
                    text += kernel.read(path)
                except (OSError, UnicodeDecodeError) as error:
                    text += "error %s" % getattr(error, "errno", error)
            found["%s %s" % (name, os.path.relpath(path, top))] = text
    return found


def of_files(env):
    """sysfs, sysctl and /proc/net."""
    found = tree("sysfs", env.lo + "/")
    for name in ("ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh", "mpls/conf"):
        found.update(tree("sysctl " + name, "/proc/sys/net/%s/lo" % name))
    for name in ("dev", "dev_mcast", "igmp", "igmp6", "if_inet6", "route", "ipv6_route", "anycast6", "dev_snmp6/lo",
                 "fib_trie", "ptype", "wireless"):
        try:
            lines = kernel.read("/proc/net/" + name).splitlines()
        except FileNotFoundError:
            lines = ["no file"]
        for number, line in enumerate(lines):
            found["/proc/net/%s %d" % (name, number)] = line
    found["devices in sysfs"] = repr(sorted(os.listdir(env.sys + "/class/net")))
    found["virtual devices in sysfs"] = repr(sorted(os.listdir(env.sys + "/devices/virtual/net")))
    return found


def of_rtnetlink():
    """Dumps and single answers of rtnetlink, an attribute a field."""
    sock, found = netlink.Socket(), {}
    link = lambda family, index: struct.pack("BxHiII", family, 0, index, 0, 0)
    asked = [("link", RTM_GETLINK, link(0, 1) + netlink.attribute(IFLA_EXT_MASK, 0xff), False, 16)]
    asked += [("links of family %d" % f, RTM_GETLINK, link(f, 0) + netlink.attribute(IFLA_EXT_MASK, 0x7f), True, 16)
              for f in (0, AF_BRIDGE)]
    asked += [("netconf %d" % f, RTM_GETNETCONF, struct.pack("B3x", f), True, 4)
              for f in (socket.AF_INET, socket.AF_INET6, AF_MPLS)]
    asked += [("netconf of lo %d" % f, RTM_GETNETCONF, struct.pack("B3x", f) + netlink.attribute(1, 1), False, 4)
              for f in (socket.AF_INET, socket.AF_INET6, AF_MPLS)]
    asked += [("stats", RTM_GETSTATS, struct.pack("BxHII", 0, 0, 1, 0x1f), False, 12),
              ("all stats", RTM_GETSTATS, struct.pack("BxHII", 0, 0, 0, 0x1f), True, 12),
              ("addresses", RTM_GETADDR, struct.pack("BBBBi", 0, 0, 0, 0, 0), True, 8),
              ("qdiscs", RTM_GETQDISC, struct.pack("BxHiIII", 0, 0, 1, 0, 0, 0), True, 20)]
    asked += [("multicast %d" % f, RTM_GETMULTICAST, struct.pack("BBBBi", f, 0, 0, 0, 0), True, 8)
              for f in (socket.AF_INET, socket.AF_INET6)]
    asked += [("anycast", RTM_GETANYCAST, struct.pack("BBBBi", socket.AF_INET6, 0, 0, 0, 0), True, 8),
              ("neighbours", RTM_GETNEIGH, struct.pack("BxHiHBB", 0, 0, 0, 0, 0, 0), True, 12)]
    for name, kind, payload, dump, header in asked:
        answers, error = sock.ask(kind, payload, dump)
        found["rtnetlink %s error" % name] = error
        for number, answer in enumerate(answers):
            found["rtnetlink %s %d header" % (name, number)] = answer[:header].hex()
            found.update(nested("rtnetlink %s %d" % (name, number), answer[header:], kind))
    return found


def nested(name, data, kind):
    """Attributes; those of RTM_GETLINK that hold others are taken apart."""
    found = {}
    for number, (attribute, value) in enumerate(netlink.attributes(data)):
        field = "%s %d attribute %d" % (name, number, attribute)
        if kind == RTM_GETLINK and attribute == IFLA_AF_SPEC:
            found.update(nested(field, value, AF_SPEC))
        elif kind == AF_SPEC and attribute == socket.AF_INET6:
            found.update(nested(field, value, 0))
        else:
            found[field] = value.hex()
    return found


def of_genl():
    """The families netdev and ethtool, and each ethtool ioctl; those that set get zeros."""
    sock, found = netlink.Socket(netlink.NETLINK_GENERIC), {}
    for family, commands in (("netdev", NETDEV_DUMPS), ("ethtool", ETHTOOL_MESSAGES)):
        number = sock.family(family)
        for command in commands:
            if family == "netdev":
                answers, error = sock.ask(number, netlink.genl(command), True)
            else:
                header = netlink.attribute(1 | 0x8000, netlink.attribute(2, "lo"))
                answers, error = sock.ask(number, netlink.genl(command, header))
            found["netlink %s %d error" % (family, command)] = error
            for at, answer in enumerate(answers):
                found.update(nested("netlink %s %d %d" % (family, command, at), answer[4:], 0))
    return found


def of_ioctls():
    """ioctls about a device, and all of ethtool: error, and what was written."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for request in IOCTLS:
            arg = bytearray(b"lo".ljust(40, b"\0"))
            found["ioctl %#x" % request] = ktap.error_of(fcntl.ioctl, sock, request, arg) + " " + arg.hex()
        for command in ETHTOOL_COMMANDS:
            data = Buffer(command)
            arg = bytearray(struct.pack("16sQ16x", b"lo", data.address))
            found["ioctl ethtool %#x" % command] = ktap.error_of(fcntl.ioctl, sock, SIOCETHTOOL, arg) + " " + data.text()
    return found


class Buffer:
    """Memory for an ethtool command."""

    def __init__(self, command):
        import ctypes  # pylint: disable=import-outside-toplevel
        self.memory = ctypes.create_string_buffer(struct.pack("I", command), 4096)
        self.address = ctypes.addressof(self.memory)

    def text(self):
        """What it holds, without the zeros at its end."""
        return self.memory.raw.rstrip(b"\0").hex()


# --- the comparison -----------------------------------------------------------------

def probe_loopback_xmit():
    """Counts calls of the kernel's own transmit function from now on; False where that cannot be."""
    try:
        kernel.write(TRACING + "/kprobe_events", "p:rnet/lo loopback_xmit")
        kernel.write(TRACING + "/events/rnet/lo/enable", "1")
    except OSError:
        return False
    return True


def probe_hits():
    """How many there were; ends it."""
    hits = [line.split()[-2] for line in kernel.read(TRACING + "/kprobe_profile").splitlines() if "rnet_lo" in line
            or line.split()[0] == "lo"]
    kernel.write(TRACING + "/events/rnet/lo/enable", "0")
    kernel.write(TRACING + "/kprobe_events", "-:rnet/lo")
    return " ".join(hits)


def in_use():
    """{module: how often it is in use}."""
    return {line.split()[0]: int(line.split()[2]) for line in kernel.read("/proc/modules").splitlines()}


def look(lane):
    """Every field, in a new namespace that has seen no traffic but ours; lane "" is without rlo."""
    before, fields = in_use(), {}
    if lane:
        env = net.enter(lane)
    else:
        os.unshare(os.CLONE_NEWNET)
        net.mount_sys()
        env = net.Env("lo", net.SYS)
        net.set_up("lo")
    after = in_use()
    fields["modules in use"] = repr([name for name in after if name in before and after[name] > before[name]])
    probed = probe_loopback_xmit()
    traffic()
    fields["hits of a probe on loopback_xmit"] = probe_hits() if probed else NOT_HERE
    for part in (of_ip(), of_ethtool(), of_files(env), of_rtnetlink(), of_genl(), of_ioctls()):
        fields.update(part)
    # What those that set have left behind.
    for key, value in (of_ethtool(("-k", "")) | tree("sysfs", env.lo + "/", skip=(env.lo + "/rlo",))).items():
        fields["afterwards: " + key] = value
    done = subprocess.run("ip link add d0 type dummy".split(), capture_output=True, text=True, check=False)
    fields["next index"] = NOT_HERE if done.returncode else str(socket.if_nametoindex("d0"))
    for pattern, part in TIMES:
        for name in fnmatch.filter(fields, pattern):
            value = bytearray.fromhex(fields[name]) if name.startswith("rtnetlink") else bytearray(fields[name].encode())
            value[part] = bytes(len(value[part]))
            fields[name] = value.hex()
    return fields


def without_rlo():
    """What a kernel says in which rlo is not loaded, kept for the next case of this run."""
    path = "/tmp/rnet-attributes-%d.json" % os.getppid()
    if not os.path.exists(path):
        def remove():
            return ktap.error_of(kernel.rmmod, "rlo") == ""
        ktap.wait_for("rlo can be removed", remove, 60)
        try:
            fields = ktap.value_of(look, "")
        finally:
            kernel.insmod("rlo")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(fields, file)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


@ktap.case(net.LANES, limit=200)
def same_as_lo(lane):
    """Each field is that of a kernel without rlo, and nothing else is there, but for DIFFERENCES, all of which are seen."""
    want = without_rlo()
    got = ktap.value_of(look, lane, limit=100)
    ktap.check(len(want) > 1000, "only %d fields" % len(want))
    listed = [pattern for pattern, lanes, _ in DIFFERENCES if lane in lanes.split()]
    wrong, seen = [], set()
    for key in sorted(set(want) | set(got)):
        hit = [pattern for pattern in listed if fnmatch.fnmatchcase(key, pattern)]
        if got.get(key) != want.get(key):
            seen.update(hit)
            if not hit:
                wrong.append("%s: %r, not %r" % (key, got.get(key), want.get(key)))
        elif want[key] == NOT_HERE:
            seen.update(hit)
    wrong += ["%s: listed as different, but it is not" % pattern for pattern in listed if pattern not in seen]
    ktap.check(not wrong, "\n".join(wrong))


@ktap.case()
def documented():
    """Documentation/differences.rst has the same list."""
    if not os.path.exists(TABLE):
        raise ktap.Skip("the documentation is not here")
    rows = re.findall(r"^   \* - ``(.+)``\n     - (.+)\n     - (.+)\n", kernel.read(TABLE) + "\n", re.M)
    ktap.equal("the table of Documentation/differences.rst", rows,
               [(field, " ".join(lanes.split()), why) for field, lanes, why in DIFFERENCES])


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
