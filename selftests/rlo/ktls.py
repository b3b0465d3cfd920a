#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Kernel TLS over lo: records made and opened by the kernel with keys of the test, and records that were changed."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import hashlib
import socket
import struct

import kernel
import ktap
import net

V4_V6 = ("127.0.0.1", "::1")
TCP_ULP, SOL_TLS, TLS_TX, TLS_RX = 31, 282, 1, 2
TLS_SET_RECORD_TYPE, TLS_GET_RECORD_TYPE = 1, 2
ALERT, APPLICATION_DATA = 21, 23
VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}
# Cipher's number; lengths of IV, key and salt.
CIPHERS = {"AES-GCM-128": (51, 8, 16, 4), "AES-GCM-256": (52, 8, 32, 4)}
HEADER = 5


def crypto(version, cipher, key):
    """The structure that TLS_TX and TLS_RX take."""
    number, *sizes = CIPHERS[cipher]
    stream = hashlib.sha512(key).digest()
    return struct.pack("HH", VERSIONS[version], number) + stream[:sum(sizes)] + bytes(8)


def protect(sock, direction, info):
    """Gives a connection keys."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    except FileExistsError:
        pass
    except FileNotFoundError:
        raise ktap.Skip("no CONFIG_TLS") from None
    try:
        sock.setsockopt(SOL_TLS, direction, info)
    except OSError as error:
        if error.errno in (2, 22):
            raise ktap.Skip("no CONFIG_CRYPTO_GCM or no CONFIG_CRYPTO_AES: %s" % error) from error
        raise


def tls_stat():
    """/proc/net/tls_stat."""
    try:
        return {name: int(value) for name, value in
                (line.split() for line in kernel.read("/proc/net/tls_stat").splitlines())}
    except FileNotFoundError:
        raise ktap.Skip("no CONFIG_TLS") from None


def both(address, version, cipher):
    """Two ends that speak TLS both ways."""
    one, two = net.tcp_pair(address)
    for client, server, key in ((one, two, b"there"), (two, one, b"back")):
        protect(client, TLS_TX, crypto(version, cipher, key))
        protect(server, TLS_RX, crypto(version, cipher, key))
    return one, two


def transfer(source, sink, data, send):
    """Sends in a child process; fails unless the same comes out."""
    pid = os.fork()
    if pid == 0:
        try:
            send(source)
            os._exit(0)
        finally:
            os._exit(1)
    got = net.read_exactly(sink, len(data))
    ktap.equal("status of the sender", os.waitpid(pid, 0)[1], 0)
    ktap.equal("checksum of what came", hashlib.sha256(got).hexdigest(), hashlib.sha256(data).hexdigest())


def send_file(sock, file, size):
    """All of a file by sendfile."""
    sock.settimeout(None)
    at = 0
    while at < size:
        at += os.sendfile(sock.fileno(), file, at, size - at)


@ktap.case(net.LANES)
def payload(lane):
    """Both ways, in pieces of many sizes and by sendfile; the kernel counts the connections."""
    net.enter(lane)
    for address in V4_V6:
        for version in VERSIONS:
            for cipher in CIPHERS:
                before = tls_stat() if os.path.exists("/proc/net/tls_stat") else {}
                one, two = both(address, version, cipher)
                grown = net.delta({**dict.fromkeys(tls_stat(), 0), **before}, tls_stat())
                ktap.equal("tls_stat with one connection more", grown,
                           {"TlsCurrTxSw": 2, "TlsCurrRxSw": 2, "TlsTxSw": 2, "TlsRxSw": 2})
                data = os.urandom(70000)
                pieces = (1, 100, 16384, 16385, 40000, 70000)
                edges = [0] + [min(sum(pieces[:n + 1]), len(data)) for n in range(len(pieces))]
                transfer(one, two, data, lambda s, e=edges, d=data: [s.sendall(d[a:b]) for a, b in zip(e, e[1:])])
                transfer(two, one, data[::-1], lambda s, d=data: s.sendall(d[::-1]))
                file = os.memfd_create("rnet")
                os.write(file, data)
                transfer(one, two, data, lambda s, f=file, n=len(data): send_file(s, f, n))
                os.close(file)
                one.close()
                two.close()
                grown = net.delta(dict.fromkeys(tls_stat(), 0), tls_stat())
                ktap.equal("connections then", (grown.get("TlsCurrTxSw", 0), grown.get("TlsCurrRxSw", 0)), (0, 0))


def record(address, info, data):
    """What one record looks like on its way."""
    one, two = net.tcp_pair(address)
    protect(one, TLS_TX, info)
    one.sendall(data)
    header = net.read_exactly(two, HEADER)
    kind, version, length = struct.unpack("!BHH", header)
    ktap.equal("type and version of a record", (kind, version), (APPLICATION_DATA, 0x0303))
    body = net.read_exactly(two, length)
    ktap.check(data not in body and len(body) > len(data), "the record is not encrypted")
    return header + body


@ktap.case(net.LANES)
def changed(lane):
    """One byte of a record that is not what was sent: EBADMSG, wherever it is; the unchanged one is opened."""
    net.enter(lane)
    for address in V4_V6:
        for version in VERSIONS:
            info = crypto(version, "AES-GCM-128", b"key")
            data = os.urandom(1000)
            whole = record(address, info, data)
            before = tls_stat()
            for at in (None, HEADER, HEADER + 10, len(whole) // 2, len(whole) - 1):
                sent = bytearray(whole)
                if at is not None:
                    sent[at] ^= 0x40
                one, two = net.tcp_pair(address)
                protect(two, TLS_RX, info)
                one.sendall(sent)
                if at is None:
                    ktap.check(net.read_exactly(two, len(data)) == data, "other bytes came")
                else:
                    ktap.fails("EBADMSG", "TLS %s, byte %d changed" % (version, at), two.recv, 1000)
            ktap.equal("TlsDecryptError", tls_stat()["TlsDecryptError"] - before["TlsDecryptError"], 4)


@ktap.case(net.LANES)
def other_key(lane):
    """Another key opens nothing; a record of another type comes with its type."""
    net.enter(lane)
    for address in V4_V6:
        for version in VERSIONS:
            one, two = net.tcp_pair(address)
            protect(one, TLS_TX, crypto(version, "AES-GCM-128", b"one key"))
            protect(two, TLS_RX, crypto(version, "AES-GCM-128", b"another key"))
            one.sendall(b"secret")
            ktap.fails("EBADMSG", "with another key", two.recv, 100)
            one, two = both(address, version, "AES-GCM-128")
            one.sendmsg([b"\1\0"], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([ALERT]))])
            one.sendall(b"data")
            for kind, want in ((ALERT, b"\1\0"), (APPLICATION_DATA, b"data")):
                data, control, _, _ = two.recvmsg(100, 100)
                ktap.equal("record", (data, control), (want, [(SOL_TLS, TLS_GET_RECORD_TYPE, bytes([kind]))]))


ktap.finally_(net.restore_defaults)
if __name__ == "__main__":
    sys.exit(net.main())
