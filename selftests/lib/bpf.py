# SPDX-License-Identifier: GPL-2.0
"""BPF without a compiler: a small assembler, maps, programs and where they are attached.

    hits = bpf.Counters(1)
    prog = bpf.Program(bpf.XDP, [hits.add(0), bpf.mov(bpf.R0, bpf.XDP_DROP), bpf.exit_()])
    bpf.attach_xdp("lo", prog.fd)

A program is a list of instructions, lists of them, and labels (strings), to which jumps go.
"""

import ctypes
import errno
import os
import socket
import struct

import ktap

_libc = ctypes.CDLL(None, use_errno=True)
NR_BPF = 321

MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, PROG_LOAD, PROG_ATTACH, PROG_DETACH, TEST_RUN, LINK_CREATE = (
    0, 1, 2, 3, 5, 8, 9, 10, 28)
# Types of programs, of attachments and of maps.
SOCKET_FILTER, SCHED_CLS, XDP, CGROUP_SKB, SOCK_OPS, SK_SKB, SK_MSG = 1, 3, 6, 8, 13, 14, 16
AT_SOCK_OPS, AT_STREAM_PARSER, AT_STREAM_VERDICT, AT_SK_MSG_VERDICT, AT_XDP, AT_SK_SKB_VERDICT, AT_TCX = (
    3, 4, 5, 7, 37, 38, 46)
HASH, ARRAY, PERCPU_ARRAY, DEVMAP, SOCKMAP, CPUMAP, SOCKHASH, DEVMAP_HASH = 1, 2, 6, 14, 15, 16, 18, 25
# What an XDP program, a classifier or a verdict on a socket returns.
XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT = range(5)
TC_ACT_OK, TC_ACT_SHOT = 0, 2
SK_DROP, SK_PASS = 0, 1
# Helpers.
MAP_LOOKUP_ELEM, GET_SMP_PROCESSOR_ID, REDIRECT, REDIRECT_MAP, SK_REDIRECT_MAP, SOCK_MAP_UPDATE, MSG_REDIRECT_MAP = (
    1, 8, 23, 51, 52, 53, 60)
XDP_ADJUST_HEAD, XDP_ADJUST_META, XDP_ADJUST_TAIL = 44, 54, 65
# Of a program: it can see frames in several pieces.
HAS_FRAGS = 1 << 5
# Modes of XDP.
SKB_MODE, DRV_MODE, HW_MODE = 2, 4, 8
# Of rlo's devices with NAPI delivery.
USUAL_MODE = DRV_MODE if os.environ.get("RNET_DELIVERY", "").startswith("napi") else SKB_MODE


def call_bpf(command, fmt, *values):
    """bpf(2): (result, the attribute as it is after the call)."""
    attr = ctypes.create_string_buffer(struct.pack("=" + fmt, *values).ljust(160, b"\0"))
    result = _libc.syscall(NR_BPF, command, attr, len(attr) - 1)
    if result < 0:
        code = ctypes.get_errno()
        if code == errno.ENOSYS:
            raise ktap.Skip("no CONFIG_BPF_SYSCALL")
        raise OSError(code, os.strerror(code))
    return result, attr.raw


def _pointer(buffer):
    return ctypes.cast(buffer, ctypes.c_void_p).value or 0


# --- instructions: (code, dst, src, off, imm) -------------------------------------

class Reg(int):
    """A register."""


R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = map(Reg, range(11))
_SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
_ALU = {"add": 0x00, "sub": 0x10, "mul": 0x20, "or": 0x40, "and": 0x50, "lsh": 0x60, "rsh": 0x70, "xor": 0xa0,
        "mov": 0xb0}
_JUMPS = {"==": 0x10, ">": 0x20, ">=": 0x30, "&": 0x40, "!=": 0x50, "<": 0xa0, "<=": 0xb0}


def alu(name, dst, src):
    """dst = dst NAME src, with 64 bits; src is a register or a number."""
    if isinstance(src, Reg):
        return [(0x0f | _ALU[name], dst, src, 0, 0)]
    return [(0x07 | _ALU[name], dst, 0, 0, src)]


def mov(dst, src):
    """dst = src."""
    return alu("mov", dst, src)


def load(size, dst, src, off=0):
    """dst = the `size` bytes at src + off."""
    return [(0x61 | _SIZES[size], dst, src, off, 0)]


def store(size, dst, off, src):
    """The `size` bytes at dst + off = src."""
    if isinstance(src, Reg):
        return [(0x63 | _SIZES[size], dst, src, off, 0)]
    return [(0x62 | _SIZES[size], dst, 0, off, src)]


def swap16(dst):
    """Its 16 bits from network order."""
    return [(0xdc, dst, 0, 0, 16)]


def jump(label, dst=R0, test=None, src=0):
    """To the label, always or if dst TEST src."""
    if test is None:
        return [(0x05, 0, 0, label, 0)]
    if isinstance(src, Reg):
        return [(0x0d | _JUMPS[test], dst, src, label, 0)]
    return [(0x05 | _JUMPS[test], dst, 0, label, src)]


def call(helper):
    """R0 = helper(R1, ...)."""
    return [(0x85, 0, 0, 0, helper)]


def exit_():
    """Ends with R0."""
    return [(0x95, 0, 0, 0, 0)]


def map_ref(dst, a_map):
    """dst = the map, for a helper."""
    return [(0x18, dst, 1, 0, a_map.fd), (0, 0, 0, 0, 0)]


def value_ref(dst, a_map, off=0):
    """dst = the address in the only value of an array."""
    return [(0x18, dst, 2, 0, a_map.fd), (0, 0, 0, 0, off)]


def redirect_map(a_map, key, flags=0):
    """R0 = the verdict that sends a frame to what is in a map."""
    return [map_ref(R1, a_map), mov(R2, key), mov(R3, flags), call(REDIRECT_MAP)]


def xdp_needs(size, label):
    """R2 = data, R3 = its end (R1 is the context); to the label if a frame has fewer bytes."""
    return [load(4, R2, R1, 0), load(4, R3, R1, 4), mov(R4, R2), alu("add", R4, size), jump(label, R4, ">", R3)]


def _flat(items):
    for item in items:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield item


def assemble(items):
    """The program's bytes."""
    labels, code = {}, []
    for item in _flat(items):
        if isinstance(item, str):
            labels[item] = len(code)
        else:
            code.append(item)
    out = b""
    for at, (op, dst, src, off, imm) in enumerate(code):
        off = labels[off] - at - 1 if isinstance(off, str) else off
        out += struct.pack("=BBhI", op, src << 4 | dst, off, imm & 0xffffffff)
    return out


# --- objects ------------------------------------------------------------------------

class Map:
    """A map; keys and values are bytes, or numbers of the map's sizes."""

    def __init__(self, kind, key_size=4, value_size=4, entries=1, flags=0):
        self.key_size, self.value_size = key_size, value_size
        self.fd, _ = call_bpf(MAP_CREATE, "5I", kind, key_size, value_size, entries, flags)

    def _bytes(self, value, size):
        raw = value.to_bytes(size, "little") if isinstance(value, int) else value
        return ctypes.create_string_buffer(raw, size)

    def get(self, key):
        """A value as bytes; KeyError without one."""
        value = ctypes.create_string_buffer((self.value_size + 7) // 8 * 8 * (os.cpu_count() or 1))
        name = self._bytes(key, self.key_size)
        try:
            call_bpf(MAP_LOOKUP, "IIQQQ", self.fd, 0, _pointer(name), _pointer(value), 0)
        except FileNotFoundError:
            raise KeyError(key) from None
        return value.raw[:self.value_size]

    def set(self, key, value, flags=0):
        """Sets a value; for a sockmap the file descriptor of a socket."""
        name, data = self._bytes(key, self.key_size), self._bytes(value, self.value_size)
        call_bpf(MAP_UPDATE, "IIQQQ", self.fd, 0, _pointer(name), _pointer(data), flags)

    def remove(self, key):
        """Takes a value out."""
        name = self._bytes(key, self.key_size)
        call_bpf(MAP_DELETE, "IIQQQ", self.fd, 0, _pointer(name), 0, 0)


class Counters(Map):
    """Numbers that programs add to."""

    def __init__(self, count):
        self.count = count
        super().__init__(ARRAY, 4, 8 * count)

    def add(self, index, value=1):
        """Instructions that add a number or a register other than R0 and R1; they change R0 and R1."""
        return [mov(R1, value), value_ref(R0, self, 8 * index), [(0xdb, R0, R1, 0, 0)]]

    def read(self):
        """All of them."""
        return list(struct.unpack("=%dQ" % self.count, self.get(0)))


class Program:
    """A program in the kernel."""

    def __init__(self, kind, items, attach_type=0, flags=0):
        raw = assemble(items)
        code, licence = ctypes.create_string_buffer(raw, len(raw)), ctypes.create_string_buffer(b"GPL")
        log = ctypes.create_string_buffer(1 << 16)
        fmt = "IIQQIIQII16sII"

        def try_load(level, size, text):
            return call_bpf(PROG_LOAD, fmt, kind, len(raw) // 8, _pointer(code), _pointer(licence), level, size, text,
                            0, flags, b"rnet", 0, attach_type)[0]
        try:
            self.fd = try_load(0, 0, 0)
        except OSError:
            try:
                self.fd = try_load(1, len(log), _pointer(log))
            except OSError as error:
                raise OSError(error.errno, "%s: %s" % (error.strerror, log.value.decode()[-2000:])) from None

    def test_run(self, data, out=4096):
        """What it returns for this frame, and the frame then."""
        source, target = ctypes.create_string_buffer(data, len(data)), ctypes.create_string_buffer(out)
        _, attr = call_bpf(TEST_RUN, "IIIIQQII", self.fd, 0, len(data), out, _pointer(source), _pointer(target), 1, 0)
        result, _, size = struct.unpack_from("=III", attr, 4)
        return result, target.raw[:size]

    def attach(self, target, attach_type, flags=0):
        """To a sockmap, a control group: BPF_PROG_ATTACH; target is a map or a file descriptor."""
        call_bpf(PROG_ATTACH, "4I", getattr(target, "fd", target), self.fd, attach_type, flags)

    def detach(self, target, attach_type):
        """The opposite."""
        call_bpf(PROG_DETACH, "4I", getattr(target, "fd", target), self.fd, attach_type, 0)

    def link(self, name, attach_type=AT_XDP, flags=USUAL_MODE):
        """A file descriptor that keeps it on a device until it is closed: BPF_LINK_CREATE."""
        return call_bpf(LINK_CREATE, "4I", self.fd, socket.if_nametoindex(name), attach_type, flags)[0]


def _attribute(kind, payload):
    return struct.pack("=HH", len(payload) + 4, kind) + payload + bytes(-len(payload) % 4)


def attach_xdp(name, fd, flags=USUAL_MODE):
    """Attaches a program to a device by rtnetlink, or detaches (fd -1): (error's name or "", the kernel's text)."""
    ifla_xdp, xdp_fd, xdp_flags, setlink, ack = 43, 1, 3, 19, 5
    nest = _attribute(xdp_fd, struct.pack("=i", fd)) + _attribute(xdp_flags, struct.pack("=I", flags))
    body = struct.pack("=BxHiII", 0, 0, socket.if_nametoindex(name), 0, 0) + _attribute(0x8000 | ifla_xdp, nest)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        for option in (10, 11):  # NETLINK_CAP_ACK, NETLINK_EXT_ACK
            sock.setsockopt(270, option, 1)
        sock.send(struct.pack("=IHHII", 16 + len(body), setlink, ack, 1, 0) + body)
        answer = sock.recv(8192)
    code, text, at = -struct.unpack_from("=i", answer, 16)[0], "", 36
    while at + 4 <= len(answer):
        size, kind = struct.unpack_from("=HH", answer, at)
        if kind == 1:
            text = answer[at + 4:at + size].rstrip(b"\0").decode()
        at += max((size + 3) & ~3, 4)
    return errno.errorcode.get(code, str(code)) if code else "", text


def need_xdp(name, fd, flags=USUAL_MODE):
    """Attaches, and fails if that fails."""
    result = attach_xdp(name, fd, flags)
    if result != ("", ""):
        raise ktap.Failure("XDP on %s: %s" % (name, result))


# --- programs -----------------------------------------------------------------------

def by_port(counters, actions, base=3000):
    """A program that counts datagrams to ports from `base` on in their counters and does with each what its action
    says; R2 is the frame then and R8 the datagram's payload.  The rest passes, counted by the last counter."""
    code = [xdp_needs(72, "pass"),
            load(2, R5, R2, 12), jump("v4", R5, "==", 0x0008), jump("pass", R5, "!=", 0xdd86),
            load(1, R6, R2, 20), load(2, R7, R2, 56), mov(R8, R2), alu("add", R8, 62), jump("ports"),
            "v4", load(1, R6, R2, 23), load(2, R7, R2, 36), mov(R8, R2), alu("add", R8, 42),
            "ports", jump("pass", R6, "!=", 17), swap16(R7)]
    code += [jump("port%d" % i, R7, "==", base + i) for i in range(len(actions))]
    code += ["pass", counters.add(len(actions)), mov(R0, XDP_PASS), exit_()]
    for i, action in enumerate(actions):
        code += ["port%d" % i, counters.add(i), action, exit_()]
    return Program(XDP, code)


def verdict(number):
    """An action: just that."""
    return [mov(R0, number)]
