#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""check-layout.py LAYOUTS VMLINUX: does clang lay structures out as the kernel's compiler did?

LAYOUTS is what clang prints with -fdump-record-layouts-complete for the helpers,
VMLINUX holds the stock kernel's BTF.  Every member is compared, down through
members that are structures, bit-fields included.  KTAP: one result for each
structure that the layer relies on, and one for all others that both know.
"""

import collections
import re
import struct
import sys

# What the helpers, the bindings or the callbacks look into.
REQUIRED = (
    "net_device sk_buff net kobject attribute attribute_group kobj_attribute kobj_type "
    "net_device_ops ethtool_ops ethtool_drvinfo pernet_operations pcpu_lstats notifier_block "
    "rtnl_link_stats64 net_generic kernel_param kernel_param_ops module skb_shared_info "
    "softnet_data napi_struct sd_flow_limit tracepoint bin_attribute btf_type btf_param "
    "drop_reason_list sock nsproxy fprobe"
).split()

VOLATILE, CONST, RESTRICT, TYPEDEF, TYPE_TAG = 9, 10, 11, 8, 18
STRUCT, UNION = 4, 5


class Btf:
    """As much of the format as layouts need: Documentation/bpf/btf.rst."""

    Type = collections.namedtuple("Type", "kind name ref size members kind_flag")

    def __init__(self, data):
        _, _, _, length, type_off, type_len, str_off, str_len = struct.unpack_from("<HBBIIIII", data)
        self.strings = data[length + str_off : length + str_off + str_len]
        self.types = [None]
        at, end = length + type_off, length + type_off + type_len
        while at < end:
            at = self.read_type(data, at)

    def string(self, offset):
        return self.strings[offset : self.strings.index(b"\0", offset)].decode()

    def read_type(self, data, at):
        name, info, size = struct.unpack_from("<III", data, at)
        at += 12
        vlen, kind, flag = info & 0xFFFF, info >> 24 & 0x1F, info >> 31
        members = None
        if kind in (STRUCT, UNION):
            members = [struct.unpack_from("<III", data, at + 12 * n) for n in range(vlen)]
            at += 12 * vlen
        else:
            # Integer, array, enum, function prototype, variable, section, tag, 64-bit enum.
            fixed = {1: 4, 3: 12, 14: 4, 17: 4}
            each = {6: 8, 13: 8, 15: 12, 19: 12}
            at += fixed.get(kind, 0) + each.get(kind, 0) * vlen
        self.types.append(self.Type(kind, name, size, size, members, flag))
        return at

    def strip(self, ref):
        while ref and self.types[ref].kind in (VOLATILE, CONST, RESTRICT, TYPEDEF, TYPE_TAG):
            ref = self.types[ref].ref
        return self.types[ref] if ref else None

    def flatten(self, aggregate, prefix, base, into):
        for name, ref, offset in aggregate.members:
            bits = offset >> 24 if aggregate.kind_flag else 0
            offset = base + (offset & 0xFFFFFF if aggregate.kind_flag else offset)
            name = self.string(name)
            path = f"{prefix}.{name}" if name and prefix else prefix or name
            if name:
                into.setdefault(path, (offset, bits))
            member = self.strip(ref)
            if member is not None and member.kind in (STRUCT, UNION):
                self.flatten(member, path, offset, into)

    def structures(self):
        found = collections.defaultdict(list)
        for entry in self.types[1:]:
            if entry.kind == STRUCT and entry.name:
                members = {}
                self.flatten(entry, "", 0, members)
                found[self.string(entry.name)].append((entry.size, members))
        return found


def btf_section(path):
    with open(path, "rb") as file:
        data = file.read()
    table, size, count, names = (
        struct.unpack_from("<Q", data, 40)[0],
        *struct.unpack_from("<HHH", data, 58),
    )
    headers = [struct.unpack_from("<IIQQQQ", data, table + n * size) for n in range(count)]
    for name, _, _, _, offset, length in headers:
        start = headers[names][4] + name
        if data[start : data.index(b"\0", start)] == b".BTF":
            return data[offset : offset + length]
    sys.exit(f"{path}: no BTF")


LINE = re.compile(r"\s*(\d+)(?::(\d+)-(\d+)|:-)? \|( +)(.*)")


def clang_structures(path):
    """Structures by name, from clang's text."""
    found, name, names, members, base = {}, None, [], {}, {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("*** Dumping AST Record Layout"):
                name, names, members = None, [], {}
                continue
            if end := re.match(r"\s*\| \[sizeof=(\d+), ", line):
                if name is not None:
                    found[name] = (int(end.group(1)), members)
                name = None
                continue
            match = LINE.match(line)
            if not match:
                continue
            offset, first, last, indent, text = match.groups()
            text = text.rstrip("\n")
            depth = (len(indent) - 1) // 2
            if depth == 0:
                name = text.removeprefix("struct ") if re.fullmatch(r"struct \w+", text) else None
                names = [""]
                continue
            if name is None:
                continue
            # A member without a name ends with a space: what is in it counts.
            own = re.split(r"[\s*]", text)[-1]
            del names[depth:]
            prefix = names[depth - 1]
            path_ = f"{prefix}.{own}" if own and prefix else prefix or own
            names.append(path_)
            if own:
                start = int(offset) * 8 + int(first or 0)
                bits = int(last) - int(first) + 1 if first else 0
                members.setdefault(path_, (start, bits))
    return found


def differences(name, ours, theirs):
    """What is different between clang's layout and the nearest of the kernel's, as lines."""
    size, members = ours
    best = None
    for other_size, other in theirs:
        problems = []
        if size != other_size:
            problems.append(f"struct {name}: {size} bytes by clang, {other_size} in the kernel")
        for path in sorted(set(members) | set(other)):
            mine, its = members.get(path), other.get(path)
            if mine != its:
                problems.append(f"struct {name}: {path}: {show(mine)} by clang, {show(its)} in the kernel")
        if best is None or len(problems) < len(best):
            best = problems
    return best


def show(place):
    if place is None:
        return "absent"
    offset, bits = place
    return f"bit {offset} of {bits}" if bits else f"byte {offset // 8}"


def main():
    ours, theirs = clang_structures(sys.argv[1]), Btf(btf_section(sys.argv[2])).structures()
    results = []
    for name in REQUIRED:
        if name not in ours or name not in theirs:
            results.append((f"struct {name}", [f"not known to {'the kernel' if name in ours else 'clang'}"]))
        else:
            problems = differences(name, ours[name], theirs[name])
            results.append((f"struct {name}, {len(ours[name][1])} members", problems))
    others = sorted(set(ours) & set(theirs) - set(REQUIRED))
    problems = [p for name in others for p in differences(name, ours[name], theirs[name])]
    results.append((f"{len(others)} other structures", problems))
    for name, problems in results:
        print("".join(f"# {line}\n" for line in problems[:20]), end="")
        print(f"{'not ok' if problems else 'ok'} layout: {name}")
    return 1 if any(problems for _, problems in results) else 0


if __name__ == "__main__":
    sys.exit(main())
