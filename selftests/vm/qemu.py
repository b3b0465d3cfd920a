# SPDX-License-Identifier: GPL-2.0
"""The command line of QEMU, the lanes, and whether KVM works here."""

import hashlib
import os
import subprocess
import sys

QEMU = "qemu-system-x86_64"

# The kernel prints warnings and worse on its console; its whole log is saved
# at the end. A panic ends the VM at once (with -no-reboot).
KERNEL_ARGS = [
    "console=ttyS0,115200", "quiet", "loglevel=5", "panic=-1", "oops=panic", "nokaslr",
    "no_timer_check", "tsc=reliable", "audit=0", "unknown_nmi_panic",
]


def base(memory, kernel, initrd, append):
    """What every VM of ours has: no default devices, one console."""
    return [
        QEMU, "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
        "-m", memory, "-kernel", kernel, "-initrd", initrd,
        "-append", " ".join(KERNEL_ARGS + append),
    ]


def accelerator(lane, kvm):
    """The options of a lane, and its accelerator's name."""
    if lane == "exact":
        return ["-accel", "tcg", "-icount", "shift=0,sleep=off", "-smp", "1", "-cpu", "qemu64"], "tcg-icount"
    if kvm:
        return ["-accel", "kvm", "-smp", "2", "-cpu", "host"], "kvm"
    return ["-accel", "tcg,thread=multi,tb-size=512", "-smp", "2", "-cpu", "qemu64"], "tcg"


def share(tag, path, readonly):
    """A directory of the host as a 9p device."""
    fsdev = "local,id=fs_%s,path=%s,security_model=none" % (tag, path.replace(",", ",,"))
    if readonly:
        fsdev += ",readonly=on"
    return ["-fsdev", fsdev, "-device", "virtio-9p-pci,fsdev=fs_%s,mount_tag=%s" % (tag, tag)]


def has_device(name):
    """Whether this QEMU emulates a device."""
    out = subprocess.run([QEMU, "-device", "help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return ('name "%s"' % name) in out.stdout.decode(errors="replace")


def kvm_works(cache, kernel, initrd, node="/dev/kvm"):
    """Whether a VM under KVM gets as far as its first process.

    The node may be there and still not run an ordinary kernel (nested
    virtualization), so a probe boots one. The answer is kept for this boot of
    this host and for this kernel.
    """
    if not os.path.exists(node):
        return False
    if not os.access(node, os.R_OK | os.W_OK):
        note_kvm("you may not open it (group kvm?)")
        return False
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        name = hashlib.sha256(("%s %s" % (file.read().strip(), kernel)).encode()).hexdigest()[:16]
    answer = os.path.join(cache, "kvm-probe-" + name)
    if os.path.exists(answer):
        with open(answer, encoding="ascii") as file:
            result = file.read().strip()
    else:
        result = probe_kvm(kernel, initrd)
        with open(answer + ".%d" % os.getpid(), "w", encoding="ascii") as file:
            file.write(result + "\n")
        os.rename(answer + ".%d" % os.getpid(), answer)
    if result != "works":
        note_kvm(result)
    return result == "works"


def note_kvm(reason):
    """One line: it costs time, it does not fail. A runner of many VMs says so itself."""
    if os.environ.get("RNET_KVM_NOTED"):
        return
    print("rnet: note: /dev/kvm is there but unusable (%s): running under TCG, which is slower" % reason,
          file=sys.stderr, flush=True)


def probe_kvm(kernel, initrd):
    """Boots a VM under KVM that only says that it is alive."""
    command = base("512M", kernel, initrd, ["rnet_probe=1"]) + accelerator("vm", True)[0]
    command += ["-M", "q35", "-serial", "stdio"]
    try:
        run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return "a probe boot hung"
    if b"rnet: probe: alive" in run.stdout:
        return "works"
    last = [line for line in run.stdout.decode(errors="replace").splitlines() if line.strip()]
    return "a probe boot failed: %s" % (last[-1].strip()[:100] if last else "no output")
