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
    ("WARN", r"WARNING: (?!Spectre|CPU: 0 SMT)(?:CPU: \d+ PID: \d+ at |.+:\d+ at |.* at .*\+0x)"),
    ("lockdep", r"WARNING: (?:possible |suspicious |bad |inconsistent |held lock|nested lock|lock held)"),
    ("lockdep", r"(?:INFO|BUG): (?:trying to register non-static key|possible |lockdep)"),
    ("lockdep", r"BUG: (?:key|MAX_LOCK|MAX_STACK)"),
    ("BUG", r"(?:kernel )?BUG(?::| at )"),
    ("BUG", r"Kernel BUG "),
    ("oops", r"Oops(?::| - )"),
    ("oops", r"general protection fault|stack segment(?:: |\s)|invalid opcode:|divide error:|double fault:"),
    ("oops", r"traps: PANIC|Unable to handle kernel|Internal error: "),
    ("panic", r"Kernel panic - not syncing"),
    ("UBSAN", r"UBSAN: "),
    ("KASAN", r"(?:BUG: )?(?:KASAN|KMSAN|KCSAN|KFENCE): "),
    ("bad page", r"(?:Bad page (?:state|map)|page dumped because|Bad rss-counter state)"),
    ("slab", r"=+ ?BUG |Slab cache still has objects|kmem_cache_destroy|Object already free"),
    ("list", r"list_(?:add|del) corruption"),
    ("refcount", r"refcount_t: "),
    ("leaked reference", r"unregister_netdevice: waiting for .* to become free"),
    ("leaked reference", r"ref_tracker: .*(?:has \d+/\d+ users|leaked|reference already released|unobserved)"),
    ("kmemleak", r"kmemleak: \d+ new suspected memory leaks"),
    ("RCU stall", r"(?:rcu|srcu|RCU).*(?:detected stalls?|self-detected stall|stalls on CPUs|detected expedited stalls)"),
    ("RCU stall", r"rcu: .*kthread (?:starved|timer wakeup)"),
    ("lockup", r"(?:watchdog: )?BUG: (?:soft|hard) lockup|watchdog: Watchdog detected hard LOCKUP|.*blocked for more than \d+ seconds"),
    ("workqueue", r"BUG: workqueue "),
    ("ODEBUG", r"ODEBUG: "),
    ("DMA-API", r"DMA-API: .*(?:device driver|leak|error|exceed|not checked|overlap|out of memory)"),
    ("scheduling", r"BUG: (?:scheduling while atomic|sleeping function|using )"),
    ("NAPI", r"NETDEV WATCHDOG: |.*(?:netif_napi_add|napi_enable|napi) .*(?:twice|weight \d+ exceeded)"),
    ("softirq", r"(?:NOHZ.*local_softirq_pending|softirq: huh, entered softirq|huh, entered)"),
    ("Rust panic", r"rust_kernel: panicked at|rust_kernel: (?:overflow|attempt)"),
    ("module", r".*: (?:module|mod) verification.*tampered"),
    ("checksum", r".*: hw csum failure|skb len=.* headroom="),
    ("stack", r".*(?:stack-protector|stack guard page|corrupted stack end)"),
    ("fault", r".*(?:unchecked MSR access|unexpected #|Attempted double free|usercopy: Kernel memory)"),
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
