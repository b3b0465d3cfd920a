# SPDX-License-Identifier: GPL-2.0
"""TCP, UDP and SCTP in processes of their own, every message numbered and checksummed."""

import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess

import kernel
import ktap
import net

KINDS = ("tcp", "udp", "sctp")
IPPROTO_SCTP = 132
WINDOW, PATIENCE = 8, 60 * ktap.SLOW
# A window of TCP stays below what lo takes in one packet: IP would count it once and lo twice.
SIZES = {"udp": (100, 1400, 8000), "sctp": (100, 1400, 20000), "tcp": (700, 3000, 12000)}

# What grows when something was lost, doubled or out of order, and was made up for.
SIGNS = {
    "/proc/net/snmp": ("Tcp.RetransSegs", "Tcp.InErrs", "Udp.InErrors", "Udp.RcvbufErrors", "Ip.InDiscards"),
    "/proc/net/netstat": ("TcpExt.TCPOFOQueue", "TcpExt.TCPSACKReorder", "TcpExt.TCPTSReorder", "TcpExt.TCPDSACKRecv",
                          "TcpExt.TCPDSACKOfoRecv", "TcpExt.TCPTimeouts", "TcpExt.TCPLossProbes", "TcpExt.TCPBacklogDrop"),
    "/proc/net/snmp6": ("Udp6InErrors", "Udp6RcvbufErrors", "Ip6InDiscards"),
    "/proc/net/sctp/snmp": ("SctpT3Retransmits", "SctpFastRetransmits", "SctpInPktDiscards", "SctpOutOfBlues", "SctpChecksumErrors"),
}


def have_sctp():
    """Whether this kernel has SCTP."""
    return subprocess.run(["modprobe", "sctp"], capture_output=True, check=False).returncode == 0


def signs():
    """The numbers that SIGNS names, of this namespace."""
    found = {}
    for path, names in SIGNS.items():
        if not os.path.exists(path):
            continue
        lines = [line.split() for line in kernel.read(path).splitlines()]
        if lines and lines[0][0].endswith(":"):
            table = {}
            for head, row in zip(lines[::2], lines[1::2]):
                table.update({head[0][:-1] + "." + name: int(value) for name, value in zip(head[1:], row[1:])})
        else:
            table = {line[0]: int(line[1]) for line in lines}
        found.update({name: table[name] for name in names if name in table})
    return found


def more_signs(before):
    """What has grown since."""
    return {name: value - before.get(name, 0) for name, value in signs().items() if value != before.get(name, 0)}


def pair(kind, address):
    """Two connected sockets."""
    if kind == "tcp":
        return net.tcp_pair(address)
    if kind == "udp":
        return net.udp_pair(address)
    with socket.socket(net.family(address), socket.SOCK_STREAM, IPPROTO_SCTP) as listener:
        listener.bind((address, 0))
        listener.listen(1)
        one = socket.socket(net.family(address), socket.SOCK_STREAM, IPPROTO_SCTP)
        one.settimeout(PATIENCE)
        one.connect(listener.getsockname())
        two, _ = listener.accept()
    for sock in (one, two):
        # SCTP_NODELAY: otherwise the last of a window waits.
        sock.setsockopt(IPPROTO_SCTP, 3, 1)
        sock.setsockopt(socket.SOL_SOCKET, net.SO_SNDBUFFORCE, 4 << 20)
        sock.setsockopt(socket.SOL_SOCKET, net.SO_RCVBUFFORCE, 4 << 20)
    return one, two


class Flows:
    """One process for each protocol, over each address, until they are stopped.

    With cpu they stay on one CPU, so that even UDP must arrive in order; without, packets of UDP
    may overtake each other where the sender changes its CPU: that is counted only.
    """

    def __init__(self, kinds=KINDS, addresses=("127.0.0.1", "::1"), cpu=None, strict=True):
        self.kinds = [kind for kind in kinds if kind != "sctp" or have_sctp()]
        self.cpu, self.strict = cpu, strict
        # One word of "stop", then for each: messages that arrived, out of order, and the last one begun.
        self.shared = mmap.mmap(-1, 4096)
        self.children = []
        for index, kind in enumerate(self.kinds):
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(read)
                if cpu is not None:
                    net.pin(cpu)
                os.write(write, json.dumps(ktap.run(self._run, index, addresses)).encode())
                os._exit(0)
            os.close(write)
            self.children.append((pid, read))
        try:
            ktap.wait_for("traffic flows", lambda: all(self.progress().values()) or not self.alive(), 60)
            ktap.check(self.alive(), "traffic ended at once")
        except ktap.Failure:
            self.stop()
            raise

    def _word(self, index, column):
        return struct.unpack_from("<Q", self.shared, 64 + 32 * index + 8 * column)[0]

    def _set(self, index, column, value):
        struct.pack_into("<Q", self.shared, 64 + 32 * index + 8 * column, value)

    def progress(self):
        """{protocol: messages that have arrived}."""
        return {kind: self._word(i, 0) for i, kind in enumerate(self.kinds)}

    def reordered(self):
        """{protocol: messages that were overtaken}."""
        return {kind: self._word(i, 1) for i, kind in enumerate(self.kinds)}

    def alive(self):
        """Whether all go on."""
        return all(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None for pid, _ in self.children)

    def wait_for_more(self, count=1, seconds=60):
        """Fails unless each of them goes on by that many messages."""
        start = self.progress()

        def more():
            return all(now >= start[kind] + count for kind, now in self.progress().items())
        try:
            ktap.wait_for("all traffic goes on", lambda: more() or not self.alive(), seconds)
        except ktap.Failure:
            now = self.progress()
            hung = [kind for kind in self.kinds if now[kind] < start[kind] + count]
            raise ktap.Failure("%s hung for %d s: %s" % (", ".join(hung), seconds, self.where())) from None

    def where(self):
        """What each is doing, for a report."""
        text = []
        for index, (kind, (pid, _)) in enumerate(zip(self.kinds, self.children)):
            try:
                stack = " < ".join(line.split()[-1].partition("+")[0] for line in kernel.read("/proc/%d/stack" % pid).splitlines()[:5])
            except (OSError, IndexError):
                stack = "gone"
            text.append("%s at message %d (%s)" % (kind, self._word(index, 2), stack))
        return "; ".join(text)

    def _run(self, index, addresses):
        kind = self.kinds[index]
        pairs = [pair(kind, address) for address in addresses]
        exchange = {"tcp": self._tcp, "udp": self._udp, "sctp": self._sctp}[kind]
        seq = 0
        while not struct.unpack_from("<Q", self.shared, 0)[0]:
            self._set(index, 2, seq)
            for ends in pairs:
                exchange(index, ends, seq, SIZES[kind][seq // WINDOW % len(SIZES[kind])])
            seq += WINDOW
            self._set(index, 0, seq * len(pairs))
        for one, two in pairs if kind == "tcp" else ():
            for source, sink in ((one, two), (two, one)):
                source.shutdown(socket.SHUT_WR)
                ktap.equal("bytes after the end of the stream", sink.recv(1), b"")
        return seq * len(pairs)

    @staticmethod
    def _tcp(_index, ends, seq, size):
        for source, sink in (ends, ends[::-1]):
            for i in range(seq, seq + WINDOW // 2):
                source.sendall(net.datagram(i, size))
            for i in range(seq, seq + WINDOW // 2):
                net.check_datagram(net.read_exactly(sink, size), i, size)

    @staticmethod
    def _sctp(_index, ends, seq, size):
        for source, sink in (ends, ends[::-1]):
            for i in range(seq, seq + WINDOW // 2):
                source.send(net.datagram(i, size))
            for i in range(seq, seq + WINDOW // 2):
                # A message comes whole or in parts, never together with the next one.
                net.check_datagram(net.read_exactly(sink, size), i, size)

    def _udp(self, index, ends, seq, size):
        sender, receiver = ends
        receiver.settimeout(PATIENCE)
        for i in range(seq, seq + WINDOW):
            sender.send(net.datagram(i, size))
        due = list(range(seq, seq + WINDOW))
        while due:
            try:
                data = receiver.recv(70000)
            except TimeoutError:
                raise ktap.Failure("UDP: lost of %d to %d: %r" % (seq, seq + WINDOW - 1, due)) from None
            got = struct.unpack_from("!I", data, 4)[0] if len(data) >= 8 else -1
            if self.strict or got not in due:
                net.check_datagram(data, due[0], size)
            net.check_datagram(data, got, size)
            if got != due[0]:
                self._set(index, 1, self._word(index, 1) + 1)
            due.remove(got)

    def stop(self):
        """Ends them; {protocol: messages}.  Fails if any was lost, twice, out of order or changed, or if one hangs."""
        struct.pack_into("<Q", self.shared, 0, 1)
        failures, sent = [], {}
        for kind, (pid, read) in zip(self.kinds, self.children):
            data = b""
            if select.select([read], [], [], PATIENCE)[0]:
                while part := os.read(read, 65536):
                    data += part
            else:
                failures.append("%s hung: %s" % (kind, self.where()))
                os.kill(pid, signal.SIGKILL)
            os.close(read)
            os.waitpid(pid, 0)
            status, text, value = json.loads(data or '[1, "no result", null]')
            if status != ktap.PASS:
                failures.append("%s: %s" % (kind, text))
            sent[kind] = value
        self.children = []
        ktap.equal("traffic", failures, [])
        ktap.check(all(sent.values()), "no traffic flowed: %r" % sent)
        return sent
