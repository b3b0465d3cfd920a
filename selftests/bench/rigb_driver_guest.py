#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Traffic for rigb_driver.py, in the VM, as driver_guest.py makes it for driver.py."""

import os
import pathlib
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
# pylint: disable=wrong-import-position
import kernel
import port

OUT = pathlib.Path("/out")


def tell(file, *lines):
    """Tells pktgen."""
    for line in lines:
        kernel.write("/proc/net/pktgen/" + file, line)


def pktgen(pair, done):
    """Packets for nobody; an empty datagram shows which function sends."""
    sender, _ = pair.udp()
    with pair.side(0):
        tell("kpktgend_0", "rem_device_all", "add_device p0")
        tell("p0", "count 64", "pkt_size 128", "delay 0", "dst_mac 02:00:00:00:00:99", "dst 192.0.2.77")
        while not done():
            sender.send(b"")
            tell("pgctrl", "start")
        tell("kpktgend_0", "rem_device_all")


def main():
    """Both drivers in turn."""
    port.need()
    subprocess.run(["modprobe", "pktgen"], check=True)
    (OUT / "btf").write_bytes(pathlib.Path("/sys/kernel/btf/vmlinux").read_bytes())
    for drivers in ("igb-igb", "rigb-igb"):
        pair = port.Pair(drivers)
        pair.ping()
        with open("/proc/kallsyms", encoding="ascii") as symbols, open(OUT / "kallsyms", "w", encoding="ascii") as out:
            out.writelines(line for line in symbols if line.split()[1] in "tTwW")
        count = iter(range(4))
        pktgen(pair, lambda count=count: next(count, None) is None)
        name = drivers + "-pktgen"
        (OUT / "phase.new").write_text(name, encoding="ascii")
        (OUT / "phase.new").rename(OUT / "phase")
        while not (OUT / ("go-" + name)).exists():
            time.sleep(0.05)
        pktgen(pair, (OUT / ("done-" + name)).exists)
        pair.close()


if __name__ == "__main__":
    main()
