#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Counts the instructions of ndo_start_xmit of igb and of rigb for a packet of pktgen: rigb_driver.py OUT

As driver.py does for lo (selftests/bench/run.sh --rigb-driver calls it). rigb frees in it what has been sent, igb does not.
"""

import pathlib
import subprocess
import sys

import driver

driver.LANES = ("igb-igb", "rigb-igb")
driver.KINDS = {"pktgen": "pktgen 128 B"}
driver.BACKLOG = ()
driver.DEVICE, driver.MODULES, driver.LOADED, driver.GUEST = b"p0", ("igb", "rigb"), "rigb.ko", "rigb_driver_guest.py"


def main():
    """Measures and prints."""
    port = str(driver.HERE / "../lib/port.py")
    driver.QEMU_ARGS = subprocess.run([sys.executable, "-B", port], capture_output=True, text=True, check=True).stdout.strip()
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    print("\n".join(driver.table(driver.measure(out))))
    print("every instruction of one packet: %s/trace-*.txt" % out)


if __name__ == "__main__":
    main()
