#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The detector of kernel complaints against a table of lines (KTAP).

Every pattern has to be hit by a line of the table: one that no line needs is a
mistake, and so is a line that is classified wrongly.
"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import monitor  # noqa: E402
import splat  # noqa: E402

COMPLAINTS = """
WARNING: net/core/dev.c:6789 at napi_disable+0x3c/0x60, CPU#1: rmmod/123
WARNING: at rnet_xmit+0x3c/0x60 [rlo], CPU#1: ping/123
WARNING: CPU: 0 PID: 77 at net/core/skbuff.c:1 skb_release_head_state+0x1/0x2
------------[ cut here ]------------
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: suspicious RCU usage
WARNING: bad unlock balance detected!
WARNING: inconsistent lock state
WARNING: held lock freed!
WARNING: lock held when returning to user space!
[ BUG: Invalid wait context ]
INFO: trying to register non-static key.
BUG: KASAN: slab-use-after-free in rlo_xmit+0x1/0x2 [rlo]
BUG: KFENCE: use-after-free read in x+0x1/0x2
BUG: kernel NULL pointer dereference, address: 0000000000000010
BUG: unable to handle page fault for address: ffffffffc0001000
BUG: sleeping function called from invalid context at kernel/locking/mutex.c:1
BUG: scheduling while atomic: ping/123/0x00000100
BUG: using smp_processor_id() in preemptible [00000000] code: ping/123
kernel BUG at net/core/skbuff.c:2100!
Oops: general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP
Oops: 0000 [#1] SMP NOPTI
general protection fault, maybe for address 0x0
Kernel panic - not syncing: Fatal exception in interrupt
UBSAN: array-index-out-of-bounds in net/core/dev.c:1:2
BUG: Bad page state in process ping  pfn:12345
Bad page map in process ping
ping: page allocation failure: order:0, mode:0x820(GFP_ATOMIC), nodemask=(null)
BUG skbuff_head_cache (Tainted: G           OE     ): Objects remaining in skbuff_head_cache on __kmem_cache_shutdown()
=============================================================================BUG kmalloc-64
list_del corruption. prev->next should be ffff, but was dead
list_add double add: new=ffff, prev=ffff, next=ffff.
refcount_t: underflow; use-after-free.
unregister_netdevice: waiting for lo to become free. Usage count = 2
ref_tracker: netdev@ffff has 1/1 users at
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: INFO: rcu_preempt self-detected stall on CPU
rcu: rcu_preempt kthread starved for 5250 jiffies! g1 f0x0 RCU_GP_WAIT_FQS(5)
watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [ping:123]
INFO: task rmmod:123 blocked for more than 120 seconds.
BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 33s!
ODEBUG: free active (active state 0) object: ffff object type: timer_list hint: x
DMA-API: rigb 0000:01:00.0: device driver frees DMA memory with different size
DMA-API: exceeded 7 overlapping mappings of cacheline 0x1
NETDEV WATCHDOG: CPU: 1: transmit queue 0 timed out 5000 ms
eth0: NETDEV WATCHDOG: transmit queue 0 timed out
NOHZ tick-stop error: local_softirq_pending 08
rust_kernel: panicked at rust/rnet/ring.rs:1:2:
eth0: hw csum failure
usercopy: Kernel memory exposure attempt detected from SLUB object 'x' (offset 0, size 1)!
"""

HARMLESS = """
debug: BUG or WARNING in a text of somebody else is none of ours
Command line: console=ttyS0 panic=-1 oops=panic nokaslr
rlo: loading out-of-tree module taints kernel.
rlo: module verification failed: signature and/or required key missing - tainting kernel
mtrr: your CPUs had inconsistent fixed MTRR settings
Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2 BHB attacks!
evm: overlay not supported
rcu: Hierarchical RCU implementation.
rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.
rcu: srcu_init: Setting srcu_struct sizes based on contention.
DMA-API: preallocated 65536 debug entries
DMA-API: debugging enabled by kernel config
ODEBUG: 10 of 10 active objects replaced
kmemleak: Kernel memory leak detector initialized (mem pool available: 15643)
RAS: Correctable Errors collector initialized.
x86/mm: Checked W+X mappings: passed, no W+X pages found.
Freeing unused kernel image (initmem) memory: 4664K
reboot: Power down
device lo entered promiscuous mode
NOTICE: Automounting of tracing to debugfs is deprecated and will be removed in 2030
systemd[1]: Starting something that was blocked for a while
rlo: refcount is fine
Warning: the user wrote this
tsc: Unable to calibrate against PIT
APIC calibration not consistent with PM-Timer: 97ms instead of 100ms
page_owner is disabled
LSM: initializing lsm=lockdown,capability,landlock,yama,apparmor,tomoyo,bpf,ipe,ima,evm
"""

# As a console, dmesg, dmesg -r and a kernel with CONFIG_PRINTK_CALLER print them.
PREFIXES = ["", "[    5.799130] ", "<4>[    5.799130] ", "[    5.799130][    T1] ", "[  305.799130][   C0] "]


def wrong_lines(table, expected):
    """The lines of a table that are not classified as expected."""
    return ["%s%s" % (prefix, line) for line in table.strip().splitlines() for prefix in PREFIXES
            if (splat.classify(prefix + line) is not None) != expected]


def idle_patterns():
    """The patterns that no line of the table needs."""
    lines = COMPLAINTS.strip().splitlines()
    return ["%s: %s" % (kind, pattern.pattern) for kind, pattern in splat.COMPILED
            if not any(pattern.search(line) for line in lines)]


def wrong_taint():
    """Taint values that are judged wrongly."""
    table = [(0, []), (1 << 12 | 1 << 13, []), (1 << 9, ["WARN"]), (1 << 7 | 1 << 12, ["oops"]), (8192, [])]
    return [str(value) for value, kinds in table if splat.find_taint(value) != kinds]


def wrong_find():
    """Whether a log gives its complaints with line numbers."""
    log = "[    1.0] fine\r\n[    2.0] refcount_t: underflow; use-after-free.\r\n[    3.0] fine\r\n"
    hits = splat.find(log)
    return [] if [(kind, number) for kind, number, _ in hits] == [("refcount", 2)] else [str(hits)]


# What QEMU says of a CPU: (flags, halted, timer, in service, waiting), twice; whether the emulator broke down.
RUNNING, HALTED = ("00000246", 0), ("00000246", 1)
LOOKS = [
    ((RUNNING, "500 current_count = 20", "(none)", "(none)"), (RUNNING, "700 current_count = 30", "(none)", "(none)"), False),
    ((HALTED, "500 current_count = 20", "(none)", "(none)"), (HALTED, "500 current_count = 10", "(none)", "(none)"), False),
    # No timer at all; an interrupt that has just come; one that is being handled; interrupts that are off.
    ((HALTED, "0 current_count = 0", "(none)", "(none)"), (HALTED, "0 current_count = 0", "(none)", "(none)"), False),
    ((HALTED, "500 current_count = 0", "(none)", "(none)"), (HALTED, "900 current_count = 0", "(none)", "(none)"), False),
    ((RUNNING, "500 current_count = 0", "236", "(none)"), (RUNNING, "500 current_count = 0", "236", "(none)"), False),
    ((("00000046", 0), "500 current_count = 0", "(none)", "236"), (("00000046", 0), "500 current_count = 0", "(none)", "236"), False),
    ((("00000046", 1), "500 current_count = 0", "(none)", "236"), (("00000046", 1), "500 current_count = 0", "(none)", "236"), False),
    ((RUNNING, "500 current_count = 0", "(none)", "(none)"), (RUNNING, "500 current_count = 0", "(none)", "(none)"), True),
    ((HALTED, "500 current_count = 0", "(none)", "(none)"), (HALTED, "500 current_count = 0", "(none)", "(none)"), True),
    ((HALTED, "500 current_count = 20", "(none)", "34 236"), (HALTED, "500 current_count = 0", "(none)", "34 236"), True),
]


def wrong_machines():
    """What is judged wrongly, as the second of two CPUs."""
    wrong = []
    for *looks, broken in LOOKS:
        lines = []
        for (flags, halted), *rest in looks:
            lines += ["CPU 0: RSP=0 RIP=0 RFL=00000246 CPL=0 HLT=1; timer: initial_count = 9 current_count = 7; in service: (none); waiting: (none)",
                      "CPU 1: RSP=0 RIP=0 RFL=%s CPL=0 HLT=%d; timer: initial_count = %s; in service: %s; waiting: %s" % (flags, halted, *rest)]
        if bool(monitor.broken("\n".join(lines))) != broken:
            wrong.append("%s" % looks)
    if monitor.broken("") or monitor.broken("QEMU's monitor did not answer: timed out"):
        wrong.append("no answer")
    return wrong


def main():
    """All of the table, as KTAP."""
    tests = [
        ("complaints are found", wrong_lines(COMPLAINTS, True)),
        ("harmless lines are not", wrong_lines(HARMLESS, False)),
        ("every pattern is needed", idle_patterns()),
        ("taint flags of complaints only", wrong_taint()),
        ("a log is searched by line", wrong_find()),
        ("a machine that broke down is told from a kernel that hangs", wrong_machines()),
    ]
    print("KTAP version 1\n1..%d" % len(tests))
    failed = 0
    for number, (name, wrong) in enumerate(tests, 1):
        for line in wrong:
            print("# %s" % line)
        print("%s %d %s" % ("not ok" if wrong else "ok", number, name))
        failed += bool(wrong)
    print("# %d passed, %d failed, 0 skipped" % (len(tests) - failed, failed))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
