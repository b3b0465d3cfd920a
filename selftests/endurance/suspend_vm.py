# SPDX-License-Identifier: GPL-2.0
"""As selftests/vm/vm.py, with virtio devices that are still there after a suspend.

Suspending means a reset for these devices, from which the kernel's 9p does not come back and the
port of the command's output not always; unless a device says that its state is kept, and only
devices behind a PCI Express port can.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../vm"))
# pylint: disable=wrong-import-position
import vm

plain_command_line = vm.command_line


def command_line(*args):
    """The same command, each virtio device behind a port of its own."""
    plain, accel = plain_command_line(*args)
    command, number = [], 0
    for word in plain:
        if command and command[-1] == "-device" and word.startswith("virtio-") and "-pci" in word:
            number += 1
            command += ["pcie-root-port,id=port%d,chassis=%d,slot=%d" % (number, number, number), "-device"]
            word += ",bus=port%d,x-pcie-pm-no-soft-reset=on" % number
        command.append(word)
    return command, accel


if __name__ == "__main__":
    vm.command_line = command_line
    sys.exit(vm.main())
