#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The viewer (tools/rsoftnet): what it shows is what happened, and it leaves everything as it was."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import fcntl
import json
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time

import kernel
import ktap
import net
import rsoftnet
import tools

LOCAL = {"v4": "127.0.0.1", "v6": "::1", "own_v4": "192.0.2.77", "own_v6": "fd00::77"}
REMOTE = {"v4": ("192.0.2.1", "192.0.2.2"), "v6": ("fd00::1", "fd00::2")}


def program():
    """Where it is; skips where it was not built."""
    path = os.path.join(os.environ.get("RNET_MODULES") or "/nonexistent", "rsoftnet")
    path = path if os.path.exists(path) else shutil.which("rsoftnet")
    if not path:
        raise ktap.Skip("the viewer is not built (make tools)")
    return path


def viewer(*args):
    """(status, output, errors)."""
    return tools.attempt([program(), *args])


def switches():
    """What is on, and the filters."""
    return {name: kernel.read(os.path.join(top, name)) for top, _, names in os.walk(rsoftnet.TOP)
            for name in [os.path.join(top, n) for n in names if n in ("enable", "functions", "device", "netns")]}


def walk(*args, status=0):
    """What `walk --json` says; fails unless it leaves everything as it was."""
    before = switches()
    got, out, error = viewer("walk", "--json", *args)
    ktap.equal("status of walk (%s)" % error, got, status)
    ktap.equal("switches and filters", switches(), before)
    return json.loads(out)


def stages(seen, *who):
    """The stages of a walk that are about these."""
    return [step["stage"] for step in seen["steps"] if step["who"] in who]


def in_order(seen):
    """Fails unless times fit each other."""
    times = [step["ns"] for step in seen["steps"]]
    ktap.equal("times in order", times, sorted(times))
    ktap.equal("differences", [b - a for a, b in zip([0] + times, times)], [step["more_ns"] for step in seen["steps"]])
    ktap.equal("begin and end", (seen["steps"][0]["stage"], seen["steps"][-1]["stage"]), ("send()", "recv()"))


@ktap.case(LOCAL)
def walk_local(kind):
    """To 127.0.0.1, ::1 and an own address: through lo, as ip -s link and a packet socket see it."""
    rsoftnet.enter(filtered=False)
    address = LOCAL[kind]
    if kind.startswith("own"):
        net.ip("link add own type dummy")
        net.set_up("own")
        net.ip("addr add %s dev own %s" % (address, "nodad" if ":" in address else ""))
    sniffer = net.Sniffer("lo")
    before = net.flat_stats()
    seen = walk(address, "--payload", "777")
    ktap.equal("path", (seen["path"], seen["device"], seen["protocol"], seen["arrived"]), ("loopback", "lo", "udp", True))
    grown = net.delta(before, net.flat_stats())
    headers = 48 if ":" in address else 28
    frames = [len(frame) for kind_, _, frame in sniffer.frames(bytes(range(256))) if kind_ == net.PACKET_OUTGOING]
    ktap.equal("the frame, as a packet socket sees it", frames, [777 + headers + 14])
    ktap.check(grown["tx.packets"] >= 1, "ip -s link: %r" % grown)
    text = next(step["text"] for step in seen["steps"] if step["stage"] == "xmit")
    ktap.check("%d bytes" % frames[0] in text, text)
    way = ["xmit", "netif_rx", "deliver"]
    if seen["functions"]:
        way = ["xmit", "netif_rx", "enqueue", "deliver", "ip", "udp"]
        ktap.equal("the socket", stages(seen, "socket"), ["sock_queue", "wakeup"])
    ktap.equal("its way", stages(seen, "packet"), way)
    ktap.check("poll_backlog" in stages(seen, "cpu") and "softirq_entry" in stages(seen, "cpu"), "%r" % seen["steps"])
    in_order(seen)
    # Once more without functions: what tracepoints say is the same.
    few = walk(address, "--no-functions")
    ktap.equal("its way without functions", stages(few, "packet"), ["xmit", "netif_rx", "deliver"])


def pair_of_hosts(version):
    """A namespace with the other end of a veth, whose neighbours know each other; the address there."""
    rsoftnet.enter(filtered=False)
    here, there = REMOTE[version]
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        os.unshare(os.CLONE_NEWNET)
        theirs.send(b".")
        theirs.recv(1)
        bits = 64 if version == "v6" else 24
        net.set_up("lo")
        net.ip("addr add %s/%d dev two %s" % (there, bits, "nodad" if version == "v6" else ""))
        net.set_up("two")
        theirs.send(b".")
        time.sleep(600)
        os._exit(0)
    ours.recv(1)
    net.ip("link add one type veth peer name two netns %d" % pid)
    net.ip("addr add %s/%d dev one %s" % (here, 64 if version == "v6" else 24, "nodad" if version == "v6" else ""))
    net.set_up("one")
    ours.send(b".")
    ours.recv(1)
    ktap.wait_for("a ping", lambda: not tools.attempt("ping -q -c 1 -W 1 %s" % there)[0], 20)
    return there


@ktap.case(REMOTE)
def walk_remote(version):
    """To another host: through the device, and its answer back, as the device's own counters see it."""
    there = pair_of_hosts(version)
    before = net.flat_stats("one")
    seen = walk(there, "--payload", "555")
    grown = net.delta(before, net.flat_stats("one"))
    ktap.equal("path", (seen["path"], seen["device"], seen["arrived"]), ("device", "one", True))
    ktap.equal("protocol", seen["protocol"], "icmp6" if version == "v6" else "icmp")
    ktap.check(grown["tx.packets"] >= 1 and grown["rx.packets"] >= 1, "ip -s link: %r" % grown)
    ktap.equal("the packet leaves", stages(seen, "packet")[0], "xmit")
    answer = [stage for stage in stages(seen, "answer") if stage != "netif_rx"]
    ktap.equal("the answer", [s for s in answer if s in ("deliver", "ip")], ["deliver", "ip"] if seen["functions"] else ["deliver"])
    ktap.check("wakeup" in stages(seen, "socket"), "nobody was woken: %r" % seen["steps"])
    in_order(seen)


@ktap.case(("loopback", "own", "steered", "dropped"))
def document(name):
    """The captured output in "The journey of a packet" has the form that the program prints, and tells the same way."""
    path = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../Documentation/journey/%s.json" % name)
    if not os.path.exists(path):
        raise ktap.Skip("no Documentation/journey here")
    with open(path, encoding="utf-8") as file:
        captured = json.load(file)
    lo = rsoftnet.enter(filtered=False)
    rsoftnet.function("log/functions")
    rsoftnet.put("log/functions", 0)
    net.pin(net.cpus()[0])
    if name == "steered":
        if len(net.cpus()) < 2:
            raise ktap.Skip("one CPU")
        kernel.write(lo + "/queues/rx-0/rps_cpus", "2")
    elif name == "own":
        net.ip("link add own type dummy")
        net.set_up("own")
        net.ip("addr add %s dev own" % captured["address"])
    elif name == "dropped":
        tools.nft("table inet journey {\n chain in { type filter hook input priority 0; udp dport != 53 drop\n }\n }\n")
    args = (captured["address"], "--payload", str(captured["payload"]), "--timeout", "1")
    seen = walk(*args, status=0 if captured["arrived"] else 1)
    ktap.equal("names", sorted(seen), sorted(captured))
    ktap.equal("names in a step", sorted(seen["steps"][0]), sorted(captured["steps"][0]))
    for key in ("address", "path", "device", "protocol", "payload", "arrived", "functions"):
        ktap.equal(key, seen[key], captured[key])
    way = lambda of: [(s["stage"], s["who"], s["cpu"]) for s in of["steps"] if s["who"] in ("packet", "socket", "program")]
    ktap.equal("the way", way(seen), way(captured))
    # The text has the same steps.
    with open(path[:-4] + "txt", encoding="utf-8") as file:
        lines = file.read().splitlines()
    shape = r" *\d+ +\+\d+ +(-|\d+) [*< ](\S+) +\S.*"
    ktap.equal("lines that are steps", [m[2] for m in (re.fullmatch(shape, line) for line in lines) if m and m[2] != "stage"
                                       and any(m[2] == s["stage"] and s["who"] in ("packet", "socket", "program")
                                               for s in captured["steps"])],
               [stage for stage, _, _ in way(captured)])


@ktap.case()
def walk_dropped():
    """A packet that a rule drops: how far it came, and why; status 1."""
    rsoftnet.enter(filtered=False)
    tools.need("NF_TABLES")
    tools.nft("table inet t {\n chain in { type filter hook input priority 0; ip protocol udp drop\n }\n }\n")
    seen = walk("127.0.0.1", "--timeout", "1", status=1)
    ktap.equal("arrived", seen["arrived"], False)
    last = [step for step in seen["steps"] if step["who"] == "packet"][-1]
    ktap.equal("its end", last["stage"], "drop")
    ktap.check("NETFILTER_DROP" in last["text"], last["text"])


@ktap.case(("SIGINT", "SIGTERM"))
def walk_ended(name):
    """Ended while it waits: everything is switched off again."""
    there = pair_of_hosts("v4")
    net.ip("neigh replace 192.0.2.99 lladdr 02:00:00:00:00:99 dev one")
    before = switches()
    with subprocess.Popen([program(), "walk", "192.0.2.99", "--timeout", "600"], stdout=subprocess.DEVNULL) as process:
        ktap.wait_for("it logs", lambda: kernel.read(rsoftnet.path("log/enable")) == "1", 20)
        process.send_signal(getattr(signal, name))
        ktap.wait_for("it ends", lambda: process.poll() is not None, 20)
    ktap.equal("switches", switches(), before)
    ktap.equal("path to a host that is there", walk(there)["arrived"], True)


@ktap.case()
def errors():
    """What cannot be done is said in one line, status 2, and nothing is changed."""
    rsoftnet.enter(filtered=False)
    before = switches()
    for args, text in ((("walk", "0.0.0.0"), "not the address of one host"), (("walk", "224.0.0.1"), "not the address"),
                       (("walk", "nonsense"), "invalid"), (("walk", "127.0.0.1", "--payload", "0"), "0"),
                       (("walk", "198.51.100.1"), "unreachable"), (("top", "--interval", "0"), "0.05"), ((), "Usage")):
        status, _, error = viewer(*args)
        ktap.check(status == 2 and text in error, "%r: status %d, %r" % (args, status, error))
    ktap.equal("switches", switches(), before)
    rsoftnet.put("filter/device", "lo")
    status, _, error = viewer("walk", "127.0.0.1")
    ktap.check(status == 2 and "filter/device" in error, "a filter: status %d, %r" % (status, error))
    rsoftnet.put("filter/device", "")

    def nobody():
        os.setgid(65534)
        os.setuid(65534)
        status, _, error = viewer("top", "--json")
        ktap.check(status == 2 and "root" in error, "as nobody: status %d, %r" % (status, error))
    ktap.value_of(nobody)
    kernel.rmmod("rsoftnet")
    try:
        status, _, error = viewer("top", "--json")
    finally:
        kernel.insmod("rsoftnet")
    ktap.check(status == 2 and "not loaded" in error, "without the module: status %d, %r" % (status, error))


@ktap.case()
def top_json():
    """The sum of all intervals is what was sent, by stage and CPU, and what the tree's counters say."""
    rsoftnet.enter()
    before = switches()
    cpu = net.cpus()[0]
    net.pin(cpu)
    pair = net.udp_pair("127.0.0.1")
    # All of them have to be sent before the last interval is over.
    with subprocess.Popen([program(), "top", "--json", "--interval", str(0.4 * ktap.SLOW), "--count", "8"],
                          stdout=subprocess.PIPE, text=True) as process:
        rows = [json.loads(process.stdout.readline())]
        net.send_udp(pair, 500, 100)
        link, tree = net.link_stats(), rsoftnet.Snapshot()
        rows += [json.loads(line) for line in process.stdout]
        ktap.equal("status", process.wait(), 0)
    ktap.equal("rows", len(rows), 8)
    for name in ("xmit", "netif_rx", "deliver", "wakeup"):
        found = [stage for row in rows for stage in row["stages"] if stage["name"] == name]
        # Sockets of other kinds are woken up, too.
        most = 550 if name == "wakeup" else 500
        for what, seen in (("all", sum(stage["all"]["count"] for stage in found)),
                           ("CPU %d" % cpu, sum(stage["cpus"][cpu]["count"] for stage in found)),
                           ("the tree", tree.count(name))):
            ktap.check(500 <= seen <= most, "%s, %s: %d" % (name, what, seen))
    ktap.equal("ip -s link", (link["tx"]["packets"], link["rx"]["packets"]), (500, 500))
    for row in rows:
        xmit = next(stage for stage in row["stages"] if stage["name"] == "xmit")
        rate = xmit["all"]["count"] * 1e9 / row["interval_ns"]
        ktap.check(abs(xmit["per_second"] - rate) <= 1e-6 * max(rate, 1), "a second: %r" % row)
        ktap.equal("filters", row["filters"], {"netns": str(rsoftnet.netns_inum())})
    waits = [latency for row in rows for latency in row["latencies"] if latency["name"] == "backlog"]
    ktap.equal("times in the backlog", sum(sum(latency["all"]["log2_ns"]) for latency in waits), 500)
    ktap.equal("switches", switches(), before)


@ktap.case()
def top_plain():
    """As text, also through a pipe that is closed early; what was on stays on."""
    rsoftnet.enter()
    rsoftnet.put("stage/drop/enable", 1)
    before = switches()
    out = tools.run([program(), "top", "--count", "1", "--interval", "0.1"])
    for word in ("a second", "xmit", "poll_backlog", "99 % <="):
        ktap.check(word in out, "%s is not in %s" % (word, out))
    with subprocess.Popen([program(), "top", "--interval", "0.05"], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        ktap.wait_for("it ends", lambda: process.poll() is not None, 20)
        ktap.equal("status", process.returncode, 0)
    ktap.equal("switches", switches(), before)
    rows = [json.loads(line) for line in tools.run([program(), "top", "--json", "--look-only", "--count", "1",
                                                    "--interval", "0.1"]).splitlines()]
    on = [stage["name"] for stage in rows[0]["stages"] if stage["enabled"]]
    ktap.equal("on, with --look-only", on, ["drop"])


def on_terminal(keys, size=(40, 120)):
    """(status, what the screen was told) of `top` on a terminal, on which keys are pressed once it has shown numbers."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(program(), ["rsoftnet", "top", "--interval", "0.1"])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    said, end, pressed = b"", time.monotonic() + 20 * ktap.SLOW, False
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                part = os.read(fd, 65536)
            except OSError:
                break
            said += part
        if not pressed and b"latencies" in said:
            pressed = True
            if isinstance(keys, bytes):
                os.write(fd, keys)
            else:
                os.kill(pid, keys)
    else:
        os.kill(pid, signal.SIGKILL)
        raise ktap.Failure("it does not end; the screen: %r" % said[-500:])
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


@ktap.case(("q", "control_c", "SIGTERM"))
def top_terminal(how):
    """On a terminal: stages, latencies and keys; the terminal and all switches are as before in the end."""
    rsoftnet.enter()
    before = switches()
    keys = {"q": b"\x1b[C\x1b[Dpprq", "control_c": b"\x03", "SIGTERM": signal.SIGTERM}[how]
    status, said = on_terminal(keys)
    ktap.equal("status", status, 0)
    for word in (b"xmit", b"wakeup", b"backlogs", b"softirq"):
        ktap.check(word in said, "%r is not on the screen" % word)
    # The alternate screen is entered and left.
    ktap.check(said.count(b"\x1b[?1049h") == 1 and said.rstrip().endswith((b"\x1b[?1049l", b"\x1b[?25h")),
               "the screen is not given back: %r" % said[-60:])
    ktap.equal("switches", switches(), before)


@ktap.case()
def small_terminal():
    """However small the terminal is."""
    rsoftnet.enter()
    status, _ = on_terminal(signal.SIGTERM, (24, 80))
    ktap.equal("status", status, 0)


@ktap.finally_
def restore():
    """Loaded and off."""
    if not kernel.loaded("rsoftnet"):
        kernel.insmod("rsoftnet")
    rsoftnet.quiet()


if __name__ == "__main__":
    sys.exit(rsoftnet.main())
