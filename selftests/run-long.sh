#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run-long.sh [PART...]: what takes hours and so is not part of make check, run
# before an issue is called done. Parts: endurance, rsoftnet, rigb, faults, upstream,
# programs, bench (default: all, in this order). The last line counts KTAP results.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
repo=$(cd "$here/.." && pwd -P)
# shellcheck source=scripts/lib.sh
. "$repo/scripts/lib.sh"

ALL=(endurance rsoftnet rigb faults upstream programs bench)
# What a part takes on two cores, in minutes.
declare -A MINUTES=([endurance]=75 [rsoftnet]=15 [rigb]=40 [faults]=30 [upstream]=60 [programs]=12 [bench]=15)

case ${1:-} in
-h | --help) sed -n '4,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
parts=("${@:-${ALL[@]}}")
(($#)) || parts=("${ALL[@]}")
total=0
for part in "${parts[@]}"; do
	[[ -n ${MINUTES[$part]:-} ]] || die "there is no part $part" "name some of: ${ALL[*]}" 2
	((total += MINUTES[$part]))
done
say "${parts[*]}: about $total minutes"

part() {
	case $1 in
	endurance) "$here/endurance/run.sh" ;;
	rsoftnet) RNET_LONG=1 RNET_BOOT_LIMIT=3600 "$here/run-all.sh" rsoftnet/toggle ;;
	rigb) RNET_LONG=1 RNET_BOOT_LIMIT=7200 "$here/run-all.sh" rigb/ ;;
	faults) scripts/build.sh --debug && RNET_LONG=1 RNET_BOOT_LIMIT=7200 "$here/run-all.sh" --kernel debug debug/ ;;
	upstream) "$here/upstream/run.sh" && scripts/build.sh --debug && "$here/upstream/run.sh" --debug --repeat 1 ;;
	programs) "$here/programs/run.sh" ;;
	bench) "$here/bench/run.sh" --check ;;
	esac
}

cd "$repo" || exit 1
passed=0 failed=0 skipped=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
for name in "${parts[@]}"; do
	say "$name: starts, takes about ${MINUTES[$name]} minutes"
	part "$name" 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log")
	if [[ -z $counts ]]; then
		# Plain KTAP.
		counts="$(grep -cE '^ok ' "$log") passed, $(grep -cE '^not ok ' "$log") failed, 0 skipped"
	fi
	failed_here=0
	while read -r p _ f _ s _; do
		((passed += p, failed_here += f, skipped += s))
	done <<<"$counts"
	((status == 0 || failed_here)) || failed_here=1
	((failed += failed_here))
	say "$name: ends with status $status"
done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0 && passed > 0))
