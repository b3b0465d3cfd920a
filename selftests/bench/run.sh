#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Measures lo against rlo: see README beside this file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=scripts/lib.sh
. "$here/../../scripts/lib.sh"

# sysroot PROGRAM OPTION...: a program that boots the VMs itself.
sysroot() {
	local out
	out=$RNET_CACHE/out/bench-$(date +%s)
	export RNET_BENCH_ARGS="$given"
	[[ ! -d ${MODDIR:-} ]] || export RNET_BIND="${RNET_BIND:+$RNET_BIND:}$MODDIR"
	exec "$RNET_REPO/scripts/enter.sh" python3 -B "$here/$1" "$out" "${@:2}"
}

# Under emulation only the exact lane's ratios mean something; under KVM the vm lane's.
lane=${LANE:-} reps=2 seconds='' netns=0 given="$*"
while (($#)); do
	case $1 in
	--all)
		# The kernel of the third lane is made first: a step with a time of its own.
		[[ " $* " == *" --lanes "* ]] || "$RNET_REPO/scripts/uml.sh" || exit 1
		[[ " $* " != *sockmap* ]] || "$RNET_REPO/scripts/sockmap.sh" || exit 1
		sysroot bench.py "${@:2}"
		;;
	--quick) sysroot bench.py --lanes exact "$@" ;;
	--check) sysroot bench.py --lanes exact,driver "$@" ;;
	--rigb)
		exec "$here/../vm/run" --lane exact --time-limit 1800 --module rigb.ko \
			--qemu-args="$(python3 -B "$here/../lib/port.py")" -- \
			python3 -B "$here/rigb.py" "${@:2}"
		;;
	--rigb-two)
		exec "$here/../vm/run" --lane vm --time-limit 3600 --module rigb.ko \
			--qemu-args="$(python3 -B "$here/../lib/port.py")" -- \
			python3 -B "$here/rigb_two.py" "${@:2}"
		;;
	--rigb-driver) sysroot rigb_driver.py ;;
	--rigb-profile) sysroot rigb_profile.py "${@:2}" ;;
	--driver) sysroot driver.py "${@:2}" ;;
	--lane) lane=$2 ;;
	--reps) reps=$2 ;;
	--seconds) seconds=$2 ;;
	--netns) netns=$2 ;;
	*)
		sed -n '3,14p' "$here/README" >&2
		exit 2
		;;
	esac
	shift 2
done

if [[ -z $lane ]]; then
	lane=exact
	if [[ $(cat "$RNET_CACHE"/kvm-probe-* 2>/dev/null) == works ]]; then
		lane=vm
	fi
fi
# Where time is counted in instructions, a fixed amount is as exact and takes less of yours.
[[ -n $seconds ]] || { [[ $lane == exact ]] && seconds=0 || seconds=1; }

out=$RNET_CACHE/out/bench-$lane-$(date +%s)
mkdir -p "$out"
"$here/../vm/run" --lane "$lane" --time-limit 900 --module rlo.ko --out "$out" -- \
	python3 -B "$here/guest.py" --reps "$reps" --seconds "$seconds" --netns "$netns"
"$RNET_REPO/scripts/enter.sh" python3 -B "$here/screen.py" "$out/bench.json"
echo "raw data: $out/bench.json"
