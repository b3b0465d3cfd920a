# SPDX-License-Identifier: GPL-2.0
"""Raw netlink: what a family answers, attribute by attribute, and how it refuses."""

import errno
import os
import socket
import struct

import ktap

NETLINK_ROUTE, NETLINK_GENERIC = 0, 16
SOL_NETLINK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 270, 11, 12
NLMSG_ERROR, NLMSG_DONE, NLMSG_MIN_TYPE = 2, 3, 16
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CAPPED, NLM_F_ACK_TLVS, NLM_F_DUMP = 1, 4, 0x100, 0x200, 0x300
NLMSGERR_ATTR_MSG = 1
CTRL_CMD_GETFAMILY, GENL_ID_CTRL, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 3, 16, 1, 2


def attribute(kind, value):
    """One attribute; an integer is an u32, a text ends with a zero."""
    if isinstance(value, int):
        value = struct.pack("I", value)
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    return (struct.pack("HH", 4 + len(value), kind) + value).ljust((4 + len(value) + 3) & ~3, b"\0")


def attributes(data):
    """[(kind, value)] of a run of attributes."""
    found, at = [], 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("HH", data, at)
        if length < 4:
            break
        found.append((kind & 0x3fff, data[at + 4:at + length]))
        at += (length + 3) & ~3
    return found


class Socket:
    """A netlink socket of the present namespace."""

    def __init__(self, protocol=NETLINK_ROUTE, strict=True):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self.sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        if strict and protocol == NETLINK_ROUTE:
            self.sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        self.sock.settimeout(20)
        self.seq = 0

    def ask(self, kind, payload, dump=False):
        """([payloads of the answers], error): the error is "" or a name and the kernel's words."""
        self.seq += 1
        flags = NLM_F_REQUEST | (NLM_F_DUMP if dump else NLM_F_ACK)
        self.sock.send(struct.pack("IHHII", 16 + len(payload), kind, flags, self.seq, 0) + payload)
        answers = []
        while True:
            data, at = self.sock.recv(1 << 18), 0
            while at + 16 <= len(data):
                length, got, got_flags, seq, _ = struct.unpack_from("IHHII", data, at)
                body = data[at + 16:at + length]
                at += (length + 3) & ~3
                if seq != self.seq:
                    continue
                if got in (NLMSG_ERROR, NLMSG_DONE):
                    return answers, _verdict(body, got, got_flags)
                if got >= NLMSG_MIN_TYPE:
                    answers.append(body)

    def family(self, name):
        """The number of a generic netlink family."""
        answers, error = self.ask(GENL_ID_CTRL, genl(CTRL_CMD_GETFAMILY, attribute(CTRL_ATTR_FAMILY_NAME, name)))
        if error:
            raise ktap.Skip("no netlink family %s in this kernel" % name)
        return struct.unpack("H", dict(attributes(answers[0][4:]))[CTRL_ATTR_FAMILY_ID])[0]


def genl(command, payload=b""):
    """A message of a generic netlink family, version 1."""
    return struct.pack("BBH", command, 1, 0) + payload


def _verdict(body, kind, flags):
    """The error of the last message and what the kernel says about it."""
    code = struct.unpack_from("i", body)[0] if len(body) >= 4 else 0
    rest = body[4:]
    if kind == NLMSG_ERROR:
        # The header of the request, and all of it unless the kernel cut it.
        echoed = struct.unpack_from("I", body, 4)[0]
        rest = body[20:] if flags & NLM_F_CAPPED or not code else body[4 + ((echoed + 3) & ~3):]
    text = dict(attributes(rest)).get(NLMSGERR_ATTR_MSG, b"") if flags & NLM_F_ACK_TLVS else b""
    if code > 0:
        return ""
    name = errno.errorcode.get(-code, os.strerror(-code)) if code else ""
    return (name + " " + text.rstrip(b"\0").decode(errors="replace")).strip()
