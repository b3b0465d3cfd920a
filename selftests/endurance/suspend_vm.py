# SPDX-License-Identifier: GPL-2.0
"""As selftests/vm/vm.py, with shared directories that survive that their devices are suspended.

The kernel's 9p over virtio does not come back after a reset, which suspending means for these
devices, unless they say that they keep their state. Only devices behind a PCI Express port can.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../vm"))
# pylint: disable=wrong-import-position
import qemu
import vm

plain_share = qemu.share


def share(tag, path, readonly):
    """A directory of the host behind a port of its own."""
    fsdev, device = plain_share(tag, path, readonly)[1::2]
    number = len(ports) + 1
    ports.append(tag)
    return ["-fsdev", fsdev, "-device", "pcie-root-port,id=port%d,chassis=%d,slot=%d" % (number, number, number),
            "-device", device + ",bus=port%d,x-pcie-pm-no-soft-reset=on" % number]


ports = []

if __name__ == "__main__":
    qemu.share = share
    sys.exit(vm.main())
