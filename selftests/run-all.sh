#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run-all.sh [--lane LANE] [--kernel debug] [--jobs N] [--list] [PATTERN...]: every
# test: what needs no VM, and the test programs in a few boots, N of these at the
# same time (as many as there are CPUs). With --kernel debug the same programs on
# the debug kernel, with a scan for lost memory after each, and those that only
# make sense there.  A pattern names programs (rlo/route, samples, vm);
# PROGRAM:CASES selects cases in it, both as the shell's patterns.  The last line
# counts KTAP results.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
repo=$(cd "$here/.." && pwd -P)
# shellcheck source=scripts/lib.sh
. "$repo/scripts/lib.sh"

# What runs on the host, in the sysroot: file, limit in seconds, command.
HOST=(
	"selftests/vm/test-splat.py|60|scripts/enter.sh python3 -B selftests/vm/test-splat.py"
	"scripts/lint.sh|600|scripts/lint.sh"
	"selftests/compile-fail/run.sh|300|selftests/compile-fail/run.sh"
	"scripts/test-errors.sh|180|scripts/test-errors.sh"
	"Documentation/check-abi.sh|120|Documentation/check-abi.sh"
	"scripts/doc.sh|240|scripts/doc.sh"
	"selftests/vm/test-vm.sh|300|selftests/vm/test-vm.sh"
)
# Programs by boot, what comes and goes first, as a deadline (.ci/run) may cut off the last
# ones on the debug kernel, where ports are the last; after a bar each what else
# selftests/vm/run is told: what leaves the module alone, and what loads and removes it. @ports: two NICs on one wire. @hostile: and
# somebody else on it, and the VM's memory in a file. @napi: rlo's devices deliver by a
# NAPI; now: without batches.
BOOTS=(
	"rlo/sysfs rlo/toggle rlo/module rlo/churn rlo/creation rlo/tipc samples/dummy samples/watch"
	"endurance/namespaces endurance/toggle endurance/module endurance/readers endurance/hotplug endurance/suspend"
	"rsoftnet/stages rsoftnet/functions rsoftnet/log rsoftnet/latency rsoftnet/files rsoftnet/toggle"
	"rigb/bind rigb/settings rigb/segments rigb/power rigb/ethtool rigb/recovery|@ports|--append=iomem=relaxed|--keep-devices"
	"rigb/data rigb/late rsoftnet/nic rigb/poorer|@ports|--memory=5G"
	"rigb/clock rigb/xdp rigb/xdp_pieces rigb/netpoll|@ports|--append=iomem=relaxed"
	"rigb/intx|@ports|--append=pci=nomsi"
	"rigb/mapping|@hostile|--append=swiotlb=2048,force"
	"rigb/forged rigb/frames|@hostile|--append=iomem=relaxed"
	"rlo/route rlo/payload rlo/mtu rlo/counters rlo/breakdown rlo/backlog rlo/identity rlo/attributes rlo/userns rlo/timestamps"
	"samples/sockmap samples/sockmap_limits rlo/napi rlo/napi_xdp rlo/napi_steer rlo/afxdp rlo/epoll rlo/delivery"
	"rlo/payload rlo/mtu rlo/counters rlo/breakdown rlo/bigtcp|@napi"
	"rlo/addresses rlo/protocols rlo/capture rlo/netfilter rlo/tc rlo/xdp rlo/zerocopy rlo/ktls rlo/sockmap|@napi now"
	"rlo/bigtcp rlo/steering rlo/stacking|--qemu-args=-device igb"
	"rlo/addresses rlo/protocols rlo/capture rlo/netfilter rlo/tc rlo/xdp rlo/zerocopy rlo/ktls rlo/sockmap rlo/overflow"
)
# What takes longer than make check may: with RNET_LONG=1, or by name.
LONG_BOOTS=(
	"rigb/plug rigb/change|@ports|--append=iomem=relaxed|--keep-devices"
	"rigb/cost|@ports"
)
# What needs the debug kernel.
DEBUG_BOOTS=(
	"debug/kunit debug/faults"
	"debug/port_faults|@ports"
)

lane=vm list_only='' patterns=() at_once=''
while (($#)); do
	case $1 in
	--lane) lane=${2:?--lane needs a name}; shift ;;
	--kernel) export RNET_KERNEL=${2:?--kernel needs stock or debug}; shift ;;
	--jobs) at_once=${2:?--jobs needs a number}; shift ;;
	--list) list_only=1 ;;
	-h | --help) sed -n '4,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
	-*) die "unknown option $1" "see selftests/run-all.sh --help" 2 ;;
	*) patterns+=("$1") ;;
	esac
	shift
done

# The debug kernel waits a lot, for grace periods.
cpus=$(nproc)
[[ ${RNET_KERNEL:-stock} != debug ]] || ((++cpus))
at_once=${at_once:-$cpus}
[[ $at_once == [1-9]* && $at_once != *[!0-9]* ]] || die "--jobs $at_once is no number" "see selftests/run-all.sh --help" 2
# A VM has two CPUs and 2 GiB.
((at_once <= 4)) || at_once=4

for boot in "${LONG_BOOTS[@]}"; do
	for name in ${boot%%|*}; do
		if [[ ${RNET_LONG:-} == 1 || " ${patterns[*]%%:*} " == *" $name "* ]]; then
			BOOTS+=("$boot")
			break
		fi
	done
done

# Seconds for one boot.
BOOT_LIMIT=${RNET_BOOT_LIMIT:-900}
if [[ ${RNET_KERNEL:-stock} == debug ]]; then
	HOST=()
	# Ports at the end: what they take there is minutes for each case.
	mapfile -t others < <(printf '%s\n' "${BOOTS[@]}" | grep -v '^rigb/')
	mapfile -t ports < <(printf '%s\n' "${BOOTS[@]}" | grep '^rigb/')
	BOOTS=("${DEBUG_BOOTS[@]}" "${others[@]}" "${ports[@]}")
	BOOT_LIMIT=${RNET_BOOT_LIMIT:-3600}
fi

# chosen NAME: whether to run it; prints the patterns for its cases.
chosen() {
	local pattern name=$1 hit=1 cases=''
	((${#patterns[@]})) || return 0
	for pattern in "${patterns[@]}"; do
		# shellcheck disable=SC2053 # a pattern
		if [[ $name == *${pattern%%:*}* ]]; then
			hit=0
			[[ $pattern != *:* ]] || cases+=:${pattern#*:}
		fi
	done
	printf '%s' "$cases"
	return "$hit"
}

logs=$RNET_CACHE/out/check-$$

# --- results ------------------------------------------------------------------

# Jobs run in subshells: what they find goes to a file, which the end reads.
# result pass|fail|skip [TEXT]
result() {
	printf '%s %s\n' "$1" "${2:-}" >>"$logs/results"
	[[ $1 != fail ]] || printf 'not ok %s\n' "$2"
}

# tally LOG WHAT: counts the results in a log, which were shown already.
tally() {
	local line
	while IFS= read -r line; do
		case $line in
		"not ok "*"# TODO"* | "not ok "*"# SKIP"* | "ok "*"# SKIP"*) result skip ;;
		"not ok "*) result fail "$2: ${line#not ok }" >/dev/null ;;
		"ok "*) result pass ;;
		esac
	done <"$1"
}

count_only() {
	grep -cE "$1" "$2" || true
}

# --- jobs ---------------------------------------------------------------------

# host_check FILE LIMIT CMD...: one result, or those that it prints.
host_check() {
	local file=$1 limit=$2 log status start
	shift 2
	start=$(date +%s)
	if [[ ! -x $repo/$file ]]; then
		result fail "$file is not there or not executable"
		return
	fi
	say "$file: starts"
	log=$logs/${file//\//-}.log
	(cd "$repo" && exec timeout -k 10 "$limit" "$@") >"$log" 2>&1
	status=$?
	grep -E '^(not ok|#? ?[0-9]+ (passed|failed))' "$log"
	if (($(count_only '^(not )?ok ' "$log"))); then
		tally "$log" "$file"
		if ((status && !$(count_only '^not ok ' "$log"))); then
			tail -n 15 "$log"
			result fail "$file: status $status"
		fi
	elif ((status == 0)); then
		result pass
	elif ((status == 4)); then
		result skip
	else
		tail -n 15 "$log"
		result fail "$file: status $status (124: it took longer than $limit s)"
	fi
	say "$file: status $status, $(($(date +%s) - start)) s"
}

# boot NUMBER OPTIONS PROGRAM[:CASES]...
boot() {
	local number=$1 out=$logs/boot-$1 status start program done_ options=() ram='' again=${again:-}
	local given=$2
	IFS='|' read -ra options <<<"$given"
	shift 2
	# The kernel alone would need two minutes to say so.
	if ((${RNET_DEADLINE:-0} && $(date +%s) + 60 > RNET_DEADLINE)); then
		for program in "$@"; do
			echo "ok ${program%%:*} # SKIP no time is left for it (RNET_DEADLINE)"
			result skip
		done
		return
	fi
	case ${options[0]:-} in
	@ports) options[0]=--qemu-args=$("$repo/scripts/enter.sh" python3 -B "$here/lib/port.py") ;;
	@napi*)
		export RNET_DELIVERY=${options[0]#@}
		options=("${options[@]:1}")
		;;
	@hostile)
		ram=$(mktemp -d -p "$([[ -w /dev/shm ]] && echo /dev/shm || echo "$logs")" rnet-ram-XXXXXX)
		options[0]=--qemu-args=$("$repo/scripts/enter.sh" python3 -B "$here/lib/port.py" hostile "$ram")
		;;
	esac
	start=$(date +%s)
	say "boot $number of ${#BOOTS[@]}: $*"
	mkdir -p "$out"
	(cd "$repo" && exec selftests/vm/run --lane "$lane" --time-limit "$BOOT_LIMIT" --out "$out" "${options[@]}" -- \
		python3 -B selftests/lib/guest.py "$BOOT_LIMIT" "${@/#/selftests/}") |
		tee "$out.log" | while IFS= read -r line; do
		case $line in
		"# program "*:*) say "boot $number: ${line#\# program }" ;;
		"# program "* | "# Totals: "* | "# "*": "*[0-9]" s" | "ok "* | "KTAP "* | 1..*) ;;
		*) printf 'boot %s: %s\n' "$number" "$line" ;;
		esac
	done
	status=${PIPESTATUS[0]}
	[[ -z $ram ]] || rm -rf "$ram"
	if ((status == 123)) && [[ ! $again ]]; then
		# Nothing in the VM can bring that about; what had been found is found again.
		mv "$out" "$out-broken" && mv "$out.log" "$out-broken.txt"
		say "boot $number: the emulated machine broke down after $(($(date +%s) - start)) s, see $out-broken: once again"
		again=1 boot "$number" "$given" "$@"
		return
	fi
	if ((status == 126)) && ! grep -q "^not ok .*kernel's log" "$out.log"; then
		# A complaint that came with no program: at the end, or fatal.
		sed -i 's/^ok /not ok (the kernel complained in this boot) /' "$out.log"
	fi
	tally "$out.log" "boot $number"
	((status == 0 || status == 126)) || result fail "boot $number: status $status (123: the emulated machine broke down, 124: time limit, 125: no VM), see $out"
	((status != 126)) || result fail "boot $number: the kernel complained, see $out"
	for program in "$@"; do
		done_=$(count_only "^# program ${program%%:*}: status" "$out.log")
		((done_)) || result fail "${program%%:*} did not run to its end"
	done
	say "boot $number: status $status, $(($(date +%s) - start)) s"
}

mapfile -t names < <(for entry in "${HOST[@]}"; do echo "${entry%%|*}"; done)
if [[ $list_only ]]; then
	for group in "${BOOTS[@]}"; do
		read -ra words <<<"${group%%|*}"
		names+=("${words[@]}")
	done
	for name in "${names[@]}"; do
		chosen "$name" >/dev/null && echo "$name"
	done
	exit 0
fi

mkdir -p "$logs" || die "cannot write to $RNET_CACHE" "set RNET_CACHE to a directory of your own"
say "logs are in $logs"

# What no module holds is built here; it comes into the VM beside the modules.
if chosen samples/sockmap >/dev/null || chosen samples/sockmap_limits >/dev/null; then
	"$repo/scripts/sockmap.sh" || exit 1
fi

# start FUNCTION ARG...: in the background, when fewer than $at_once others run. In
# a process group of its own, so that all of it can be ended.
start() {
	while (($(jobs -pr | wc -l) >= at_once)); do
		wait -n
	done
	set -m
	"$@" </dev/null &
	set +m
}

# shellcheck disable=SC2317 # called by the trap
interrupted() {
	local group
	for group in $(jobs -p); do
		kill -TERM -- "-$group" 2>/dev/null
	done
	wait
	die "interrupted" "logs are in $logs" 130
}
trap interrupted INT TERM

# What needs no VM: one after the other, as several of them use the build for lint.
host_checks() {
	local entry file limit command
	for entry in "${HOST[@]}"; do
		IFS='|' read -r file limit command <<<"$entry"
		chosen "$file" >/dev/null || continue
		# shellcheck disable=SC2086 # words
		host_check "$file" "$limit" $command
	done
}

start host_checks
number=0
for group in "${BOOTS[@]}"; do
	((++number))
	programs=() how=${group#"${group%%|*}"}
	for name in ${group%%|*}; do
		if cases=$(chosen "$name"); then
			programs+=("$name.py$cases")
		fi
	done
	((!${#programs[@]})) || start boot "$number" "${how#|}" "${programs[@]}"
done
wait
trap - INT TERM

passed=0 failed=0 skipped=0 failures=()
if [[ -e $logs/results ]]; then
	while read -r what text; do
		case $what in
		pass) ((++passed)) ;;
		skip) ((++skipped)) ;;
		*)
			((++failed))
			failures+=("$text")
			;;
		esac
	done <"$logs/results"
fi
if ((${#failures[@]})); then
	echo
	echo "What failed:"
	printf '  %s\n' "${failures[@]}"
elif ((passed)); then
	rm -rf "$logs"
fi
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0 && passed > 0))
