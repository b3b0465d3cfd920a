#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Measures lo against rlo in the VM: see README beside this file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=scripts/lib.sh
. "$here/../../scripts/lib.sh"

# Under emulation only the exact lane's ratios mean something; under KVM the vm lane's.
lane=${LANE:-} reps=2 seconds='' netns=0
while (($#)); do
	case $1 in
	--all)
		"$0" --lane exact --reps 5
		exec "$0" --lane vm --reps 7 --seconds 1 --netns 20
		;;
	--driver)
		# The driver's own instructions for a packet, counted one by one (exact lane).
		shift
		exec "$here/../../scripts/enter.sh" python3 -B "$here/driver.py" "$RNET_CACHE/out/driver-$(date +%s)" "$@"
		;;
	--lane) lane=$2 ;;
	--reps) reps=$2 ;;
	--seconds) seconds=$2 ;;
	--netns) netns=$2 ;;
	*)
		sed -n '3,6p' "$here/README" >&2
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
