#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The harness tested by real boots (KTAP): what a command prints, leaves and
# returns arrives; complaints, hangs and dead VMs are told apart.
set -u
here=$(cd "$(dirname "$0")" && pwd -P)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0 number=0 tests=9

# vm STATUS OPTIONS...: runs it and compares the exit status; texts in $said.
vm() {
	local want=$1 status
	shift
	said=$("$here/run" --out "$out" "$@" 2>&1)
	status=$?
	[[ $status == "$want" ]] || { said+=$'\n'"status $status, wanted $want"; return 1; }
}

has() {
	[[ $said == *"$1"* ]] || { said+=$'\n'"this was to be said: $1"; return 1; }
}

result() {
	local status=$? line
	number=$((number + 1))
	if ((status == 0)); then
		echo "ok $number $1"
	else
		failed=$((failed + 1))
		while read -r line; do echo "# $line"; done <<<"$said"
		echo "not ok $number $1"
	fi
}

echo "KTAP version 1"
echo "1..$tests"

cd "$here/.." || exit 1
# shellcheck disable=SC2016 # expands in the VM
vm 3 --no-modules --env 'WORD=two  words' -- \
	bash -c 'echo "$PWD|$WORD|$RNET_LANE|$(nproc)|$(id -u)"; ip -br link show up; touch /out/file; echo err >&2; exit 3' &&
	has "$PWD|two  words|vm|2|0" && has "lo " && has err && [[ -e $out/file && -s $out/console.log && -s $out/dmesg.log ]]
result "status, output, environment, directory and files arrive"

vm 127 --no-modules -- no-such-command
result "a command that does not exist is 127"

vm 126 --no-modules -- sh -c 'echo "<4>WARNING: net/core/dev.c:1 at x+0x1/0x2, CPU#0: sh/1" >/dev/kmsg' && has 'kernel complaint: WARN'
result "a WARN in the log fails a command that succeeded"

vm 0 --no-modules --expect-splat 'sysrq triggered crash' -- sh -c 'echo c >/proc/sysrq-trigger; sleep 60'
result "an expected panic ends the VM at once and passes"

vm 124 --no-modules --time-limit 12 -- sleep 1000 && has 'time limit' && grep -q 'Call Trace' "$out/console.log" &&
	has 'the machine then: CPU 1: ' && has 'HLT=1; timer: '
result "the time limit ends a VM that hangs and says where it was"

vm 126 --no-modules -- sh -c 'echo "<3>rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:" >/dev/kmsg; sleep 6' &&
	has 'complaint: RCU stall' && has 'the machine then: CPU 0: '
result "QEMU is asked what its CPUs do when the kernel says that they hang"

vm 125 --no-modules -- sh -c 'echo b >/proc/sysrq-trigger; sleep 60' && has 'ended before the command did'
result "a VM that dies is the harness's status, not the command's"

mkdir -p "$out/modules" && : >"$out/modules/broken.ko" &&
	MODDIR=$out/modules vm 125 --module missing.ko -- true && has 'there is no module missing.ko' &&
	MODDIR=$out/modules vm 125 --module broken.ko -- true && has 'cannot load broken.ko'
result "a module that is missing or does not load is named"

# shellcheck disable=SC2016
vm 0 --no-modules --lane exact -- sh -c 'cut -d" " -f1 /proc/uptime; echo "$RNET_LANE $(nproc)"' && has 'exact 1'
result "the exact lane boots"

echo "# $((tests - failed)) passed, $failed failed, 0 skipped"
exit $((failed > 0))
