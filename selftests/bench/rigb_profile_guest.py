#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Traffic for rigb_profile.py, in the VM: a row of rigb.py, for few packets: rigb_profile_guest.py ROW"""

import os
import pathlib
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
# pylint: disable=wrong-import-position
import port
import rigb

OUT = pathlib.Path("/out")
# First those that show how many come, then those that are counted: more of pktgen's, as to start it takes as much as some hundred.
FIRST, PACKETS, OF_PKTGEN = 300, 400, 1500


def main():
    """Both drivers in turn."""
    port.need()
    name, drivers, work = rigb.ROWS[int(sys.argv[1])]
    for side, these in (("igb", rigb.REFERENCE), ("rigb", drivers)):
        pair = rigb.ready(these)
        time.sleep(2)
        # Caches are full then, and all modules are there.
        work(pair)
        with open("/proc/kallsyms", encoding="ascii") as symbols, open(OUT / ("symbols-" + side), "w", encoding="ascii") as out:
            out.writelines(line for line in symbols if line.split()[1] in "tTwW")
        (OUT / ("ready-" + side)).touch()
        while not (OUT / ("go-" + side)).exists():
            time.sleep(0.05)
        work(pair, FIRST)
        # What nobody else calls marks the beginning and the end.
        os.getpgid(0)
        _, packets = work(pair, OF_PKTGEN if name.startswith("pktgen") else PACKETS)
        os.getpgid(0)
        (OUT / ("done-" + side)).touch()
        while not (OUT / ("seen-" + side)).exists():
            time.sleep(0.05)
        pair.close()
    (OUT / "packets").write_text("%d" % packets, encoding="ascii")


if __name__ == "__main__":
    main()
