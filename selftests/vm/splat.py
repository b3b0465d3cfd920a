# SPDX-License-Identifier: GPL-2.0
"""Finds kernel complaints in logs.

The patterns are those of lines that a kernel prints when something is wrong,
whoever is at fault. test-splat.py has a table of samples for each of them and
of harmless lines that look alike.
"""

import re

# What precedes the text of a line: level, time stamp, CPU or task.
PREFIX = r"^(?:<\d+>)?(?:\[ *\d+\.\d+\](?:\[ *[CT]\d+\])?)? ?"

PATTERNS = [
    ("KASAN", r"BUG: (?:KASAN|KMSAN|KCSAN|KFENCE): "),
    ("lockup", r"(?:watchdog: )?BUG: (?:soft|hard) lockup|watchdog: .*hard LOCKUP|INFO: task .* blocked (?:for|in)"),
    ("workqueue", r"BUG: workqueue lockup|workqueue: .* hogged CPU for"),
    ("lockdep", r"WARNING: (?:possible |suspicious |bad |inconsistent |held lock|[Nn]ested lock|lock held)"),
    ("lockdep", r"\[ BUG: |INFO: (?:trying to register non-static key|possible |lockdep )"),
    ("WARN", r"WARNING: (?:CPU: \d+ PID: \d+ at|\S+:\d+ at|at) "),
    ("WARN or BUG", r"-+\[ cut here \]-+"),
    ("BUG", r"(?:kernel |Kernel )?BUG(?::| at )"),
    ("oops", r"Oops(?::| - )"),
    ("oops", r"general protection fault|stack segment: |invalid opcode: |divide error: |double fault: |traps: PANIC"),
    ("panic", r"Kernel panic - not syncing"),
    ("UBSAN", r"UBSAN: "),
    ("bad page", r"Bad page (?:state|map)|page dumped because|Bad rss-counter state|.*page allocation failure: "),
    ("slab", r"=+\s*BUG |.*Objects remaining (?:in|on) |.*kmem_cache_destroy|Slab cache still has objects"),
    ("list", r"list_(?:add|del)(?: double add| corruption)"),
    ("refcount", r"refcount_t: "),
    ("leaked reference", r"unregister_netdevice: waiting for .* to become free"),
    ("leaked reference", r"ref_tracker: .*(?: users at|leaked|already released|[Uu]nobserved)"),
    ("kmemleak", r"kmemleak: \d+ new suspected memory leaks"),
    ("RCU stall", r"rcu: (?:INFO: .*stall|.*kthread (?:starved|timer wakeup))|srcu.*stall"),
    ("ODEBUG", r"ODEBUG: (?!\d+ of \d+ active objects replaced|Out of memory)"),
    ("DMA-API", r"DMA-API: .*(?:device driver|leak|overlap|exceed|not checked|untracked)"),
    ("NAPI", r"NETDEV WATCHDOG: |.*NETDEV WATCHDOG: |.*napi.* called with .*weight|.*exceeded (?:its )?budget"),
    ("softirq", r".*local_softirq_pending|huh, entered softirq"),
    ("Rust panic", r"rust_kernel: panicked at"),
    ("checksum", r".*: hw csum failure"),
    ("memory", r".*(?:usercopy: Kernel memory|stack-protector: |corrupted stack end)"),
]

COMPILED = [(kind, re.compile(PREFIX + "(?:" + text + ")")) for kind, text in PATTERNS]

# Taint bits that only a complaint sets (Documentation/admin-guide/tainted-kernels):
# forced rmmod, machine check, bad page, oops, WARN, soft lockup.
TAINT = {3: "forced rmmod", 4: "machine check", 5: "bad page", 7: "oops", 9: "WARN", 14: "soft lockup"}


def classify(line):
    """The kind of complaint that a line is, or None."""
    for kind, pattern in COMPILED:
        if pattern.search(line):
            return kind
    return None


def find(text):
    """(kind, line number, line) of each complaint in a log."""
    hits = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.rstrip("\r")
        kind = classify(line)
        if kind:
            hits.append((kind, number, line))
    return hits


def find_taint(value):
    """The complaints that the kernel's taint flags tell of."""
    return [name for bit, name in TAINT.items() if value >> bit & 1]
