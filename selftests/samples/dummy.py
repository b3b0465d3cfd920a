#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""samples/dummy.rs: a device that counts what it is given to send, and consumes it."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import errno
import re
import signal
import socket
import subprocess
import threading
import time

import kernel
import ktap
import net

DEV = "rdummy0"
COUNTER = "/sys/class/net/%s/rnet_dummy/packets" % DEV


def fresh():
    """The module, newly loaded, its device up and quiet."""
    if kernel.loaded("rnet_dummy"):
        kernel.rmmod("rnet_dummy")
    kernel.need_module("rnet_dummy")
    ktap.equal("packets at first", kernel.number(COUNTER), 0)
    kernel.write("/proc/sys/net/ipv6/conf/%s/disable_ipv6" % DEV, "1")
    net.set_up(DEV)


def raw_socket():
    """Sends frames on the device as they are."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((DEV, 0))
    return sock


def frame(size):
    """A frame of an ethertype for experiments."""
    return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x88\xb5" + bytes(size - 14)


@ktap.case()
def counts():
    """A known number of frames: its own file, ip -s link and a sniffer agree."""
    fresh()
    sniffer, before = net.Sniffer(DEV), net.flat_stats(DEV)
    total = size_sum = 0
    with raw_socket() as sock:
        for size, count in ((14, 10), (60, 100), (1000, 50), (1514, 20)):
            for _ in range(count):
                sock.send(frame(size))
            total += count
            size_sum += count * size
        ktap.fails("EMSGSIZE", "a frame that is too long", sock.send, frame(1600))
    ktap.equal("its own file", kernel.number(COUNTER), total)
    ktap.equal("ip -s link", net.delta(before, net.flat_stats(DEV)), {"tx.packets": total, "tx.bytes": size_sum})
    kinds = [kind for kind, _, _ in sniffer.frames(b"\x88\xb5")]
    ktap.equal("what a sniffer sees", kinds, [net.PACKET_OUTGOING] * total)


@ktap.case()
def counts_ip():
    """Packets of the stack, from several CPUs at once."""
    fresh()
    net.ip("addr add 192.0.2.1/24 dev", DEV)
    net.ip("neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev", DEV)
    before = net.flat_stats(DEV)
    pids = []
    for cpu in net.cpus():
        pid = os.fork()
        if pid == 0:
            net.pin(cpu)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for _ in range(500):
                    sock.sendto(bytes(100), ("192.0.2.2", 9))
            os._exit(0)
        pids.append(pid)
    ktap.equal("senders", [os.waitpid(p, 0)[1] for p in pids], [0] * len(pids))
    total = 500 * len(pids)
    ktap.equal("its own file", kernel.number(COUNTER), total)
    ktap.equal("ip -s link", net.delta(before, net.flat_stats(DEV)), {"tx.packets": total, "tx.bytes": total * 142})


@ktap.case()
def device():
    """It looks like an Ethernet device with an address of its own."""
    fresh()
    link = net.ip("-d -j link show", DEV)[0]
    ktap.equal("type", link["link_type"], "ether")
    ktap.equal("MTU", link["mtu"], 1500)
    first = int(link["address"].split(":")[0], 16)
    ktap.check(first & 3 == 2, "a local unicast address, not " + link["address"])
    for mtu, error in ((68, ""), (9000, "|EINVAL"), (0, "EINVAL"), (-1, "EINVAL"), (1500, "")):
        ktap.fails(error, "MTU %d" % mtu, net.set_mtu, DEV, mtu)
    os.stat("/sys/class/net/%s/rnet_dummy" % DEV)
    ktap.equal("mode of the file", os.stat(COUNTER).st_mode & 0o777, 0o444)
    address = link["address"]
    fresh()
    ktap.check(net.ip("-j link show", DEV)[0]["address"] != address, "the same random address twice")


@ktap.case()
def up_and_down():
    """Set up and down 40 times while two processes send: every frame that was accepted is counted."""
    fresh()
    ended, sent = threading.Event(), []

    def sender():
        count = 0
        with raw_socket() as sock:
            while not ended.is_set():
                try:
                    sock.send(frame(100))
                    count += 1
                except OSError as error:
                    if error.errno not in (100, 105, 6):
                        raise
        sent.append(count)
    threads = [threading.Thread(target=sender) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        net.set_up(DEV, False)
        net.set_up(DEV, True)
        time.sleep(0.005)
    ended.set()
    for thread in threads:
        thread.join()
    ktap.equal("threads that ended well", len(sent), 2)
    counted = kernel.number(COUNTER)
    ktap.check(0 < counted <= sum(sent), "%d counted, %d sent" % (counted, sum(sent)))
    ktap.equal("ip -s link", net.link_stats(DEV)["tx"]["packets"], counted)
    with raw_socket() as sock:
        sock.send(frame(100))
    ktap.equal("packets after it", kernel.number(COUNTER), counted + 1)


@ktap.case()
def rmmod_under_traffic():
    """The module leaves while frames are sent and its file is open; loaded again, it works."""
    fresh()
    opened = os.open(COUNTER, os.O_RDONLY)
    read, write = os.pipe()
    pids = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                sock = raw_socket()
                os.write(write, b".")
                while True:
                    sock.send(frame(200))
            except OSError as error:
                os._exit(error.errno)
        pids.append(pid)
        ktap.equal("a sender begins", os.read(read, 1), b".")
    ktap.wait_for("frames flow", lambda: kernel.number(COUNTER) > 100)
    kernel.rmmod("rnet_dummy")
    errors = [os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in pids]
    ktap.check(set(errors) <= {errno.ENXIO, errno.ENODEV, errno.ENETDOWN}, "what ended the senders: %r" % errors)
    ktap.fails("ENODEV", "reading the file that was open", kernel.read_again, opened)
    ktap.check(not os.path.exists("/sys/class/net/" + DEV), "the device is still there")
    fresh()
    with raw_socket() as sock:
        sock.send(frame(100))
    ktap.equal("packets", kernel.number(COUNTER), 1)


@ktap.case(limit=60)
def many_times():
    """Loaded and removed 12 times while its file is read."""
    if kernel.loaded("rnet_dummy"):
        kernel.rmmod("rnet_dummy")
    kernel.need_module("rnet_dummy")
    kernel.rmmod("rnet_dummy")
    pid = os.fork()
    if pid == 0:
        while True:
            try:
                fd = os.open(COUNTER, os.O_RDONLY)
                for _ in range(100):
                    os.lseek(fd, 0, os.SEEK_SET)
                    os.read(fd, 10)
                os.close(fd)
            except OSError:
                pass
    for _ in range(12):
        kernel.insmod("rnet_dummy")
        net.set_up(DEV)
        kernel.rmmod("rnet_dummy")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    ktap.check(not os.path.exists("/sys/class/net/" + DEV), "the device is still there")


@ktap.case()
def moved():
    """In another namespace it works, and comes back when that ends."""
    fresh()
    pid = os.fork()
    if pid == 0:
        os.unshare(os.CLONE_NEWNET)
        time.sleep(600)
        os._exit(0)
    inode = lambda who: os.stat("/proc/%s/ns/net" % who).st_ino
    ktap.wait_for("the other namespace is there", lambda: inode(pid) != inode("self"))
    net.ip("link set %s netns %d" % (DEV, pid))
    ktap.check(not os.path.exists("/sys/class/net/" + DEV), "it is still here")
    done = subprocess.run(["nsenter", "-t", str(pid), "-n", "ip", "-s", "link", "show", DEV], capture_output=True, text=True, check=False)
    ktap.equal("status of ip there", done.returncode, 0)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    ktap.wait_for("it is back", lambda: os.path.exists(COUNTER))
    net.set_up(DEV)
    before = kernel.number(COUNTER)
    with raw_socket() as sock:
        sock.send(frame(100))
    ktap.check(kernel.number(COUNTER) > before, "it does not count any more")
    kernel.rmmod("rnet_dummy")


@ktap.case()
def pktgen():
    """pktgen's packets are counted; sending one packet many times (shared) is refused."""
    fresh()
    if subprocess.run(["modprobe", "pktgen"], capture_output=True, check=False).returncode:
        raise ktap.Skip("no pktgen in this kernel")
    try:
        control, dev = "/proc/net/pktgen/kpktgend_0", "/proc/net/pktgen/" + DEV
        kernel.write(control, "rem_device_all")
        kernel.write(control, "add_device " + DEV)
        for line in ("count 1000", "pkt_size 100", "delay 0", "dst 192.0.2.9", "dst_mac 02:00:00:00:00:09"):
            kernel.write(dev, line)
        for line in ("clone_skb 10", "burst 4", "flag SHARED"):
            error = ktap.error_of(kernel.write, dev, line)
            ktap.check(error in ("EOPNOTSUPP", "ENOTSUP", "524", "EINVAL") or line == "flag SHARED",
                       "%s: %s" % (line, error or "accepted"))
        before = kernel.number(COUNTER)
        kernel.write("/proc/net/pktgen/pgctrl", "start")
        text = kernel.read(dev)
        match = re.search(r"pkts-sofar: (\d+)\s+errors: (\d+)", text)
        ktap.check(match, text)
        ktap.equal("pktgen: sent and failed", match.groups(), ("1000", "0"))
        ktap.equal("packets", kernel.number(COUNTER) - before, 1000)
        # It ends while pktgen sends.
        kernel.write(dev, "count 0")
        pid = os.fork()
        if pid == 0:
            ktap.error_of(kernel.write, "/proc/net/pktgen/pgctrl", "start")
            os._exit(0)
        ktap.wait_for("pktgen sends", lambda: kernel.number(COUNTER) > before + 2000)
        kernel.rmmod("rnet_dummy")
        ktap.check(not os.path.exists("/sys/class/net/" + DEV), "the device is still there")
        try:
            kernel.write("/proc/net/pktgen/pgctrl", "stop")
        except OSError:
            pass
        ktap.wait_for("pktgen has stopped", lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
    finally:
        subprocess.run(["rmmod", "pktgen"], capture_output=True, check=False)


@ktap.finally_
def restore():
    """Nothing stays."""
    if kernel.loaded("rnet_dummy"):
        kernel.rmmod("rnet_dummy")


if __name__ == "__main__":
    sys.exit(ktap.main(lambda: kernel.need_module("rnet_dummy")))
