#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""capture.py DIR: what "The journey of a packet" shows, made anew; in a VM with two ports on one wire:

    make tools
    selftests/vm/run --module rsoftnet.ko --out /tmp/journey --append=iomem=relaxed \\
        --qemu-args="$(scripts/enter.sh python3 -B selftests/lib/port.py)" -- Documentation/journey/capture.py /out
    cp /tmp/journey/[!v]*.json /tmp/journey/*.txt Documentation/journey/
    for f in Documentation/journey/*.json; do Documentation/journey/draw.py $f >${f%.json}.svg; done

Each walk is made twice, as JSON, from which the picture is drawn, and as text; so times differ.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../selftests/lib"))
# pylint: disable=wrong-import-position
import time

import kernel
import net
import port
import tools

PROGRAM = "/modules/rsoftnet"
# The journeys: name, where the packet goes, what is done before and what after.
RPS = "/class/net/lo/queues/rx-0/rps_cpus"
DROP = "table inet journey {\n chain in { type filter hook input priority 0; udp dport != 53 drop\n }\n }\n"
JOURNEYS = ("loopback", "own", "steered", "dropped", "nic")


def walk(out, name, address):
    """The text and the JSON of a walk; the second one of two, since the first finds nothing in the caches."""
    for _ in range(2):
        text = tools.attempt([PROGRAM, "walk", address, "--payload", "64", "--timeout", "1"])[1]
    data = tools.attempt([PROGRAM, "walk", address, "--payload", "64", "--timeout", "1", "--json"])[1]
    for suffix, content in (("txt", "# rsoftnet walk %s --payload 64\n%s" % (address, text)), ("json", data)):
        with open("%s/%s.%s" % (out, name, suffix), "w", encoding="utf-8") as file:
            file.write(content)


def stages(out):
    """Twenty packets, and what the tree says of them."""
    put = lambda name, value: kernel.write("/sys/kernel/rsoftnet/" + name, "%s\n" % value)
    put("filter/netns", os.stat("/proc/self/ns/net").st_ino)
    put("stage/enable", 1)
    net.send_udp(net.udp_pair("127.0.0.1"), 20, 100, window=1)
    put("stage/enable", 0)
    lines = ["# grep . /sys/kernel/rsoftnet/stage/{xmit,netif_rx,deliver,wakeup}/count"]
    for name in ("xmit", "netif_rx", "deliver", "wakeup"):
        path = "/sys/kernel/rsoftnet/stage/%s/count" % name
        lines.append("%s:%s" % (path, kernel.read(path)))
    put("reset", 1)
    put("filter/netns", "")
    with open(out + "/counts.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def main():
    """All of them."""
    out = sys.argv[1]
    tools.attempt("modprobe igb")
    ends = port.Pair("igb-igb")
    ends.ping()
    net.pin(net.cpus()[0])
    with ends.side(0):
        net.mount_sys()
        walk(out, "loopback", "127.0.0.1")
        stages(out)
        walk(out, "own", port.V4[0])
        kernel.write(net.SYS + RPS, "2")
        time.sleep(0.1)
        walk(out, "steered", "127.0.0.1")
        kernel.write(net.SYS + RPS, "0")
        tools.nft(DROP)
        walk(out, "dropped", "127.0.0.1")
        tools.run("nft delete table inet journey")
        walk(out, "nic", port.V4[1])
    ends.close()


if __name__ == "__main__":
    main()
