# SPDX-License-Identifier: GPL-2.0
"""The small image that the VM starts from: busybox, guest/, a few modules.

It holds what it takes to mount the sysroot, and is kept in the cache under a
name made of its content, so that several runs at once share or replace it
without harm.
"""

import hashlib
import lzma
import os
import stat
import subprocess

WANTED = ["9pnet_virtio", "9p", "overlay"]
BUSYBOX = "/bin/busybox"


def module_files(tree):
    """The files of WANTED and what they depend on, in the order of loading."""
    deps = {}
    with open(os.path.join(tree, "modules.dep"), encoding="ascii") as lines:
        for line in lines:
            path, _, rest = line.partition(":")
            name = os.path.basename(path).split(".")[0].replace("-", "_")
            deps[name] = [path] + rest.split()
    order = []
    for name in WANTED:
        # A module that is not in the list is built into this kernel.
        for path in reversed(deps.get(name, [])):
            if path not in order:
                order.append(path)
    return [os.path.join(tree, path) for path in order]


def unpacked(path):
    """The module's content, not compressed."""
    with open(path, "rb") as file:
        data = file.read()
    if path.endswith(".xz"):
        return lzma.decompress(data)
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def entry(name, mode, data=b"", rdev=(0, 0)):
    """One file of a cpio archive in the newc format."""
    raw = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + raw
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def build(tree, guest, cache):
    """The path of the image for the modules in tree; made unless it is there."""
    parts = [entry(name, stat.S_IFDIR | 0o755) for name in ("bin", "dev", "proc", "sys", "mods", "root", "lower", "rw")]
    parts.append(entry("dev/console", stat.S_IFCHR | 0o600, rdev=(5, 1)))
    with open(BUSYBOX, "rb") as file:
        parts.append(entry("bin/busybox", stat.S_IFREG | 0o755, file.read()))
    for name in ("init", "rc"):
        with open(os.path.join(guest, name), "rb") as file:
            parts.append(entry(name, stat.S_IFREG | 0o755, file.read()))
    order = []
    for path in module_files(tree):
        name = os.path.basename(path).split(".ko")[0] + ".ko"
        parts.append(entry("mods/" + name, stat.S_IFREG | 0o644, unpacked(path)))
        order.append(name)
    parts.append(entry("mods/order", stat.S_IFREG | 0o644, "".join(name + "\n" for name in order).encode()))
    parts.append(entry("TRAILER!!!", 0))
    image = b"".join(parts)

    path = os.path.join(cache, "initramfs", hashlib.sha256(image).hexdigest()[:16] + ".cpio")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        temporary = "%s.%d" % (path, os.getpid())
        with open(temporary, "wb") as file:
            file.write(image)
        os.rename(temporary, path)
    return path
