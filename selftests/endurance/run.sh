#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [--short] [PROGRAM[:CASES]...]: the endurance tests, with the full
# counts, each program in a VM of its own; see README. The last line counts
# KTAP results.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
repo=$(cd "$here/../.." && pwd -P)
# shellcheck source=scripts/lib.sh
. "$repo/scripts/lib.sh"

# Program and limit in seconds, generous: about ten times what it takes.
LIMITS=(namespaces 7200 toggle 1800 module 3600 readers 3600 hotplug 2400 suspend 1200)
long=1 lane_limit='' programs=()
while (($#)); do
	case $1 in
	--short) long='' lane_limit=400 ;;
	-h | --help) sed -n '4,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
	-*) die "unknown option $1" "see selftests/endurance/run.sh --help" 2 ;;
	*) programs+=("$1") ;;
	esac
	shift
done
if ((!${#programs[@]})); then
	for ((i = 0; i < ${#LIMITS[@]}; i += 2)); do
		programs+=("${LIMITS[i]}")
	done
fi

logs=${RNET_ENDURANCE_OUT:-$RNET_CACHE/out/endurance-$$}
mkdir -p "$logs" || die "cannot write to $logs" "set RNET_CACHE to a directory of your own"
say "logs are in $logs"

passed=0 failed=0 skipped=0 failures=()
for entry in "${programs[@]}"; do
	program=${entry%%:*} limit=${lane_limit:-1800} options=()
	for ((i = 0; !${#lane_limit} && i < ${#LIMITS[@]}; i += 2)); do
		[[ ${LIMITS[i]} != "$program" ]] || limit=${LIMITS[i + 1]}
	done
	[[ -x $here/$program.py ]] || die "there is no $program" "there are: ${LIMITS[*]}" 2
	[[ $program != suspend ]] || options+=(--keep-devices)
	# A cache that grows is the cache of what grows.
	options+=(--append slab_nomerge)
	log=$logs/$program.log start=$(date +%s)
	mkdir -p "$logs/$program"
	say "$program: starts"
	(cd "$repo" && selftests/vm/run --out "$logs/$program" --time-limit "$limit" "${options[@]}" --env "RNET_LONG=$long" -- \
		python3 -B selftests/lib/guest.py "$((limit - 30))" "selftests/endurance/$program.py${entry#"$program"}") |
		tee "$log"
	status=${PIPESTATUS[0]}
	while IFS= read -r line; do
		case $line in
		"ok "*"# SKIP"*) ((++skipped)) ;;
		"not ok "*) ((++failed)) && failures+=("$program: ${line#not ok }") ;;
		"ok "*) ((++passed)) ;;
		esac
	done <"$log"
	if ((status)) || ! grep -q "^# program .*: status" "$log"; then
		echo "not ok $program: the VM ended with status $status (124: time limit, 125: no VM, 126: the kernel complained)"
		((++failed))
		failures+=("$program: status $status, see $logs/$program")
	fi
	say "$program: status $status, $(($(date +%s) - start)) s"
done
if ((${#failures[@]})); then
	printf '\nWhat failed:\n'
	printf '  %s\n' "${failures[@]}"
fi
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0 && passed > 0))
