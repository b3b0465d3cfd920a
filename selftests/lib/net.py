# SPDX-License-Identifier: GPL-2.0
"""Network namespaces whose lo is the kernel's, taken over or replaced; traffic."""

import array
import fcntl
import json
import os
import socket
import struct
import subprocess
import time
import zlib

import kernel
import ktap

# How rlo's own devices deliver: into the backlog, as lo, or by a NAPI; "now" is without batches, for who
# looks for packets before sleeping. With a NAPI only these are looked at: the others are what they always are.
NAPI, NOW = (os.environ.get("RNET_DELIVERY", "") + " ").split(" ")[:2]
NAPI = NAPI == "napi"
LANES = ("replacement",) if NAPI else ("lo", "takeover", "replacement")
RLO = ("replacement",) if NAPI else ("takeover", "replacement")

BIG_TCP = "/sys/module/rlo/parameters/big_tcp"
REPLACE = "/sys/module/rlo/parameters/replace"
REPLACED = "/sys/kernel/rlo/replaced_namespaces"
SYS = "/tmp/rnet-sys"

SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCGIFMTU, SIOCSIFMTU, IFF_UP = 0x8913, 0x8914, 0x8921, 0x8922, 1
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x0800, 0x86DD
PACKET_HOST, PACKET_OUTGOING = 0, 4
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33


class Env:
    """A namespace that this process has entered, and its own sysfs."""

    def __init__(self, lane, sysfs):
        self.lane = lane
        self.sys = sysfs
        self.lo = sysfs + "/class/net/lo"
        self.is_rlo = lane != "lo"

    def rlo(self, name):
        """A counter of rlo."""
        return kernel.number("%s/rlo/%s" % (self.lo, name))

    def counts(self):
        """All counters of rlo that are totals."""
        return {name: self.rlo(name) for name in ("packets", "bytes", "accepted", "dropped")}

    def deliver(self, how):
        """Switches the delivery: backlog or napi."""
        kernel.write(self.lo + "/rlo/delivery", how)
        ktap.equal("delivery", kernel.read(self.lo + "/rlo/delivery"), how)

    def active(self, value):
        """Takes the transmit path over, or gives it back."""
        kernel.write(self.lo + "/rlo/active", "%d\n" % value)


def init_net():
    """The namespace of the main process."""
    return Env("lo", "/sys")


def enter(lane, up=True, big_tcp=False):
    """Leaves for a new namespace, in one of the three lanes; with lo's settings unless BIG TCP is wanted."""
    kernel.need_module("rlo")
    kernel.write(REPLACE, "Y" if lane == "replacement" else "N")
    kernel.write(BIG_TCP, "Y" if big_tcp else "N")
    os.unshare(os.CLONE_NEWNET)
    mount_sys()
    env = Env(lane, SYS)
    if up:
        set_up("lo")
    if lane == "takeover":
        env.active(1)
    ktap.equal("mode", kernel.read(env.lo + "/rlo/mode"), "replacement" if lane == "replacement" else "takeover")
    ktap.equal("active", env.rlo("active"), int(env.is_rlo))
    if lane == "replacement" and NAPI:
        env.deliver("napi")
        if NOW == "now":
            subprocess.run("ethtool -C lo rx-usecs 0".split(), check=True)
    return env


def mount_sys():
    """Makes SYS the sysfs of the present network namespace."""
    os.makedirs(SYS, exist_ok=True)
    kernel.private_mounts()
    kernel.mount("sysfs", SYS, "sysfs")


def in_lane(lane, function, limit=60):
    """What function(env) returns in a new namespace, in a child process."""
    return ktap.value_of(lambda: function(enter(lane)), limit=limit)


def main():
    """A test program of rlo."""
    return ktap.main(lambda: kernel.need_module("rlo"))


def restore_defaults():
    """The module as it is after loading."""
    if kernel.loaded("rlo"):
        kernel.write(REPLACE, "Y")
        kernel.write(BIG_TCP, "Y")


# --- devices -------------------------------------------------------------------

def _ioctl(request, name, fmt, *values):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        arg = bytearray(struct.pack("16s" + fmt, name.encode(), *values).ljust(40, b"\0"))
        fcntl.ioctl(sock, request, arg)
    return struct.unpack_from(fmt, arg, 16)[0]


def set_up(name, up=True):
    """Sets a device up or down."""
    flags = _ioctl(SIOCGIFFLAGS, name, "h", 0)
    _ioctl(SIOCSIFFLAGS, name, "h", flags | IFF_UP if up else flags & ~IFF_UP)


def get_mtu(name):
    """A device's MTU."""
    return _ioctl(SIOCGIFMTU, name, "i", 0)


def set_mtu(name, mtu):
    """Sets a device's MTU."""
    _ioctl(SIOCSIFMTU, name, "i", mtu)


def ip(*args):
    """Runs ip; its output, as JSON if it was asked for."""
    command = ["ip"] + " ".join(args).split()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ktap.Failure("%s: %s" % (" ".join(command), done.stderr.strip()))
    return json.loads(done.stdout) if any(a.startswith("-j") for a in " ".join(args).split()) else done.stdout


def link_stats(name="lo"):
    """What `ip -s link` counts: {"rx": {...}, "tx": {...}}."""
    return ip("-s -j link show", name)[0]["stats64"]


def flat_stats(name="lo"):
    """The same, as tx.packets and so on."""
    return {"%s.%s" % (way, key): value for way, keys in link_stats(name).items() for key, value in keys.items()}


def delta(before, after):
    """What changed in a dict of numbers."""
    return {key: after[key] - before[key] for key in after if after[key] != before[key]}


def softnet():
    """/proc/net/softnet_stat: {cpu: columns}, the first column being [1]."""
    stat = {}
    for line in kernel.read("/proc/net/softnet_stat").splitlines():
        columns = [0] + [int(word, 16) for word in line.split()]
        stat[columns[13]] = columns
    return stat


def softnet_delta(before, after, column):
    """How much a column grew: {cpu: number}."""
    return {cpu: after[cpu][column] - before[cpu][column] for cpu in after}


def ip_packets():
    """What IP has sent and received in this namespace: {"in": ..., "out": ..., "in6": ..., "out6": ...}.

    With lo as the only device and packets that are not cut, the two are equal unless some were
    lost or doubled, whether or not TCP has made up for it.
    """
    lines = [line.split() for line in kernel.read("/proc/net/snmp").splitlines() if line.startswith("Ip:")]
    four = dict(zip(*lines))
    six = dict(line.split() for line in kernel.read("/proc/net/snmp6").splitlines())
    return {"in": int(four["InReceives"]), "out": int(four["OutRequests"]),
            "in6": int(six["Ip6InReceives"]), "out6": int(six["Ip6OutRequests"])}


def check_nothing_lost(before):
    """Fails unless what was sent since has arrived, once."""
    grown = None
    for _ in range(50):
        grown = {key: value - before[key] for key, value in ip_packets().items()}
        if grown["in"] == grown["out"] and grown["in6"] == grown["out6"]:
            break
        time.sleep(0.02)
    ktap.check(grown["in"] == grown["out"] and grown["in6"] == grown["out6"], "IP sent and received: %r" % grown)
    ktap.check(grown["out"] + grown["out6"] > 0, "nothing was sent")


def cpus():
    """CPUs that this process may use."""
    return sorted(os.sched_getaffinity(0))


def pin(cpu):
    """Stays on one CPU."""
    os.sched_setaffinity(0, {cpu})


# --- sockets ---------------------------------------------------------------------

def family(address):
    """AF_INET or AF_INET6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def set_buffer(sock, force, polite, size):
    """Sets a buffer's size beyond the limit, or up to it where that takes a privilege."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, size)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, polite, size)


def udp_pair(address, rcvbuf=4 << 20):
    """(sender, receiver) where the receiver is bound to the address."""
    receiver = socket.socket(family(address), socket.SOCK_DGRAM)
    set_buffer(receiver, SO_RCVBUFFORCE, socket.SO_RCVBUF, rcvbuf)
    receiver.bind((address, 0))
    receiver.settimeout(5 * ktap.SLOW)
    sender = socket.socket(family(address), socket.SOCK_DGRAM)
    set_buffer(sender, SO_SNDBUFFORCE, socket.SO_SNDBUF, rcvbuf)
    sender.connect(receiver.getsockname())
    return sender, receiver


def tcp_pair(address):
    """Two ends of a connection."""
    with socket.socket(family(address), socket.SOCK_STREAM) as listener:
        listener.bind((address, 0))
        listener.listen(1)
        one = socket.socket(family(address), socket.SOCK_STREAM)
        one.settimeout(20 * ktap.SLOW)
        one.connect(listener.getsockname())
        other, _ = listener.accept()
    other.settimeout(20 * ktap.SLOW)
    return one, other


_NOISE = os.urandom(65536)


def datagram(seq, size):
    """A payload with a sequence number and a checksum; at least 8 bytes."""
    body = struct.pack("!I", seq) + _NOISE[:size - 8]
    return struct.pack("!I", zlib.crc32(body)) + body


def check_datagram(data, seq, size):
    """Fails unless it is what datagram(seq, size) made."""
    if len(data) != size:
        raise ktap.Failure("datagram %d: %d bytes, not %d" % (seq, len(data), size))
    crc, got = struct.unpack_from("!II", data)
    if zlib.crc32(data[4:]) != crc:
        raise ktap.Failure("datagram %d: its checksum is wrong" % seq)
    if got != seq:
        raise ktap.Failure("datagram %d came where %d was to come (lost, twice or out of order)" % (got, seq))


def send_udp(pair, count, size, window=16, first=0):
    """Sends and receives that many datagrams; all have to come, once, in order."""
    sender, receiver = pair
    seq = first
    while seq < first + count:
        end = min(seq + window, first + count)
        for i in range(seq, end):
            sender.send(datagram(i, size))
        for i in range(seq, end):
            try:
                check_datagram(receiver.recv(70000), i, size)
            except TimeoutError:
                raise ktap.Failure("datagram %d was lost" % i) from None
        seq = end


class Sniffer:
    """Sees the frames of one device, as tcpdump does."""

    def __init__(self, name):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        self.sock.bind((name, ETH_P_ALL))
        self.sock.setblocking(False)

    def frames(self, text=b""):
        """[(packet type, protocol, frame)] so far that contain the text."""
        found = []
        while True:
            try:
                frame, address = self.sock.recvfrom(70000)
            except BlockingIOError:
                return found
            if text in frame:
                found.append((address[2], address[1], frame))


class Traffic:
    """A process that sends until it is stopped, TCP both ways and UDP, and checks it all."""

    def __init__(self, addresses=("127.0.0.1", "::1"), tcp=True, cpu=None):
        self.parent, child = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self.parent.close()
            if cpu is not None:
                pin(cpu)
            try:
                result = ktap.run(self._run, child, addresses, tcp)
                child.setblocking(True)
                child.send(json.dumps(result).encode())
            finally:
                # Also when nobody listens any more: the case is not this process's.
                os._exit(0)
        child.close()
        ktap.equal("traffic starts", self.parent.recv(1), b"s")

    @staticmethod
    def _run(control, addresses, tcp):
        control.setblocking(False)
        datagrams = blocks = 0
        udp = [(udp_pair(a), 100 + 900 * i) for i, a in enumerate(addresses)]
        streams = [tcp_pair(a) for a in addresses] if tcp else []
        block = array.array("B", _NOISE[:20000]).tobytes()
        while True:
            for pair, size in udp:
                send_udp(pair, 8, size, window=8, first=datagrams & 0xffffff)
            datagrams += 8
            stamp = struct.pack("!Q", blocks)
            for one, other in streams:
                for source, sink in ((one, other), (other, one)):
                    source.sendall(stamp + block)
                    ktap.check(read_exactly(sink, 8 + len(block)) == stamp + block, "TCP block %d differs" % blocks)
            blocks += 1
            if blocks == 2:
                control.send(b"s")
            try:
                control.recv(1)
                break
            except BlockingIOError:
                pass
        for one, other in streams:
            for source, sink in ((one, other), (other, one)):
                source.shutdown(socket.SHUT_WR)
                ktap.equal("bytes after the end of the stream", sink.recv(1), b"")
        return {"datagrams": datagrams * len(udp), "blocks": blocks * 2 * len(streams)}

    def alive(self):
        """Whether it goes on."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


    def stop(self):
        """Ends it; what it sent.  Fails if anything was lost, twice, out of order or changed."""
        try:
            self.parent.send(b"x")
        except OSError:
            pass
        self.parent.settimeout(30 * ktap.SLOW)
        data = b""
        while part := self.parent.recv(65536):
            data += part
        os.waitpid(self.pid, 0)
        status, text, value = json.loads(data)
        ktap.check(status == ktap.PASS, "traffic: " + text)
        ktap.check(value["datagrams"] > 0, "no traffic flowed")
        return value


def read_exactly(sock, size):
    """That many bytes, or fewer at the end of the stream."""
    parts = []
    while size:
        part = sock.recv(min(size, 1 << 18))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
