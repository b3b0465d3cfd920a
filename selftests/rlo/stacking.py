#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""lo and other devices: what refuses lo refuses rlo with the same error and words, what works works and is undone
the same; local traffic goes on while another device is removed.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import fcntl
import glob
import json
import shlex
import socket
import struct
import subprocess
import time

import kernel
import ktap
import net
import netlink

# Devices that others are put below or beside; what the kernel lacks is lacking in each lane.
OTHERS = ("vrf0 type vrf table 10", "br0 type bridge", "bond0 type bond", "team0 type team", "d0 type dummy",
          "v0 type veth peer name v1")
# (what is done, how it is undone), as arguments of ip unless a program is named.
CHANGES = (
    [("link set lo master " + name, "link set lo nomaster") for name in ("vrf0", "br0", "bond0", "team0", "d0", "lo")]
    + [("link add link lo name x0 type " + kind, "link del x0") for kind in (
        "macvlan mode bridge", "macvlan mode private", "macvlan mode passthru", "macvtap", "ipvlan mode l2", "ipvlan mode l3",
        "ipvtap", "vlan id 5", "vlan protocol 802.1ad id 5", "macsec")]
    + [("link add x0 type " + kind, "link del x0") for kind in (
        "vxlan id 7 dev lo remote 127.0.0.2 dstport 4789", "vxlan id 7 dev lo group 239.1.1.1 dstport 4789",
        "vxlan id 7 dev lo local ::1 remote ::1 dstport 4789", "gre local 127.0.0.1 remote 127.0.0.2 dev lo",
        "gretap local 127.0.0.1 remote 127.0.0.2 dev lo", "ipip local 127.0.0.1 remote 127.0.0.2 dev lo",
        "sit local 127.0.0.1 remote 127.0.0.2 dev lo", "ip6tnl local ::1 remote 2001:db8::1 dev lo",
        "ip6gre local ::1 remote 2001:db8::1 dev lo", "vti local 127.0.0.1 remote 127.0.0.2 dev lo",
        "hsr slave1 lo slave2 d0", "macvlan", "vlan id 5")]
    + [("link set lo " + what, undo and "link set lo " + undo) for what, undo in (
        ("down", "up"), ("promisc on", "promisc off"), ("allmulticast on", "allmulticast off"),
        ("multicast on", "multicast off"), ("arp off", "arp on"), ("dynamic on", "dynamic off"), ("trailers on", "trailers off"),
        ("group 5", "group 0"), ("alias another", "alias ''"), ("txqueuelen 5", "txqueuelen 1000"), ("txqueuelen 0", "txqueuelen 1000"),
        ("carrier off", "carrier on"), ("carrier on", ""), ("protodown on", "protodown off"),
        ("mode dormant", "mode default"), ("address 01:00:00:00:00:01", ""), ("broadcast ff:ff:ff:ff:ff:ff", "broadcast 00:00:00:00:00:00"), ("netns 1", ""),
        ("addrgenmode none", "addrgenmode eui64"), ("vf 0 mac 02:00:00:00:00:01", ""), ("xdp off", ""), ("mtu 0", "mtu 65536"),
        ("mtu 67", "mtu 65536"), ("mtu 1279", "mtu 65536"), ("mtu 2147483647", "mtu 65536"),
        ("gso_max_size 524281", ""), ("gro_max_size 524281", ""), ("gso_ipv4_max_size 524281", ""),
        ("type vrf table 5", ""), ("type bridge_slave hairpin on", ""), ("name lo", ""))]
    + [("link set lo name other", "link set other name lo"), ("link property add dev lo altname other", "link property del dev lo altname other"), ("link del lo", ""),
       ("link del dev lo type dummy", ""), ("link add lo type dummy", ""), ("link add name x0 index 1 type dummy", "link del x0"),
       ("neigh add 127.0.0.9 lladdr 02:00:00:00:00:01 dev lo", "neigh del 127.0.0.9 dev lo"),
       ("neigh add 2001:db8::9 lladdr 02:00:00:00:00:01 dev lo", "neigh del 2001:db8::9 dev lo"),
       ("neigh add proxy 192.0.2.9 dev lo", "neigh del proxy 192.0.2.9 dev lo"),
       ("maddr add 33:33:00:00:00:05 dev lo", "maddr del 33:33:00:00:00:05 dev lo"),
       ("addr add 192.0.2.5/24 dev lo", "addr del 192.0.2.5/24 dev lo"),
       ("addr add 2001:db8::5/64 dev lo", "addr del 2001:db8::5/64 dev lo"),
       ("route add 198.51.100.0/24 dev lo", "route del 198.51.100.0/24 dev lo"),
       ("route add default via 127.0.0.2 dev lo", ""), ("token set ::5 dev lo", ""), ("netconf show dev lo", ""),
       ("bridge fdb add 02:00:00:00:00:01 dev lo", "bridge fdb del 02:00:00:00:00:01 dev lo"),
       ("bridge vlan add vid 5 dev lo", ""), ("bridge link set dev lo cost 5", ""), ("bridge mdb add dev lo port lo grp 239.1.1.1", ""),
       ("ethtool -s lo speed 1000", ""), ("ethtool -s lo wol g", ""), ("ethtool -A lo rx on", ""), ("ethtool -G lo rx 5", ""),
       ("ethtool -L lo combined 2", ""), ("ethtool -C lo rx-usecs 1", ""), ("ethtool -r lo", ""), ("ethtool -t lo", ""),
       ("ethtool -p lo 1", ""), ("ethtool -K lo lro on", ""), ("ethtool -K lo tso off", "ethtool -K lo tso on"),
       ("ethtool -K lo rx off", ""), ("ethtool -K lo hw-tc-offload on", ""), ("ethtool --reset lo all", ""),
       ("ethtool -X lo equal 1", ""), ("ethtool -N lo rx-flow-hash tcp4 sd", ""),
       # Nothing undoes these: an address of zeros is refused, and the state comes from a person now.
       ("link set lo address 02:00:00:00:00:01", ""), ("link set lo address 00:00:00:00:00:00", ""),
       ("link set lo state dormant", ""), ("link set lo state up", "")])

RTM_GETLINK, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_STATS, IFLA_STATS64, IFLA_AF_SPEC = 18, 3, 4, 5, 7, 23, 26
# Changes of the carrier: all, up, down.
COUNTED = ("attribute 35", "attribute 47", "attribute 48")
IFF_BITS = range(16)
TURNS = 2
FALLBACK = "/proc/sys/net/core/fb_tunnels_only_for_init_net"
# SIOC*: name, flags, metric, memory, MTU, hardware address, broadcast, map, queue length, link, multicast, PHY, bond,
# bridge, VLAN, private.
SIOCSIFNAME = 0x8923
IOCTLS = (SIOCSIFNAME, 0x8914, 0x891e, 0x8920, 0x8922, 0x8924, 0x8937, 0x8971, 0x8943, 0x8911, 0x8931, 0x8932, 0x8949,
          0x8990, 0x8991, 0x89a2, 0x8982, 0x89f0, 0x891c, 0x8916, 0x8918, 0x891a)


class Runner:
    """Runs commands: those of ip by one process that goes on, the others by one each."""

    def __init__(self):
        self.process, self.number = None, 0

    def run(self, command):
        """0 or 1, and the words of refusal."""
        words = shlex.split(command)
        if words[0] in ("bridge", "ethtool"):
            done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
            return "%d %s" % (done.returncode != 0, done.stderr.strip())
        if not self.process:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                ["ip", "-force", "-batch", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        # What ip itself does not know ends the answer.
        self.number += 1
        self.process.stdin.write("%s\nmark%d\n" % (command, self.number))
        self.process.stdin.flush()
        lines, failed = [], False
        while True:
            line = self.process.stderr.readline().strip()
            if not line and self.process.poll() is not None:
                self.process, failed = None, True
                break
            if "mark%d" % self.number in line:
                self.process.stderr.readline()
                break
            if line.startswith("Command failed"):
                failed = True
            elif line:
                lines.append(line)
        return "%d %s" % (failed, " ".join(lines))


def run(command):
    """The same, once."""
    done = subprocess.run(["ip"] + shlex.split(command), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    return "%d %s" % (done.returncode, done.stderr.strip())


def state(sock):
    """lo, attribute by attribute, and of the others what does not differ by chance."""
    answers, error = sock.ask(RTM_GETLINK, struct.pack("BxHiII", 0, 0, 0, 0, 0), True)
    ktap.equal("error of a dump", error, "")
    found = {}
    for answer in answers:
        attributes = dict(netlink.attributes(answer[16:]))
        _, kind, index, flags, _ = struct.unpack_from("BxHiII", answer)
        name = attributes[IFLA_IFNAME].rstrip(b"\0").decode()
        if index == 1:
            found.update({"attribute %d" % number: value.hex() for number, value in attributes.items()
                          if number not in (IFLA_STATS, IFLA_STATS64, IFLA_AF_SPEC)})
            found["header"] = answer[:16].hex()
        else:
            found[name] = "%d %#x %r" % (kind, flags, [attributes.get(n, b"").hex() for n in (IFLA_MTU, IFLA_LINK)])
    return found


def differing(before, after):
    """What is new, other or gone (None); carriers change as often as they are changed: that is counted, and not undone."""
    return {key: after.get(key) for key in sorted(set(before) | set(after))
            if after.get(key) != before.get(key) and key not in COUNTED}


def undone(sock, before):
    """What is still different when nothing is any more, or after a while."""
    for _ in range(100):
        left = differing(before, state(sock))
        if not left:
            break
        time.sleep(0.02)
    return left


def change_all(_env):
    """{change: answer, what is different then, answer when it is undone, what is different still}."""
    sock, found, runner = netlink.Socket(), {}, Runner()
    for other in OTHERS:
        found["link add " + other] = [runner.run("link add " + other)]
    first = state(sock)
    for change, undo in CHANGES:
        before = state(sock)
        found[change] = result = [runner.run(change)]
        result.append(differing(before, state(sock)))
        if result[1]:
            if not undo:
                continue
            result.append(runner.run(undo))
            if undo == "link set lo up" or "mtu" in undo:
                # A small MTU takes the addresses.
                result.append([runner.run("link set lo down"), runner.run("link set lo up")])
            result.append(undone(sock, before))
    found["in the end"] = [differing(first, state(sock))]
    for address in ("127.0.0.1", "::1"):
        net.send_udp(net.udp_pair(address), 10, 1000)
    return found


def ioctl_all(_env):
    """{ioctl: error and flags then}."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        flags = struct.unpack_from("H", fcntl.ioctl(sock, net.SIOCGIFFLAGS, b"lo".ljust(40, b"\0")), 16)[0]
        for bit in IFF_BITS:
            for value in (flags ^ 1 << bit, flags):
                arg = struct.pack("16sH22x", b"lo", value)
                error = ktap.error_of(fcntl.ioctl, sock, net.SIOCSIFFLAGS, arg)
                now = fcntl.ioctl(sock, net.SIOCGIFFLAGS, b"lo".ljust(40, b"\0"))
                found["flags %#x" % value] = [error, now.hex()]
        for request in IOCTLS:
            for data in (bytes(24), b"\1".ljust(24, b"\0"), b"d0".ljust(24, b"\0"), struct.pack("H", 772) + b"\2".ljust(22, b"\0")):
                found["%#x %s" % (request, data.hex())] = [
                    ktap.error_of(fcntl.ioctl, sock, request, b"lo".ljust(16, b"\0") + data), name_of_lo(sock)]
    net.set_up("lo")
    found["lo then"] = state(netlink.Socket())
    return found


def name_of_lo(sock):
    """The name of the first device; gives it its own name back."""
    name = socket.if_indextoname(1)
    if name != "lo":
        fcntl.ioctl(sock, SIOCSIFNAME, name.encode().ljust(16, b"\0") + b"lo".ljust(24, b"\0"))
    return name


def once(lane, function):
    """What a function finds in a lane, kept for the next case of this run."""
    path = "/tmp/rnet-%s-%d-%s.json" % (function.__name__, os.getppid(), lane)
    if not os.path.exists(path):
        # Modules that are loaded by a change add no device of their own here.
        if os.path.exists(FALLBACK):
            kernel.write(FALLBACK, "1")
        found = net.in_lane(lane, function, limit=200)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(found, file)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def same(lane, function):
    """What a function finds, after it was compared with lo's."""
    want, got = once("lo", function), net.in_lane(lane, function, limit=200)
    wrong = ["%s: %r, not %r" % (key, got.get(key), want.get(key))
             for key in sorted(set(want) | set(got)) if got.get(key) != want.get(key)]
    ktap.check(not wrong, "\n".join(wrong))
    return got


@ktap.case(net.LANES, limit=400)
def changes(lane):
    """lo below, above and beside other devices; renamed, moved, deleted, changed: the same answer, the same undone."""
    got = same(lane, change_all)
    refused = [name for name, value in got.items() if str(value[0]).startswith("1")]
    ktap.check(len(refused) > 20 and len(got) - len(refused) > 20, "%d of %d changes were refused" % (len(refused), len(got)))
    left = {name: value for name, value in got.items() if value[-1] and isinstance(value[-1], dict) and len(value) > 2}
    ktap.equal("what is left of changes that were undone", left, {})


@ktap.case(net.LANES, limit=200)
def flags_and_ioctls(lane):
    """Every flag, and the old ways to change a device."""
    same(lane, ioctl_all)


def packets_in(name):
    """Packets that a device has received."""
    return net.flat_stats(name)["rx.packets"]


@ktap.case(net.LANES)
def tunnels(lane):
    """Tunnels over lo carry what is sent into them, and lo counts that."""
    env = net.enter(lane)
    for address in ("192.0.2.7/32", "2001:db8:7::1/128", "2001:db8:7::2/128", "2001:db8:7::7/128"):
        net.ip("addr add %s dev lo" % address)
    tried = 0
    for kind, one, two, target in (
            ("ipip", "127.0.0.1", "127.0.0.2", "198.51.100.1"), ("gre", "127.0.0.1", "127.0.0.2", "198.51.100.1"),
            ("ip6tnl allow-localremote", "2001:db8:7::1", "2001:db8:7::2", "2001:db8:8::1"),
            ("vxlan id 3 dstport 4789 nolocalbypass", "127.0.0.1", "127.0.0.2", "198.51.100.1")):
        ends = [("t0", one, two)] if kind.startswith("vxlan") else [("t0", one, two), ("t1", two, one)]
        results = [run("link add %s type %s local %s remote %s dev lo" % (name, kind, here, there)) for name, here, there in ends]
        if any("Unknown device type" in result or "not supported" in result for result in results):
            continue
        ktap.equal("adding " + kind, results, ["0 "] * len(ends))
        for name, _, _ in ends:
            net.set_up(name)
        net.ip("route add %s dev t0" % target)
        if len(ends) == 1:
            net.ip("neigh add %s lladdr 02:00:00:00:00:09 dev t0" % target)
        before, link, rlo = packets_in(ends[-1][0]), net.flat_stats(), env.counts()
        with socket.socket(net.family(target), socket.SOCK_DGRAM) as sock:
            # From another address than the tunnel's.
            sock.bind(("2001:db8:7::7" if ":" in target else "192.0.2.7", 0))
            for _ in range(10):
                sock.sendto(b"through a tunnel", (target, 9))
        if len(ends) == 2:
            ktap.wait_for("10 packets came out of " + kind, lambda n=ends[-1][0], b=before: packets_in(n) >= b + 10, 20)
        ktap.check(net.delta(link, net.flat_stats())["tx.packets"] >= 10, "lo did not count what went through " + kind)
        if env.is_rlo:
            ktap.check(net.delta(rlo, env.counts())["packets"] >= 10, "rlo did not count what went through " + kind)
        for name, _, _ in ends:
            net.ip("link del " + name)
        tried += 1
    if not tried:
        raise ktap.Skip("no CONFIG_NET_IPIP, CONFIG_NET_IPGRE, CONFIG_IPV6_TUNNEL or CONFIG_VXLAN")


# --- another device goes ----------------------------------------------------------

def goes(name, remove, again):
    """Local traffic while a device with addresses is removed; its own addresses work until then, and again."""
    own = ("192.0.2.1", "2001:db8:6::1")
    traffic, seen = net.Traffic(), []
    for turn in range(TURNS):
        net.ip("addr add 192.0.2.1/24 dev " + name)
        net.ip("addr add 2001:db8:6::1/64 nodad dev " + name)
        net.set_up(name)
        pairs = [net.udp_pair(address) for address in own]
        for pair in pairs:
            net.send_udp(pair, 10, 1000)
        remove()
        ktap.wait_for("%s is gone" % name, lambda: not os.path.exists("%s/class/net/%s" % (net.SYS, name)), 30)
        for pair in pairs:
            seen.append([ktap.error_of(pair[0].send, b"late"), ktap.error_of(net.udp_pair, own[0])])
        ktap.check(traffic.alive(), "the traffic ended in turn %d" % turn)
        again()
    ktap.check(traffic.stop()["datagrams"] > 0, "no traffic")
    return seen


def delete_devices(_env):
    """{device: errors of sending to its address, and of binding to it, when it is gone}."""
    found = {}
    for name, kind in (("d0", "dummy"), ("v0", "veth peer name v1")):
        result = run("link add %s type %s" % (name, kind))
        if not result.startswith("0"):
            raise ktap.Skip("no CONFIG_DUMMY or no CONFIG_VETH: " + result)
        found[name] = goes(name, lambda n=name: net.ip("link del " + n),
                           lambda n=name, k=kind: net.ip("link add %s type %s" % (n, k)))
    return found


@ktap.case(net.LANES, limit=200)
def virtual_device_goes(lane):
    """A dummy and one end of a pair are deleted, twice each."""
    got = same(lane, delete_devices)
    ktap.check(all("" not in errors[:1] for turns in got.values() for errors in turns), "a device that is gone answers: %r" % got)


@ktap.case(net.LANES, limit=120)
def nic_goes(lane):
    """A PCI network card is removed, and found again."""
    subprocess.run(["modprobe", "igb"], capture_output=True, check=False)
    cards = glob.glob("/sys/bus/pci/devices/*/net/*")
    if not cards:
        raise ktap.Skip("no network card: try selftests/vm/run --qemu-args '-device igb'")
    device = os.path.dirname(os.path.dirname(cards[0]))
    net.enter(lane)

    def fetch():
        kernel.write("/sys/bus/pci/rescan", "1")
        ktap.wait_for("the card is back", lambda: glob.glob(device + "/net/*"), 60)
        name = os.path.basename(glob.glob(device + "/net/*")[0])
        done = subprocess.run(["nsenter", "--net=/proc/1/ns/net", "ip", "link", "set", name, "netns", str(os.getpid()), "name", "nic0"],
                              capture_output=True, text=True, check=False)
        ktap.equal("moving %s here" % name, (done.returncode, done.stderr), (0, ""))
    fetch()
    goes("nic0", lambda: kernel.write(device + "/remove", "1"), fetch)


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
