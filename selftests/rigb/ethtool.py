#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What ethtool sets does what it says, by the registers and the wire; what the in-tree driver shows, too."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import json
import re
import socket
import time

import forge
import ktap
import net
import port

CTRL, LEDCTL, EITR, RFCE, TFCE = 0x0000, 0x0E00, 0x1680, 1 << 27, 1 << 28
VECTORS = 25


def shown(pair, what, end=0):
    """What ethtool prints, as JSON."""
    return json.loads(pair.run(end, "ethtool --json %s %%s" % what))[0]


def refused(pair, command, words=None):
    """Fails unless the command is refused, with these words of the kernel."""
    status, _, error = pair.attempt(0, command)
    ktap.check(status != 0, command + " was taken")
    ktap.check(not words or words in error, "%s: %r" % (command, error))


def intervals(registers):
    """What the vectors have in EITR."""
    return {registers.read(EITR + 4 * vector) for vector in range(VECTORS)}


@ktap.case(limit=120)
def coalescing():
    """Times that can be are set in the device, others refused; adaptive or not; it all outlives a reset.

    What the driver before has left there does not.
    """
    pair = port.Pair("igb-igb")
    registers = forge.Registers(pair.devices[0])
    for vector in range(VECTORS):
        registers.write(EITR + 4 * vector, 196)
    pair = port.Pair("rigb-igb")
    ktap.equal("EITR at first", intervals(registers), {0})
    ktap.equal("adaptive at first", shown(pair, "-c")["adaptive-rx"], True)
    for usecs in (0, 4, 100, 8191):
        pair.run(0, "ethtool -C %%s adaptive-rx off rx-usecs %d" % usecs)
        now = shown(pair, "-c")
        ktap.equal("set", (now["rx-usecs"], now["adaptive-rx"]), (usecs, False))
        # QEMU takes four times as long as the register says.
        ktap.equal("EITR", registers.read(EITR) >> 2, -(-usecs // 4))
        pair.ping()
    for setting, words in (("rx-usecs 8192", "interrupts back"), ("stats-block-usecs 5", "cannot be set"), ("tx-usecs 50", None)):
        refused(pair, "ethtool -C %s " + setting, words)
        ktap.equal("rx-usecs after " + setting, shown(pair, "-c")["rx-usecs"], 8191)
    pair.run(0, "ethtool -C %s rx-usecs 40")
    for change in ("ethtool -G %s rx 512", "ip link set dev %s down", "ip link set dev %s up"):
        pair.run(0, change)
    pair.up()
    ktap.equal("EITR afterwards", registers.read(EITR) >> 2, 10)
    pair.run(0, "ethtool -C %s adaptive-rx on")
    ktap.equal("EITR when it adapts itself", registers.read(EITR), 0)
    pair.ping()


def interrupts(device):
    """How many interrupts a device has had."""
    numbers = os.listdir("%s/devices/%s/msi_irqs" % (port.PCI, device))
    with open("/proc/interrupts", encoding="ascii") as file:
        lines = [line.split() for line in file]
    return sum(sum(int(word) for word in line[1:3] if word.isdigit()) for line in lines if line and line[0][:-1] in numbers)


@ktap.case(limit=120)
def coalescing_works():
    """The longer interrupts are held back, the fewer come for the same packets."""
    pair = port.Pair("rigb-igb")
    counts = []
    for usecs in (0, 2000):
        pair.run(0, "ethtool -C %%s adaptive-rx off rx-usecs %d" % usecs)
        before = interrupts(pair.devices[0])
        pair.exchange(source=1, count=2000, size=60, window=50)
        counts.append(interrupts(pair.devices[0]) - before)
    ktap.note("interrupts for 2000 datagrams: %d, held back: %d" % tuple(counts))
    if ktap.SLOW > 1 and counts[1] * 2 >= counts[0]:
        raise ktap.Skip("this kernel takes longer for a packet than the interval is: as many interrupts either way")
    ktap.check(counts[1] * 2 < counts[0], "%s" % counts)


@ktap.case(limit=120)
def adapts():
    """While small datagrams come fast, interrupts are 200 to 800 us apart; as soon as somebody waits for answers, not any more."""
    pair = port.Pair("rigb-igb")
    registers = forge.Registers(pair.devices[0])
    # So that all of it is on one vector.
    pair.run(0, "ethtool -L %s combined 1")
    pair.wait_link()

    def apart():
        # QEMU takes four times as long as the register says.
        return max(intervals(registers))
    sender, receiver = pair.udp(source=1)
    with sender, receiver:
        start = time.monotonic()
        for _ in range(80):
            for _ in range(100):
                sender.send(b"x" * 60)
            for _ in range(100):
                receiver.recv(100)
        rate, usecs = 8000 / (time.monotonic() - start), apart()
    ktap.note("%d datagrams a second: %d us" % (rate, usecs))
    if rate < 8000 and not usecs:
        raise ktap.Skip("no flood on this machine: %d datagrams a second" % rate)
    ktap.check(200 <= usecs <= 800, "%d us for %d datagrams a second" % (usecs, rate))
    one, other = pair.tcp()
    with one, other:
        for _ in range(200):
            one.sendall(b"x")
            other.sendall(net.read_exactly(other, 1))
            net.read_exactly(one, 1)
    ktap.equal("us after 200 answers", apart(), 0)


@ktap.case(limit=120)
def pause():
    """PAUSE by force, in the device's register, and negotiated; what cannot be together is refused."""
    pair = port.Pair("rigb-igb")
    registers = forge.Registers(pair.devices[0])
    for obeyed, sent in ((True, False), (False, True), (False, False), (True, True)):
        pair.run(0, "ethtool -A %%s autoneg off rx %s tx %s" % ("on" if obeyed else "off", "on" if sent else "off"))
        now = shown(pair, "-a")
        ktap.equal("shown", (now["autonegotiate"], now["rx"], now["tx"]), (False, obeyed, sent))
        pair.wait_link()
        pair.ping()
        ctrl = registers.read(CTRL)
        ktap.equal("RFCE and TFCE", (bool(ctrl & RFCE), bool(ctrl & TFCE)), (obeyed, sent))
    pair.run(0, "ethtool -A %s autoneg on")
    ktap.equal("autoneg", shown(pair, "-a")["autonegotiate"], True)
    pair.wait_link()
    # Not without negotiation.
    pair.run(0, "ethtool -A %s autoneg off")
    pair.run(0, "ethtool -s %s speed 100 duplex full autoneg off")
    refused(pair, "ethtool -A %s autoneg on")
    ktap.equal("autoneg", shown(pair, "-a")["autonegotiate"], False)
    pair.run(0, "ethtool -s %s autoneg on")
    pair.run(0, "ethtool -A %s autoneg on")
    pair.wait_link()
    pair.ping()


@ktap.case(limit=120)
def link_modes():
    """Speeds are offered as asked for, forced, and negotiated again; nonsense is refused and changes nothing."""
    pair = port.Pair("rigb-igb")

    def advertised():
        text = pair.run(0, "ethtool %s")
        part = re.search(r"Advertised link modes:\s+(.*?)\n\s+Advertised pause", text, re.S)
        return part[1].split(), "Auto-negotiation: on" in text
    everything = ["10baseT/Half", "10baseT/Full", "100baseT/Half", "100baseT/Full", "1000baseT/Full"]
    ktap.equal("at first", advertised(), (everything, True))
    pair.run(0, "ethtool -s %s advertise 0x028")
    ktap.equal("two of them", advertised(), (["100baseT/Full", "1000baseT/Full"], True))
    pair.wait_link()
    pair.ping()
    for setting in ("advertise 0x0", "advertise 0x80000000000", "speed 1000 duplex half autoneg off", "speed 2500 duplex full autoneg off",
                    "port fibre"):
        refused(pair, "ethtool -s %s " + setting)
        ktap.equal("after " + setting, advertised(), (["100baseT/Full", "1000baseT/Full"], True))
    for speed in (10, 100):
        pair.run(0, "ethtool -s %%s speed %d duplex full autoneg off" % speed)
        ktap.check("Auto-negotiation: off" in pair.run(0, "ethtool %s"), "negotiation is still on")
        refused(pair, "ethtool -r %s")
        # In-tree igb has no link then in QEMU.
        pair.wait_link()
        pair.ping()
        pair.run(0, "ip link set dev %s down")
        pair.run(0, "ip link set dev %s up")
        pair.up()
        pair.ping()
    pair.run(0, "ethtool -s %s autoneg on advertise 0x2f")
    pair.wait_link()
    pair.ping()


def toeplitz(key, data):
    """The hash of Microsoft's specification of receive side scaling."""
    bits, result = int.from_bytes(key, "big"), 0
    for n in range(8 * len(data)):
        if data[n // 8] & 0x80 >> n % 8:
            result ^= bits >> (8 * len(key) - 32 - n) & 0xffffffff
    return result


def rss(pair, end):
    """(table, key) as ethtool shows them."""
    now = shown(pair, "-x", end)
    return now["rss-indirection-table"], bytes(now["rss-hash-key"])


def per_queue(pair, end, count):
    """Frames received on each queue."""
    text = pair.run(end, "ethtool -S %s")
    return [int(re.search(r"rx_queue_%d_packets: (\d+)" % n, text)[1]) for n in range(count)]


@ktap.case(("igb-rigb", "igb-igb")[:1 if ktap.SLOW > 1 else 2], limit=200)
def spread(drivers):
    """Streams come in on the queue that key and table say, by a calculation of our own; all queues are used."""
    pair = port.Pair(drivers)
    count = 4 if drivers == "igb-rigb" else 2
    pair.run(1, "ethtool -L %%s combined %d" % count)
    pair.wait_link()
    for setting in ("equal %d" % count, "weight " + " ".join("1" if n else "3" for n in range(count)), "default"):
        pair.run(1, "ethtool -X %s " + setting)
        table, key = rss(pair, 1)
        ktap.equal("entries and key", (len(table), len(key)), (128, 40))
        wanted, number = [0] * count, 20000
        before = per_queue(pair, 1, count)
        # Eight streams at least, until each queue has had two.
        while number < 20008 or min(wanted) < 2:
            number += 1
            addresses = socket.inet_aton(port.V4[0]) + socket.inet_aton(port.V4[1])
            one, listener = (pair.socket(end, socket.AF_INET, socket.SOCK_STREAM) for end in (0, 1))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((port.V4[0], number))
            listener.bind((port.V4[1], 0))
            listener.listen(1)
            ports = number.to_bytes(2, "big") + listener.getsockname()[1].to_bytes(2, "big")
            queue = table[toeplitz(key, addresses + ports) & 127]
            wanted[queue] += 1
            was = per_queue(pair, 1, count)
            one.connect(listener.getsockname())
            other, _ = listener.accept()
            one.sendall(b"x" * 20000)
            net.read_exactly(other, 20000)
            now = per_queue(pair, 1, count)
            grown = [b - a for a, b in zip(was, now)]
            ktap.check(grown[queue] >= 8 and sum(grown) - grown[queue] <= 4, "queue %d, but %s" % (queue, grown))
            for sock in (one, other, listener):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.close()
        after = per_queue(pair, 1, count)
        ktap.note("%s: streams %s, frames %s" % (setting, wanted, [b - a for a, b in zip(before, after)]))


@ktap.case(limit=120)
def hash_fields():
    """Of what the hash is made, as igb says it; the ports of UDP are in it or not, by a calculation of our own."""
    pair = port.Pair("igb-rigb")
    flows = ("tcp4", "udp4", "sctp4", "ah4", "esp4", "tcp6", "udp6", "sctp6", "ah6", "esp6")
    shown = lambda end, flow: pair.run(end, "ethtool -n %s rx-flow-hash " + flow).splitlines()
    for flow in flows:
        ktap.equal(flow, shown(1, flow), shown(0, flow))
    pair.run(1, "ethtool -L %s combined 4")
    pair.wait_link()
    table, key = rss(pair, 1)
    addresses = socket.inet_aton(port.V4[0]) + socket.inet_aton(port.V4[1])
    for letters, with_ports in (("sd", False), ("sdfn", True), ("sd", False)):
        for end in (0, 1):
            pair.run(end, "ethtool -N %s rx-flow-hash udp4 " + letters)
        ktap.equal("udp4 as " + letters, shown(1, "udp4"), shown(0, "udp4"))
        queues = set()
        for number in range(30000, 30008):
            sender, receiver = pair.udp(port=number)
            with sender, receiver:
                ports = number.to_bytes(2, "big") + receiver.getsockname()[1].to_bytes(2, "big")
                queue = table[toeplitz(key, addresses + (ports if with_ports else b"")) & 127]
                was = per_queue(pair, 1, 4)
                for n in range(10):
                    sender.send(net.datagram(n, 100))
                    receiver.recv(200)
                grown = [b - a for a, b in zip(was, per_queue(pair, 1, 4))]
                ktap.check(grown[queue] >= 10 and sum(grown) <= 14, "%s: queue %d, but %s" % (letters, queue, grown))
                queues.add(queue)
        ktap.check(len(queues) > 1 if with_ports else len(queues) == 1, "%s: queues %s" % (letters, queues))
    for setting in ("udp4 s", "udp4 sdf", "tcp4 sd", "sctp4 sdfn", "udp6 v"):
        status, _, _ = pair.attempt(1, "ethtool -N %s rx-flow-hash " + setting)
        ktap.check(status != 0, setting + " was taken")
    ktap.equal("udp4", shown(1, "udp4"), shown(0, "udp4"))


@ktap.case(limit=120)
def table_and_key():
    """Set, refused, and kept over changes; as many queues go as the table allows."""
    pair = port.Pair("rigb-igb")
    pair.run(0, "ethtool -L %s combined 4")
    key = bytes(range(40))
    pair.run(0, "ethtool -X %s hkey " + key.hex(":"))
    ktap.equal("key", rss(pair, 0)[1], key)
    pair.run(0, "ethtool -X %s equal 3")
    ktap.equal("table", rss(pair, 0)[0], [n % 3 for n in range(128)])
    refused(pair, "ethtool -X %s equal 5")
    refused(pair, "ethtool -X %s hfunc xor")
    refused(pair, "ethtool -X %s context new equal 2")
    refused(pair, "ethtool -L %s combined 2")
    ktap.equal("table", rss(pair, 0), ([n % 3 for n in range(128)], key))
    for change in ("ethtool -L %s combined 3", "ip link set dev %s down", "ethtool -G %s rx 512", "ip link set dev %s up"):
        pair.run(0, change)
        ktap.equal("after " + change, rss(pair, 0), ([n % 3 for n in range(128)], key))
    pair.run(0, "ethtool -X %s default")
    pair.run(0, "ethtool -L %s combined 2")
    ktap.equal("table", rss(pair, 0)[0], [n % 2 for n in range(128)])
    pair.up()
    pair.ping()


@ktap.case(limit=120)
def counters():
    """Standard groups: what one end has sent the other has received, by size; igb's own count agrees."""
    pair = port.Pair("rigb-igb")
    forge.quiet(pair)
    time.sleep(2.2)

    def groups():
        text = json.loads(pair.run(0, "ethtool --json -S %s --groups eth-mac rmon eth-ctrl"))[0]
        theirs = dict(re.findall(r"(\w+): (\d+)", pair.run(1, "ethtool -S %s")))
        return text, {name: int(value) for name, value in theirs.items()}, pair.statistics(0)
    before = groups()
    pair.ping(count=10, size=333)
    pair.ping(count=3, size=1400)
    # The device is asked once a second.
    time.sleep(2.2)
    after = groups()
    mac = {name: after[0]["eth-mac"][name] - before[0]["eth-mac"][name] for name in after[0]["eth-mac"]}
    ktap.equal("frames", (mac["FramesTransmittedOK"], mac["FramesReceivedOK"]), (13, 13))
    ktap.equal("errors", (mac["FrameCheckSequenceErrors"], mac["FrameTooLongErrors"]), (0, 0))
    # With the FCS.
    size = 10 * (333 + 46) + 3 * (1400 + 46)
    ktap.equal("bytes", (mac["OctetsTransmittedOK"], mac["OctetsReceivedOK"]), (size, size))
    ktap.equal("igb's count", after[1]["rx_packets"] - before[1]["rx_packets"], 13)
    ktap.equal("the interface's", after[2]["tx_packets"] - before[2]["tx_packets"], 13)
    for way in ("rx", "tx"):
        name = way + "-pktsNtoM"
        ranges = {(entry["low"], entry["high"]): entry["val"] for entry in after[0]["rmon"][name]}
        old = {(entry["low"], entry["high"]): entry["val"] for entry in before[0]["rmon"][name]}
        grown = [ranges[key] - old.get(key, 0) for key in sorted(ranges)]
        ktap.equal(name, grown, [0, 0, 0, 10, 0, 3])


@ktap.case(limit=120)
def self_tests():
    """Online and offline, up and down: all pass, and the port works after it; without a link, that test fails."""
    pair = port.Pair("rigb-igb")
    for mode in ("online", "offline"):
        out = pair.run(0, "ethtool -t %s " + mode)
        ktap.check("The test result is PASS" in out and "Interrupt" in out, out)
        pair.wait_link()
        pair.ping()
    pair.run(0, "ip link set dev %s down")
    ktap.check("PASS" in pair.run(0, "ethtool -t %s offline"), "down")
    pair.run(0, "ip link set dev %s up")
    pair.up()
    pair.ping()


@ktap.case(limit=120)
def registers_and_eeprom():
    """Registers as they are; the EEPROM word for word as the in-tree driver reads the other port's."""
    pair = port.Pair("rigb-igb")
    raw = pair.run(0, "ethtool -d %s raw off")
    words = [int(byte, 16) for line in raw.splitlines() if re.match(r"0x[0-9a-f]+:", line) for byte in line.split()[1:]]
    first = int.from_bytes(bytes(words[:4]), "little")
    ktap.equal("CTRL", first, forge.Registers(pair.devices[0]).read(CTRL))
    ktap.equal("bytes", len(words), 4 * 120)
    mine, theirs = (bytes(int(byte, 16) for line in pair.run(end, "ethtool -e %s").splitlines()
                          if line.startswith("0x") for byte in line.split()[1:]) for end in (0, 1))
    ktap.equal("length", len(mine), len(theirs))
    ktap.equal("address", mine[:6].hex(":"), pair.link(0)["address"])
    differ = [n // 2 for n, (a, b) in enumerate(zip(mine, theirs)) if a != b]
    ktap.check(set(differ) <= {2, 63}, "words that differ beside address and checksum: %s" % differ)
    for offset, length in ((0, 1), (1, 3), (len(mine) - 1, 1), (len(mine) - 48, 48)):
        out = pair.run(0, "ethtool -e %%s offset %d length %d" % (offset, length))
        got = [int(byte, 16) for line in out.splitlines() if line.startswith("0x") for byte in line.split()[1:]]
        ktap.equal("%d bytes at %d" % (length, offset), bytes(got), mine[offset:offset + length])
    refused(pair, "ethtool -e %%s offset %d length 1" % len(mine))
    refused(pair, "ethtool -E %s magic 0 offset 0 value 1")


@ktap.case(limit=60)
def identified():
    """The lights blink, then show what they showed before."""
    pair = port.Pair("rigb-igb")
    registers = forge.Registers(pair.devices[0])
    before = registers.read(LEDCTL)
    pair.run(0, "ethtool -p %s 1")
    ktap.equal("LEDCTL", registers.read(LEDCTL), before)


if __name__ == "__main__":
    sys.exit(port.main())
