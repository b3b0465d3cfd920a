#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Every hook of netfilter on the way over lo: passed once, and each can drop."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import contextlib
import re
import socket
import struct

import ktap
import net
import tools

V4_V6 = ("127.0.0.1", "::1")
# In the order in which a packet over lo passes them; the driver is between egress and ingress.
HOOKS = ("output", "postrouting", "egress", "ingress", "prerouting", "input")
PORTS = range(4000, 4000 + len(HOOKS) + 1)
COUNT, SIZE = 20, 100
SO_ORIGINAL_DST = 80


def need(*more):
    """Skips without nftables."""
    tools.need("NF_TABLES", "NF_TABLES_INET", "NF_TABLES_NETDEV", "NETFILTER_INGRESS", "NETFILTER_EGRESS", *more)


def hook_rules():
    """Counters by hook and port; each hook drops what is for its port."""
    tables = {"inet": [], "netdev": []}
    for number, hook in enumerate(HOOKS):
        family, device = ("netdev", " device lo") if hook in ("ingress", "egress") else ("inet", "")
        rules = ["udp dport %d counter name %s_%d" % (port, hook, port) for port in PORTS]
        rules.append("udp dport %d drop" % PORTS[number])
        tables[family].append("chain %s { type filter hook %s%s priority 0; %s; }" % (hook, hook, device,
                                                                                      "; ".join(rules)))
        tables[family] += ["counter %s_%d { }" % (hook, port) for port in PORTS]
    return "".join("table %s t {\n%s\n}\n" % (family, "\n".join(lines[::-1])) for family, lines in tables.items())


def receiver(address, port):
    """A socket bound to a port."""
    sock = socket.socket(net.family(address), socket.SOCK_DGRAM)
    sock.bind((address, port))
    sock.setblocking(False)
    return sock


def datagrams(sock):
    """How many wait in a socket."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while sock.recv(1000):
            count += 1
    return count


@ktap.case(net.LANES)
def hooks(lane):
    """Each hook is passed once by each packet, up to the one that drops it; the counts are exact."""
    need()
    for address in V4_V6:
        ktap.value_of(lambda: one_family(net.enter(lane), address))


def one_family(env, address):
    """The same for one address."""
    tools.nft(hook_rules())
    header = 48 if ":" in address else 28
    for number, port in enumerate(PORTS):
        dropped_by = HOOKS[number] if number < len(HOOKS) else None
        what = "dropped by %s, to %s" % (dropped_by, address)
        with receiver(address, port) as sock, socket.socket(net.family(address), socket.SOCK_DGRAM) as sender:
            before = tools.tx_packets(), env.rlo("packets")
            for _ in range(COUNT):
                # Before the device, the sender is told.
                ktap.fails("EPERM" if dropped_by in ("output", "postrouting") else "", "sending " + what,
                           sender.sendto, bytes(SIZE), (address, port))
            carried = COUNT * (number >= HOOKS.index("ingress"))
            ktap.equal("datagrams " + what, datagrams(sock), 0 if dropped_by else COUNT)
            ktap.equal("lo's packets " + what, tools.tx_packets() - before[0], carried)
            ktap.equal("rlo's packets " + what, env.rlo("packets") - before[1], carried if env.is_rlo else 0)
    got = tools.nft_counters()
    for place, hook in enumerate(HOOKS):
        # On the way out of the device a packet has its Ethernet header.
        length = SIZE + header + 14 * (hook == "egress")
        for number, port in enumerate(PORTS):
            passed = COUNT * (place <= number)
            ktap.equal("counter of %s, port %d (dropped by hook %d), %s" % (hook, port, number, address),
                       got["%s_%d" % (hook, port)], (passed, passed * length))


@ktap.case(net.LANES)
def families(lane):
    """The tables of IPv4, of IPv6 and of both see their own, on lo and by no other device; nobody forwards."""
    need("NF_TABLES_IPV4", "NF_TABLES_IPV6")
    net.enter(lane)
    rules = []
    for family in ("ip", "ip6", "inet"):
        counters, chains = [], []
        for hook in ("prerouting", "input", "forward", "output", "postrouting"):
            way = "i" if hook in ("prerouting", "input", "forward") else "o"
            tests = {"": "", "_name": way + 'ifname "lo" ', "_number": "meta %sif 1 " % way}
            counters += ["counter %s_%s%s { }" % (family, hook, kind) for kind in tests]
            chains.append("chain %s { type filter hook %s priority 5; %s; }" % (hook, hook, "; ".join(
                "%scounter name %s_%s%s" % (test, family, hook, kind) for kind, test in tests.items())))
        rules += ["table %s t {" % family] + counters + chains + ["}"]
    tools.nft("\n".join(rules))
    for address, count in (("127.0.0.1", 20), ("::1", 31)):
        net.send_udp(net.udp_pair(address), count, SIZE)
    got = {name: packets for name, (packets, _) in tools.nft_counters().items()}
    ktap.equal("counters", len(got), 3 * 15)
    for name, packets in got.items():
        want = 0 if "forward" in name else {"ip": 20, "ip6": 31, "inet": 51}[name.split("_")[0]]
        ktap.equal("counter " + name, packets, want)


@ktap.case(net.LANES)
def no_arp(lane):
    """The hooks of ARP see nothing."""
    need("NF_TABLES_ARP")
    net.enter(lane)
    tools.nft("table arp t {\ncounter arp_in { }\ncounter arp_out { }\n"
              "chain i { type filter hook input priority 0; counter name arp_in; }\n"
              "chain o { type filter hook output priority 0; counter name arp_out; }\n}\n")
    tools.ip_batch("link add d0 type dummy", "addr add 192.0.2.1/24 dev d0", "link set d0 up",
                   "link add v0 type veth peer name v1", "addr add 198.51.100.1/24 dev v0")
    for address in ("127.0.0.1", "127.8.8.8", "192.0.2.1"):
        net.send_udp(net.udp_pair(address), 5, SIZE)
    ktap.equal("ARP for lo", tools.nft_counters(), {"arp_in": (0, 0), "arp_out": (0, 0)})
    # They see a question that is asked on another device.
    tools.ip_batch("link set v0 up", "link set v1 up")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("198.51.100.2", 9))
    ktap.check(tools.nft_counters()["arp_out"][0] > 0, "ARP's hook counts nothing anywhere")


NAT = """
table inet nat {
	counter redirected { }
	counter translated { }
	chain out {
		type nat hook output priority -100;
		meta l4proto { tcp, udp } th dport 7001 counter name redirected redirect to :7002
		ip daddr 127.1.1.1 counter name translated dnat ip to 127.0.0.2
	}
}
"""


@ktap.case(net.LANES)
def nat(lane):
    """A port redirected, an address translated, for TCP and UDP; the connections that conntrack lists."""
    need("NFT_NAT", "NFT_REDIR", "NF_CT_NETLINK")
    env = net.enter(lane)
    tools.nft(NAT)
    for address in V4_V6:
        with socket.socket(net.family(address), socket.SOCK_STREAM) as listener:
            listener.bind((address, 7002))
            listener.listen()
            one = socket.socket(net.family(address), socket.SOCK_STREAM)
            one.settimeout(10)
            one.connect((address, 7001))
            two, _ = listener.accept()
            two.settimeout(10)
            data = os.urandom(50000)
            one.sendall(data)
            ktap.check(net.read_exactly(two, len(data)) == data, "other bytes came")
            ktap.equal("ports as the two ends see them", (one.getpeername()[1], two.getsockname()[1]), (7001, 7002))
            level = socket.IPPROTO_IPV6 if ":" in address else socket.IPPROTO_IP
            original = two.getsockopt(level, SO_ORIGINAL_DST, 28)
            ktap.equal("port before redirection", struct.unpack_from("!H", original, 2)[0], 7001)
            sources = [one.getsockname()[1]]
            with receiver(address, 7002) as sock, socket.socket(net.family(address), socket.SOCK_DGRAM) as sender:
                sender.connect((address, 7001))
                for _ in range(COUNT):
                    sender.send(bytes(SIZE))
                ktap.equal("datagrams to the other port", datagrams(sock), COUNT)
                sources.append(sender.getsockname()[1])
                # The answer comes from where the question went.
                sock.sendto(b"answer", sender.getsockname()[:2])
                sender.settimeout(10)
                ktap.equal("answer", sender.recv(100), b"answer")
        listed = tools.run("conntrack -L -f " + ("ipv6" if ":" in address else "ipv4"))
        for protocol, source in zip(("tcp", "udp"), sources):
            wanted = (r"(?m)^%s +.* src=%s dst=%s sport=%d dport=7001 .*src=%s dst=%s sport=7002 dport=%d "
                      % (protocol, address, address, source, address, address, source))
            ktap.equal("connections of %s in:\n%s" % (protocol, listed), len(re.findall(wanted, listed)), 1)
        one.close()
        two.close()
    with receiver("127.0.0.2", 7003) as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(3):
            sender.sendto(bytes(SIZE), ("127.1.1.1", 7003))
        ktap.equal("datagrams to the other address", datagrams(sock), 3)
    counted = {name: packets for name, (packets, _) in tools.nft_counters().items()}
    # The rules are asked for the first packet of each connection.
    ktap.equal("translations", counted, {"redirected": 4, "translated": 1})
    ktap.check(env.rlo("packets") > 2 * COUNT or not env.is_rlo, "rlo counted too little")


REJECT = """
table inet r {
	chain in {
		type filter hook input priority 0;
		tcp dport 7100 reject with tcp reset
		tcp dport 7101 reject
		udp dport 7102 reject
		udp dport 7103 reject with icmpx admin-prohibited
		udp dport 7104 reject with icmpx host-unreachable
		meta l4proto { tcp, udp } th dport 7105 drop
	}
	chain out {
		type filter hook output priority 0;
		udp dport 7106 reject
		tcp dport 7107 reject with tcp reset
	}
}
"""


@ktap.case(net.LANES)
def reject(lane):
    """The error that a program sees when its packet is rejected."""
    need("NFT_REJECT")
    net.enter(lane)
    tools.nft(REJECT)
    for address, prohibited, unreachable in (("127.0.0.1", "EHOSTUNREACH", "EHOSTUNREACH"),
                                             ("::1", "EACCES", "EHOSTUNREACH")):
        for port, error in ((7100, "ECONNREFUSED"), (7101, "ECONNREFUSED"), (7107, "ECONNREFUSED")):
            with socket.socket(net.family(address), socket.SOCK_STREAM) as sock:
                sock.settimeout(30)
                ktap.fails(error, "a connection to port %d of %s" % (port, address), sock.connect, (address, port))
        for port, error in ((7102, "ECONNREFUSED"), (7103, prohibited), (7104, unreachable)):
            with receiver(address, port), socket.socket(net.family(address), socket.SOCK_DGRAM) as sock:
                sock.settimeout(10)
                # An error that may pass is told only to those who ask.
                sock.setsockopt(*((socket.IPPROTO_IPV6, 25) if ":" in address else (socket.IPPROTO_IP, 11)), 1)
                sock.connect((address, port))
                sock.send(b"x")
                ktap.fails(error, "a datagram to port %d of %s" % (port, address), sock.recv, 10)
        with receiver(address, 7105) as sock, socket.socket(net.family(address), socket.SOCK_DGRAM) as sender:
            sender.connect((address, 7105))
            sender.send(b"x")
            sender.setblocking(False)
            ktap.fails("EAGAIN", "an answer to a dropped datagram", sender.recv, 10)
            ktap.equal("dropped datagrams", datagrams(sock), 0)
        with socket.socket(net.family(address), socket.SOCK_DGRAM) as sender:
            ktap.fails("EPERM|ECONNREFUSED", "sending what is rejected on its way out", sender.sendto, b"x",
                       (address, 7106))


@ktap.case(net.LANES)
def log(lane):
    """What a rule logs for a program (NFLOG), seen by tcpdump: each packet at each hook once."""
    need("NETFILTER_NETLINK_LOG", "NFT_LOG")
    net.enter(lane)
    chains = "".join("chain %s { type filter hook %s priority 0; meta l4proto udp log group 5; }\n" % (h, h)
                     for h in ("output", "input"))
    tools.nft("table inet l {\n%s}\n" % chains)
    dump = tools.Program("tcpdump -nn -U -l -i nflog:5", "listening on")
    for address in V4_V6:
        net.send_udp(net.udp_pair(address), COUNT, SIZE)
    net.send_udp(net.udp_pair("127.0.0.1"), 1, 77)
    dump.wait("length 77", 2)
    lines, _ = dump.stop()
    patterns = (r"IP 127.*length 100", r"IP6 ::1.*length 100", "length 77", "")
    ktap.equal("logged packets", [len([line for line in lines if re.search(pattern, line)]) for pattern in patterns],
               [2 * COUNT, 2 * COUNT, 2, 4 * COUNT + 2])


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
