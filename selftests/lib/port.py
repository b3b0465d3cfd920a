# SPDX-License-Identifier: GPL-2.0
"""Two ports of an 82576 on one wire, each with a driver and a network namespace of its own.

The VM has to have them: selftests/vm/run --qemu-args="$(python3 -B selftests/lib/port.py)".
With arguments "hostile DIR" it also has a third device that sends whatever it is told to, and its
memory is a file in DIR.
"""

import contextlib
import glob
import json
import os
import socket
import sys
import tempfile
import time

import kernel
import ktap
import net
import qmp
import tools

PCI = "/sys/bus/pci"
ID = ("0x8086\n", "0x10c9\n")
LONG = os.environ.get("RNET_LONG") == "1"
# The drivers of the two ends. What igb does on both ends is the reference, which tries the
# tests, not rigb: with RNET_LONG=1 only. Where a case takes minutes, rigb on both ends has to do.
PAIRS = ("rigb-rigb",) if ktap.SLOW > 1 and not LONG else ("rigb-igb", "rigb-rigb") + (("igb-igb",) if LONG else ())
# For what does not depend on the other end's driver.
FEW = PAIRS if LONG else PAIRS[:1]
V4, V6 = ("192.0.2.1", "192.0.2.2"), ("fd00::1", "fd00::2")
NAMES = ("p0", "p1")


def igb(n, mac=None):
    """The arguments of a port, for QEMU's command line or its monitor."""
    mac = mac or "52:54:00:00:00:%02x" % n
    return {"driver": "igb", "id": "nic%d" % n, "bus": "slot%d" % n, "netdev": "wire%d" % n, "mac": mac}


def qemu_args(hostile=None):
    """What QEMU has to be told."""
    args = []
    for n in (1, 2) + ((3,) if hostile else ()):
        args.append("-device pcie-root-port,id=slot%d,chassis=%d" % (n, n))
        args.append("-netdev hubport,hubid=1,id=wire%d" % n)
        options = igb(n)
        if n == 3:
            options["driver"] = "virtio-net-pci,romfile="
        args.append("-device " + ",".join([options.pop("driver")] + ["%s=%s" % item for item in options.items()]))
    if hostile:
        args.append("-object memory-backend-file,id=ram,size=2G,mem-path=%s/ram,share=on -machine memory-backend=ram"
                    % hostile)
        args.append("-fsdev local,id=fs_ram,path=%s,security_model=none" % hostile)
        args.append("-device virtio-9p-pci,fsdev=fs_ram,mount_tag=ram")
    return " ".join(args + qmp.qemu_args(os.urandom(6).hex()))


def devices():
    """The addresses of the ports on the PCI bus."""
    found = []
    for path in sorted(glob.glob(PCI + "/devices/*")):
        if (kernel.read(path + "/vendor") + "\n", kernel.read(path + "/device") + "\n") == ID:
            found.append(os.path.basename(path))
    return found


def need():
    """Skips where there are no two ports, or no drivers."""
    kernel.need_module("rigb")
    if len(devices()) < 2:
        raise ktap.Skip("no two ports of an 82576 (8086:10c9)")
    if not os.path.exists(PCI + "/drivers/igb"):
        tools.attempt("modprobe igb")


def main():
    """A test program for ports."""
    return ktap.main(need)


def driver_of(device):
    """The name of the driver that a device is bound to, or None."""
    path = "%s/devices/%s/driver" % (PCI, device)
    return os.path.basename(os.readlink(path)) if os.path.islink(path) else None


def unbind(device):
    """Takes a device from its driver."""
    if driver_of(device):
        kernel.write("%s/devices/%s/driver/unbind" % (PCI, device), device)


def bind(device, driver):
    """Gives a device to a driver, by its name."""
    if driver_of(device) != driver:
        unbind(device)
        kernel.write("%s/devices/%s/driver_override" % (PCI, device), driver + "\n")
        kernel.write("%s/drivers/%s/bind" % (PCI, driver), device)
    ktap.equal("driver of " + device, driver_of(device), driver)


def interface(device):
    """The network device of a PCI device, in the main namespace."""
    names = glob.glob("%s/devices/%s/net/*" % (PCI, device))
    return os.path.basename(names[0]) if names else None


class Pair:
    """The two ends, each up in its own namespace."""

    def __init__(self, drivers, mtu=1500, up=True):
        self.drivers = drivers.split("-")
        self.devices = devices()[:2]
        self.spaces = []
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        for device in self.devices:
            # Anew, whatever the case before has left: its namespace may live as long as a
            # connection in it that nobody answers any more.
            unbind(device)
        for device, driver, name in zip(self.devices, self.drivers, NAMES):
            bind(device, driver)
            ktap.wait_for("the network device of " + device, lambda device=device: interface(device), 40)
            os.unshare(os.CLONE_NEWNET)
            self.spaces.append(os.open("/proc/self/ns/net", os.O_RDONLY))
            os.setns(home, os.CLONE_NEWNET)
            old = interface(device)
            tools.run("ip link set dev %s down" % old)
            tools.run("ip link set dev %s name %s netns /proc/%d/fd/%d"
                      % (old, name, os.getpid(), self.spaces[-1]))
        self.home = home
        kernel.private_mounts()
        if up:
            self.up(mtu)

    def close(self):
        """Lets the namespaces go, which gives the devices back."""
        while self.spaces:
            os.close(self.spaces.pop())

    @contextlib.contextmanager
    def side(self, end):
        """Inside, this process is at one end."""
        os.setns(self.spaces[end], os.CLONE_NEWNET)
        try:
            yield
        finally:
            os.setns(self.home, os.CLONE_NEWNET)

    def run(self, end, command):
        """The output of a command at one end; %s in it is the device."""
        with self.side(end):
            return tools.run(command.replace("%s", NAMES[end]))

    def attempt(self, end, command):
        """(status, output, errors) of a command at one end."""
        with self.side(end):
            return tools.attempt(command.replace("%s", NAMES[end]))

    def up(self, mtu=1500):
        """Addresses, and both ends up with a link."""
        for end in (0, 1):
            self.run(end, "ip link set dev lo up")
            self.run(end, "ip link set dev %%s mtu %d up" % mtu)
            self.run(end, "ip addr replace %s/24 dev %%s" % V4[end])
            if mtu >= 1280:
                self.run(end, "ip addr replace %s/64 dev %%s nodad" % V6[end])
        self.wait_link()

    def link(self, end):
        """What ip says of the device."""
        return json.loads(self.run(end, "ip -j -s -d link show dev %s"))[0]

    def without_ipv6(self):
        """No end sends anything by itself: solicitations, listener reports."""
        for end in (0, 1):
            with self.side(end):
                kernel.write("/proc/sys/net/ipv6/conf/%s/disable_ipv6" % NAMES[end], "1")

    def wait_link(self, up=True):
        """Waits until both ends have a link, or none. With a link also until the stack has noticed:
        before that it throws away what it is to send, and counts that as dropped."""
        def is_so(end):
            link = self.link(end)
            return ("LOWER_UP" in link["flags"]) == up and (not up or link["operstate"] == "UP")
        for end in (0, 1):
            ktap.wait_for("link of %s %s" % (NAMES[end], "up" if up else "down"), lambda end=end: is_so(end), 15)

    def mtu(self, mtu):
        """Sets both ends' MTU."""
        for end in (0, 1):
            self.run(end, "ip link set dev %%s mtu %d" % mtu)
        self.wait_link()

    def socket(self, end, family, kind):
        """A socket at one end, with room for much."""
        with self.side(end):
            sock = socket.socket(family, kind)
        sock.settimeout(20 * ktap.SLOW)
        net.set_buffer(sock, net.SO_RCVBUFFORCE, socket.SO_RCVBUF, 8 << 20)
        return sock

    def udp(self, addresses=V4, source=0, port=0):
        """(sender at one end, receiver at the other), connected to each other."""
        family = net.family(addresses[0])
        sender, receiver = (self.socket(end, family, socket.SOCK_DGRAM) for end in (source, 1 - source))
        sender.bind((addresses[source], port))
        receiver.bind((addresses[1 - source], 0))
        sender.connect(receiver.getsockname())
        receiver.connect(sender.getsockname())
        return sender, receiver

    def tcp(self, addresses=V4):
        """A connection: (this end, the other)."""
        family = net.family(addresses[0])
        one, listener = (self.socket(end, family, socket.SOCK_STREAM) for end in (0, 1))
        with listener:
            listener.bind((addresses[1], 0))
            listener.listen(1)
            one.connect(listener.getsockname())
            other, _ = listener.accept()
        other.settimeout(20 * ktap.SLOW)
        return one, other

    def bytes_both_ways(self, size=1 << 18):
        """A connection that carries random bytes to one end, then to the other."""
        one, other = self.tcp()
        data = os.urandom(size)
        with one, other:
            for source, sink in ((one, other), (other, one)):
                source.sendall(data)
                ktap.check(net.read_exactly(sink, size) == data, "the bytes differ")

    def ping(self, count=3, size=56, address=V4[1], end=0):
        """Pings that all have to be answered."""
        # ping's socket has no room for two large answers that it has not read yet.
        interval = 0.05 if ktap.SLOW == 1 else 0.5
        out = self.run(end, "ping -q -c %d -i %g -W 5 -s %d %s" % (count, interval, size, address))
        ktap.check(" %d received" % count in out, "ping: " + out)

    def exchange(self, addresses=V4, source=0, count=8, size=1000, window=4):
        """Datagrams that all have to come, once and unchanged; fragments may overtake each other."""
        sender, receiver = self.udp(addresses, source)
        with sender, receiver:
            seq = 0
            while seq < count:
                wanted = set(range(seq, min(seq + window, count)))
                seq = max(wanted) + 1
                for n in sorted(wanted):
                    sender.send(net.datagram(n, size))
                while wanted:
                    try:
                        data = receiver.recv(70000)
                    except TimeoutError:
                        raise ktap.Failure("%d bytes: datagrams %s were lost" % (size, sorted(wanted))) from None
                    number = int.from_bytes(data[4:8], "big")
                    ktap.check(number in wanted, "%d bytes: datagram %d came, not one of %s" % (size, number, wanted))
                    net.check_datagram(data, number, size)
                    wanted.remove(number)

    def file(self, end, name):
        """What a file of the device in sysfs says: a newly mounted one, which shows this end's devices."""
        with tempfile.TemporaryDirectory() as path, self.side(end):
            kernel.mount("sysfs", path, "sysfs")
            try:
                return kernel.read("%s/class/net/%s/%s" % (path, NAMES[end], name))
            finally:
                tools.run("umount " + path)

    def statistics(self, end):
        """The standard counters of the device: {"rx_packets": ...}."""
        stats = self.link(end)["stats64"]
        return {way + "_" + key: value for way in ("rx", "tx") for key, value in stats[way].items()}


def stranger():
    """The device of somebody else on the wire (hostile), in this namespace, or None."""
    tools.attempt("modprobe virtio_net")
    names = (name for name in os.listdir("/sys/class/net") if os.path.exists("/sys/class/net/%s/device/features" % name))
    return next(names, None)


def settled():
    """Gives work that was started a moment."""
    time.sleep(0.2 * ktap.SLOW)


if __name__ == "__main__":
    sys.stdout.write(qemu_args(sys.argv[2] if sys.argv[1:2] == ["hostile"] else None) + "\n")
