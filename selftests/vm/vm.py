# SPDX-License-Identifier: GPL-2.0
"""Runs one command in a VM: see README in this directory."""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import initramfs
import monitor
import qemu
import splat

HERE = os.path.dirname(os.path.abspath(__file__))
MACHINE, TIME_LIMIT, HARNESS, SPLAT = 123, 124, 125, 126
# What a kernel says whose CPU has stopped.
STALLS = ("RCU stall", "lockup", "workqueue")
# Seconds until the first program of ours runs (4 to 15 on a quiet machine), and how often to try.
SLOW = float(os.environ.get("RNET_SLOW", "1"))
START_LIMIT = {"vm": 60 * SLOW, "exact": 150 * SLOW}
TRIES = 3


class Failure(Exception):
    """The harness could not do its work: (cause, next step)."""


def options():
    """The command line."""
    parser = argparse.ArgumentParser(prog="selftests/vm/run", usage="selftests/vm/run [options] -- CMD...")
    add = parser.add_argument
    add("--lane", choices=["vm", "exact"], default=os.environ.get("RNET_LANE", "vm"))
    add("--time-limit", type=float, default=300, metavar="S", help="seconds from outside; status 124 (default 300)")
    add("--module", action="append", default=[], metavar="'NAME.ko [ARG...]'", help="load it first; 'all' for all of them")
    add("--no-modules", action="store_true", help="do not need the modules to be built")
    add("--out", metavar="DIR", help="becomes /out; keeps the logs")
    add("--append", default="", metavar="ARGS", help="kernel arguments")
    add("--qemu-args", default="", metavar="ARGS", help="arguments for QEMU, for example devices")
    add("--memory", default="2G", help="memory of the VM (default 2G)")
    add("--env", action="append", default=[], metavar="NAME=VALUE", help="for the command")
    add("--settle", type=float, metavar="S", help="guest seconds before the command (exact lane: 4, vm: 0)")
    add("--expect-splat", metavar="REGEX", help="this complaint has to appear and does not fail the run")
    add("--no-kvm", action="store_true", help="TCG even where KVM works")
    add("--keep-devices", action="store_true", help="the VM's own devices are still there after a suspend")
    add("--shell", action="store_true", help="an interactive shell instead of a command")
    add("command", nargs=argparse.REMAINDER)
    opts = parser.parse_args()
    if opts.command[:1] == ["--"]:
        opts.command = opts.command[1:]
    if not opts.command and not opts.shell:
        parser.error("no command; for example: selftests/vm/run -- uname -a")
    if opts.settle is None:
        opts.settle = 4 if opts.lane == "exact" else 0
    return opts


def find_kernel():
    """(image, module directory, release) of the kernel to boot."""
    root = os.environ["RNET_VM_KERNEL"]
    base = os.path.join(root, "img/usr/lib/modules")
    if not os.path.isdir(base) or not os.listdir(base):
        raise Failure("no kernel image in %s" % root, "run 'make setup'")
    release = sorted(os.listdir(base))[-1]
    # Unpacked, it starts 1.5 s earlier under emulation.
    image = os.path.join(root, "img/vmlinux")
    if not os.path.exists(image):
        image = os.path.join(base, release, "vmlinuz")
    return image, os.path.join(base, release), release


def find_modules(opts):
    """What to load, in the order given, and the directory it is in."""
    directory = os.environ.get("MODDIR", "")
    built = sorted(n for n in os.listdir(directory) if n.endswith(".ko")) if os.path.isdir(directory) else []
    if opts.no_modules:
        return [], directory if built else None
    if not built:
        raise Failure("no modules are built for this kernel (%s)" % directory,
                      "run 'make', or pass --no-modules for a command that needs none")
    wanted = []
    for module in opts.module:
        if module == "all":
            wanted += built
        elif module.split()[0] not in built:
            raise Failure("there is no module %s; built are: %s" % (module.split()[0], " ".join(built)),
                          "name one of these, or run 'make'")
        else:
            wanted.append(module)
    return wanted, directory


def write_control(opts, out, modules, directory):
    """What guest/rc reads, as shell: environment, modules and command."""
    control = os.path.join(out, ".vm")
    shutil.rmtree(control, ignore_errors=True)
    os.makedirs(control)
    env = {
        "RNET_REPO": os.environ["RNET_REPO"], "RNET_LANE": opts.lane, "RNET_CWD": os.getcwd(),
        "RNET_SETTLE": "%g" % opts.settle, "RNET_OUT": "/out", "RNET_SLOW": "%g" % SLOW,
    }
    if directory:
        env["RNET_MODULES"] = "/modules"
    for name in ("RNET_DEADLINE", "RNET_LONG", "RNET_BRIEF", "RNET_DELIVERY"):
        if name in os.environ:
            env[name] = os.environ[name]
    if opts.shell:
        env["RNET_SHELL"] = "1"
        env["RNET_TERM"] = os.environ.get("TERM", "linux")
        if sys.stdin.isatty():
            size = os.get_terminal_size(sys.stdin.fileno())
            env["RNET_TTY_SIZE"] = "rows %d cols %d" % (size.lines, size.columns)
    for item in opts.env:
        name, _, value = item.partition("=")
        env[name] = value
    lines = ["export %s=%s" % (name, shlex.quote(value)) for name, value in env.items()]
    lines += ["load " + module for module in modules]
    lines.append("set -- " + shlex.join(opts.command))
    with open(os.path.join(control, "control"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def command_line(opts, out, kernel, image, directory, monitor, output):
    """The whole QEMU command, and the accelerator's name."""
    vmlinuz, tree, _ = kernel
    kvm = opts.lane == "vm" and not opts.no_kvm and qemu.kvm_works(os.environ["RNET_CACHE"], vmlinuz, image)
    accel, accel_name = qemu.accelerator(opts.lane, kvm)
    if "igb" in opts.qemu_args and not qemu.has_device("igb"):
        raise Failure("this QEMU has no igb device (8.0 or later is needed)",
                      "run 'make clean-cache' and 'make setup' for a sysroot whose QEMU has it")
    # Words that the kernel does not know become the environment of guest/init.
    append = ["rnet_repo=" + os.environ["RNET_REPO"]] + (["rnet_modules=1"] if directory else [])
    command = qemu.base(opts.memory, vmlinuz, image, append + shlex.split(opts.append)) + accel
    command += ["-M", "q35,usb=off,vmport=off"]
    command += ["-chardev", "file,id=console,path=%s" % os.path.join(out, "console.log"), "-serial", "chardev:console"]
    command += ["-chardev", "socket,id=monitor,fd=%d" % monitor, "-mon", "chardev=monitor,mode=control"]
    command += ["-device", "virtio-serial-pci"]
    if opts.shell:
        command += ["-chardev", "stdio,id=cmd,signal=off", "-device", "virtconsole,chardev=cmd"]
    else:
        # Not stdio: it counts as closed at the end of our input, and writers in the VM would block.
        command += ["-chardev", "file,id=cmd,path=/dev/fd/%d" % output, "-device", "virtserialport,chardev=cmd,name=cmd"]
    command += qemu.share("sysroot", "/mnt", True) + qemu.share("repo", os.environ["RNET_REPO"], True)
    command += qemu.share("kmods", tree, True) + qemu.share("out", out, False)
    if directory:
        command += qemu.share("modules", directory, True)
    if opts.keep_devices:
        command = list(kept(command))
    return command + shlex.split(opts.qemu_args), accel_name


def kept(command):
    """The same command with each virtio device behind a PCI Express port of its own.

    Suspending means a reset for these devices, from which the kernel's 9p does not come back and the
    port of the command's output not always; unless a device says that its state is kept, and only
    devices behind such a port can.
    """
    number, last = 0, None
    for word in command:
        if last == "-device" and word.startswith("virtio-") and "-pci" in word:
            number += 1
            yield from ("pcie-root-port,id=port%d,chassis=%d,slot=%d" % (number, 100 + number, 100 + number), "-device")
            word += ",bus=port%d,x-pcie-pm-no-soft-reset=on" % number
        yield word
        last = word


def copy_output(source, path):
    """The command's output: to a file and on to our own."""
    with open(path, "wb") as log:
        while chunk := source.read1(65536):
            log.write(chunk)
            log.flush()
            try:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            except BrokenPipeError:
                pass


def ended(process, out, limit, sock):
    """Waits until QEMU ends; not longer than the limit. When the kernel says that something hangs, QEMU is asked why."""
    console = os.path.join(out, "console.log")
    end, size, asked = time.time() + limit, 0, False
    while True:
        try:
            process.wait(min(2, max(0, end - time.time())))
            return True
        except subprocess.TimeoutExpired:
            if time.time() >= end:
                return False
        if not asked and os.path.exists(console) and os.path.getsize(console) != size:
            size = os.path.getsize(console)
            asked = any(kind in STALLS for kind, _, _ in splat.find(read(console)))
            if asked:
                monitor.describe(sock, out)
                if monitor.broken(read(os.path.join(out, "machine.log"))):
                    return False


class NoStart(Exception):
    """The VM hung before its first program of ours."""


def started(process, out, limit):
    """Waits until the VM runs our first program; whether it did, or ended by itself."""
    alive = os.path.join(out, ".vm/alive")
    end = time.time() + limit
    while process.poll() is None and not os.path.exists(alive):
        if time.time() > end:
            return False
        time.sleep(0.1)
    return True


def boot_until_started(opts, out, kernel, image, modules, directory):
    """boot(), again where the emulator hung before anything of ours ran.

    About one boot in fifty under TCG with two CPUs loses the timer interrupt of
    a CPU in its first second and waits for ever. No module is loaded by then and
    no command has run, so nothing that a test could find is hidden by this.
    """
    for attempt in range(1, TRIES + 1):
        write_control(opts, out, modules, directory)
        try:
            return boot(opts, out, kernel, image, directory)
        except NoStart:
            for name in ("console", "machine"):
                os.replace(os.path.join(out, name + ".log"), os.path.join(out, "%s-hung-%d.log" % (name, attempt)))
            say("note: the emulated machine hung while it booted (%d of %d tries)" % (attempt, TRIES))
    raise Failure("the VM did not boot in %d tries of %d s" % (TRIES, START_LIMIT[opts.lane]),
                  "read console-hung-1.log in %s; on a very busy machine, try again later" % out)


def boot(opts, out, kernel, image, directory):
    """Runs QEMU to its end; (timed out, accelerator, seconds, the signal that ended it or 0)."""
    ours, theirs = socket.socketpair()
    source, sink = os.pipe()
    command, accel = command_line(opts, out, kernel, image, directory, theirs.fileno(), sink)
    start = time.time()
    timed_out = False
    with open(os.path.join(out, "qemu.log"), "wb") as errors:
        errors.write((shlex.join(command) + "\n").encode())
        errors.flush()
        # A group of its own, except for the shell: it has the terminal.
        process = subprocess.Popen(command, stdin=None if opts.shell else subprocess.DEVNULL,
                                   stdout=None if opts.shell else errors, stderr=errors,
                                   pass_fds=[theirs.fileno(), sink], start_new_session=not opts.shell)
    theirs.close()
    os.close(sink)
    signal.signal(signal.SIGTERM, lambda *_: (process.kill(), sys.exit(HARNESS)))
    reader = threading.Thread(target=copy_output, args=(open(source, "rb"), os.path.join(out, "cmd.log")))
    reader.start()
    try:
        if not opts.shell and not started(process, out, START_LIMIT[opts.lane]):
            monitor.describe(ours, out)
            process.kill()
            raise NoStart()
        if opts.shell:
            process.wait()
        elif not ended(process, out, opts.time_limit, ours):
            timed_out = True
            monitor.describe(ours, out)
            monitor.backtrace(ours)
    finally:
        died = -min(process.poll() or 0, 0)
        process.kill()
        process.wait()
        reader.join()
        if opts.shell and sys.stdin.isatty():
            subprocess.run(["stty", "sane"], check=False)
    return timed_out, accel, time.time() - start, died


def read(path):
    """A file's text, or nothing."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def complaints(opts, out, timed_out):
    """(lines of complaints that count, whether the expected one was there). What follows the first one in its log goes
    to complaint.log, for those who see no more than what a run has printed."""
    wanted = re.compile(opts.expect_splat) if opts.expect_splat else None
    found, seen, lines = False, set(), []
    for name in ("console.log", "dmesg.log"):
        log = read(os.path.join(out, name))
        for kind, number, line in splat.find(log):
            text = re.sub(r"^(?:<\d+>)?\[[^]]*\](?:\[[^]]*\])? ?", "", line)
            if timed_out and "panic" in line and "NMI" in line:
                continue  # our own monitor.backtrace()
            if wanted and wanted.search(line):
                found = True
            elif text not in seen:
                if not lines:
                    with open(os.path.join(out, "complaint.log"), "w", encoding="utf-8") as file:
                        print(*log.splitlines()[max(0, number - 6):number + 70], sep="\n", file=file)
                seen.add(text)
                lines.append("%s (%s:%d): %s" % (kind, name, number, line))
    if not (wanted and found):
        value = read(os.path.join(out, ".vm/taint")).strip()
        lines += ["taint flag: %s" % name for name in splat.find_taint(int(value or 0)) if not lines]
    return lines, found


def say(text):
    """A line of the harness, apart from the command's own output."""
    print("rnet: vm: " + text, file=sys.stderr, flush=True)


def judge(opts, out, timed_out, died):
    """The exit status, with what there is to say about it."""
    status = read(os.path.join(out, ".vm/status")).strip()
    lines, found = complaints(opts, out, timed_out)
    for line in lines[:20]:
        say("kernel complaint: " + line)
    machine = read(os.path.join(out, "machine.log"))
    for line in machine.splitlines():
        say("the machine then: " + line)
    if timed_out and monitor.broken(machine) and all(line.startswith(STALLS) for line in lines):
        say("the emulated machine is broken: %s; run it again" % monitor.broken(machine))
        return MACHINE
    if lines:
        say("the kernel complained (%d lines); all of it is in %s/console.log and dmesg.log" % (len(lines), out))
        return SPLAT
    if timed_out:
        say("the time limit of %g s was reached; where it hung is in %s/console.log" % (opts.time_limit, out))
        return TIME_LIMIT
    failure = read(os.path.join(out, ".vm/failure")).strip()
    if failure:
        raise Failure(failure, "read %s/dmesg.log" % out)
    if opts.expect_splat and not found:
        say("no kernel complaint matched '%s'" % opts.expect_splat)
        return SPLAT
    if not status:
        # An expected complaint may well end the VM: an oops is a panic here.
        if found:
            return 0
        last = [line for line in read(os.path.join(out, "console.log")).splitlines() if line.strip()]
        cause = read(os.path.join(out, "qemu.log")).splitlines()[1:] + (last[-5:] or ["nothing on its console"])
        if died:
            cause.insert(0, "QEMU was ended by %s" % signal.Signals(died).name)
        raise Failure("the VM ended before the command did: %s" % "; ".join(cause), "read console.log and qemu.log in %s" % out)
    return int(status)


def main():
    """One run."""
    opts = options()
    out = opts.out or tempfile.mkdtemp(prefix="run-", dir=ensure(os.path.join(os.environ["RNET_CACHE"], "out")))
    try:
        for name in ("console.log", "dmesg.log", "cmd.log", "machine.log", "vm.json"):
            if os.path.exists(os.path.join(out, name)):
                os.unlink(os.path.join(out, name))
        kernel = find_kernel()
        modules, directory = find_modules(opts)
        image = initramfs.build(kernel[1], os.path.join(HERE, "guest"), os.environ["RNET_CACHE"])
        if opts.shell:
            print("rnet: vm: a shell in the VM (kernel %s); leave it with 'exit'; /out is %s" % (kernel[2], out), flush=True)
        timed_out, accel, seconds, died = boot_until_started(opts, out, kernel, image, modules, directory)
        status = judge(opts, out, timed_out, died)
    except Failure as failure:
        say("error: " + failure.args[0])
        say(" next: " + failure.args[1])
        return HARNESS
    uptime = {name: read(os.path.join(out, ".vm", name)).strip() for name in ("start", "end")}
    with open(os.path.join(out, "vm.json"), "w", encoding="utf-8") as file:
        json.dump({"lane": opts.lane, "accelerator": accel, "kernel": kernel[2], "status": status,
                   "seconds": round(seconds, 2), "guest_start": uptime["start"], "guest_end": uptime["end"]}, file)
        file.write("\n")
    if not opts.out and status == 0:
        shutil.rmtree(out, ignore_errors=True)
    return status


def ensure(path):
    """The directory, made if it is missing."""
    os.makedirs(path, exist_ok=True)
    return path


if __name__ == "__main__":
    sys.exit(main())
