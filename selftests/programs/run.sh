#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [--repeat N] [PATTERN...]: real programs over lo and over rlo, in the
# VM (KTAP; the last line counts).  A pattern names cases: 'nginx.*', '*.lo'.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=scripts/lib.sh
. "$here/../../scripts/lib.sh"

reps=2 patterns=()
while (($#)); do
	case $1 in
	--repeat) reps=${2:?--repeat needs a number}; shift ;;
	-h | --help) sed -n '4,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
	-*) die "unknown option $1" "see selftests/programs/run.sh --help" 2 ;;
	*) patterns+=("$1") ;;
	esac
	shift
done

# Seconds for all of it, from outside.
limit=${RNET_PROGRAMS_LIMIT:-7200}
"$RNET_REPO/scripts/sysroot.sh" need programs || exit 1
out=$RNET_CACHE/out/programs-$$
mkdir -p "$out" || die "cannot write to $RNET_CACHE" "set RNET_CACHE to a directory of your own"
rm -f "$out/programs.jsonl"
say "18 cases, about $((4 + 2 * reps)) minutes on a quiet machine; logs are in $out"
guest=(python3 -B "$here/../lib/guest.py" "$limit" "$(IFS=:; echo "$here/programs.py${patterns[*]:+:${patterns[*]}}")")
"$here/../vm/run" --memory 3G --time-limit "$limit" --env "RNET_REPS=$reps" --module rlo.ko --out "$out" -- \
	"${guest[@]}"
status=$?
[[ ! -s $out/programs.jsonl ]] || "$RNET_REPO/scripts/enter.sh" python3 -B "$here/report.py" "$out/programs.jsonl"

log=$out/cmd.log
skipped=$(grep -cE '^ok .*# SKIP' "$log")
passed=$(($(grep -c '^ok ' "$log") - skipped))
failed=$(grep -c '^not ok ' "$log")
if ((status && !failed)); then
	echo "not ok the run in the VM: status $status (124: time limit, 125: no VM, 126: the kernel complained), see $out"
	failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed > 0))
