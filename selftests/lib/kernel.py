# SPDX-License-Identifier: GPL-2.0
"""System calls that Python lacks, modules, privileges and the kernel's log."""

import ctypes
import errno
import glob
import os
import re

import ktap

_libc = ctypes.CDLL(None, use_errno=True)

NR_INIT_MODULE_FD, NR_DELETE_MODULE, NR_CAPGET, NR_CAPSET = 313, 176, 125, 126
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
CAP_NET_ADMIN = 12


def _call(*args):
    if _libc.syscall(*args) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def mount(source, target, kind, flags=0):
    """mount(2)."""
    encode = lambda s: s.encode() if s else None
    if _libc.mount(encode(source), encode(target), encode(kind), flags, None) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def private_mounts():
    """A mount namespace from which nothing spreads."""
    os.unshare(os.CLONE_NEWNS)
    mount(None, "/", None, MS_REC | MS_PRIVATE)


def module_file(name):
    """Where a module of this repository is, or None."""
    for directory in (os.environ.get("RNET_MODULES"), "/lib/modules/%s/updates" % os.uname().release):
        path = os.path.join(directory or "/nonexistent", name + ".ko")
        if os.path.exists(path):
            return path
    return None


def loaded(name):
    """Whether a module is there."""
    return os.path.exists("/sys/module/%s/refcnt" % name)


def insmod(name, params=""):
    """Loads a module of this repository."""
    path = module_file(name)
    if not path:
        raise ktap.Skip("there is no %s.ko: build it and set RNET_MODULES" % name)
    fd = os.open(path, os.O_RDONLY)
    try:
        insmod_fd(fd, params)
    finally:
        os.close(fd)


def insmod_fd(fd, params=""):
    """Loads a module from an open file: one system call. finit_module(2)."""
    _call(NR_INIT_MODULE_FD, fd, params.encode(), 0)


def rmmod(name):
    """Removes a module; EWOULDBLOCK or EBUSY if it is in use."""
    _call(NR_DELETE_MODULE, name.encode(), os.O_NONBLOCK)


def need_module(name, params=""):
    """Loads a module unless it is there; skips where it cannot be."""
    if os.geteuid() != 0:
        raise ktap.Skip("needs root")
    if not loaded(name):
        try:
            insmod(name, params)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.ENOEXEC, errno.EKEYREJECTED):
                raise ktap.Skip("cannot load %s: %s" % (name, error)) from error
            raise


def refcnt(name):
    """How many users keep a module."""
    return number("/sys/module/%s/refcnt" % name)


def read(path):
    """A file's text without the newline at its end."""
    with open(path, encoding="utf-8") as file:
        return file.read().rstrip("\n")


def read_again(fd):
    """An open file from its beginning."""
    os.lseek(fd, 0, os.SEEK_SET)
    return os.read(fd, 100)


def number(path):
    """A file's one number."""
    return int(read(path))


def write(path, text):
    """One write(2) of the text, newly opened."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode() if isinstance(text, str) else text)
    finally:
        os.close(fd)


def drop_net_admin():
    """Gives up CAP_NET_ADMIN, and nothing else."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    _call(NR_CAPGET, header, data)
    for i in range(3):
        data[i] &= ~(1 << CAP_NET_ADMIN)
    _call(NR_CAPSET, header, data)


def keep_only(cap):
    """Gives up all capabilities but one."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    bit = 1 << cap
    _call(NR_CAPSET, header, (ctypes.c_uint32 * 6)(bit, bit, 0, 0, 0, 0))


def set_dumpable():
    """Gives a process that changed its user its own files in /proc back: prctl(PR_SET_DUMPABLE)."""
    _libc.prctl(4, 1, 0, 0, 0)


def _keeps_state(device):
    """Whether a PCI device is not reset by a change of its power state (No_Soft_Reset)."""
    with open(device + "/config", "rb") as file:
        config = file.read(256)
    at = config[0x34]
    while at:
        if config[at] == 1:
            return bool(config[at + 4] & 8)
        at = config[at + 1]
    return False


def root_survives_suspend():
    """Whether the file systems of this machine are still there after devices were suspended."""
    shares = [os.path.realpath(path + "/..") for path in glob.glob("/sys/bus/virtio/drivers/9pnet_virtio/virtio*")]
    return all(_keeps_state(path) for path in shares)


class Log:
    """The kernel's log from now on."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def lines(self, pattern=""):
        """The lines since the last call that match."""
        found = []
        while True:
            try:
                line = os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return found
            except BrokenPipeError:
                continue
            text = line.partition(";")[2].splitlines()[0]
            if re.search(pattern, text):
                found.append(text)
