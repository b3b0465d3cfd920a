#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [--quick] [--debug] [--modes M,M] [--repeat N] [--times N] [PATTERN...]: the kernel's
# own networking tests with the in-tree lo and with rlo, which may not differ (KTAP;
# the last line counts).  A pattern names tests: 'net/udpgso*'.  See README.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=scripts/lib.sh
. "$here/../../scripts/lib.sh"

modes=(lo takeover replacement napi) reps='' again=5 selection=()
while (($#)); do
	case $1 in
	--repeat) reps=${2:?--repeat needs a number}; shift ;;
	--modes) IFS=, read -ra modes <<<"${2:?--modes needs some of lo,takeover,replacement,napi}"; shift ;;
	--quick)
		selection+=("$1")
		reps=${reps:-1}
		;;
	--debug)
		selection+=("$1")
		export RNET_KERNEL=debug
		;;
	# Each test so often in each boot: how often one fails that is unsteady.
	--times)
		selection+=("--times=${2:?--times needs a number}")
		reps=${reps:-1}
		shift
		;;
	-h | --help) sed -n '4,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
	-*) die "unknown option $1" "see selftests/upstream/run.sh --help" 2 ;;
	*) selection+=("$1") ;;
	esac
	shift
done

reps=${reps:-2}
archive=$("$here/build.sh") || exit 1
out=$RNET_CACHE/out/upstream-$$
mkdir -p "$out" || die "cannot write to $RNET_CACHE" "set RNET_CACHE to a directory of your own"
say "logs are in $out"
boots=$((reps * ${#modes[@]})) ran=0 complained='' broken=()

# boot MODE NAME WORD...: one boot, in which everything selected runs once.
boot() {
	local mode=$1 dir=$out/$1-$2 t0 status try line boot_time
	shift 2
	mkdir -p "$dir"
	ln "$archive" "$dir/tests.tar" 2>/dev/null || cp "$archive" "$dir/"
	t0=$(date +%s)
	# A VM that did not come up on a busy machine has run no test yet.
	for try in 1 2 3; do
		"$here/../vm/run" --memory 3G --time-limit "${RNET_UPSTREAM_LIMIT:-5400}" --out "$dir" -- \
			python3 -B "$here/guest.py" "$mode" "$@" | while IFS= read -r line; do
			# "3 of 50: ...": how far all boots are together, and what is left at this pace.
			progress "$line" "$t0" "$mode"
		done
		status=${PIPESTATUS[0]}
		if ((status != 125)) || [[ -s $dir/results.jsonl ]]; then
			break
		fi
		say "the VM did not start (try $try of 3)"
	done
	boot_time=$(($(date +%s) - t0))
	echo "$boot_time" >>"$out/boot-times"
	((ran++))
	rm -f "$dir/tests.tar"
	((status != 126)) || complained+=" $mode"
	((status == 0 || status == 126)) || broken+=("$mode: status $status (124: time limit, 125: no VM), see $dir")
	say "boot $ran of $boots ($mode): status $status, $boot_time s"
}

progress() {
	local line=$1 t0=$2 mode=$3 number total now left
	if [[ $line =~ ^([0-9]+)\ of\ ([0-9]+): ]]; then
		number=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]} now=$(date +%s)
		left=$(((now - t0) * ((boots - ran) * total - number) / number / 60 + 1))
		say "$mode, $((ran * total + number)) of $((boots * total)), about $left min left: ${line#*: }"
	else
		printf '%s\n' "$line"
	fi
}

compare() {
	"$RNET_REPO/scripts/enter.sh" python3 -B "$here/compare.py" "$out" "${selection[@]}" >"$out/compare.log"
}

for ((rep = 1; rep <= reps; rep++)); do
	for mode in "${modes[@]}"; do
		boot "$mode" "$rep" "${selection[@]}"
	done
done
compare || broken+=("the comparison failed")
# What differs may be a test that fails now and then on lo as well: some more runs of it tell.
if [[ -s $out/differs ]]; then
	mapfile -t names <"$out/differs"
	say "differs: ${names[*]}: runs $again more times in each mode"
	boots=$((ran + ${#modes[@]}))
	for mode in "${modes[@]}"; do
		boot "$mode" again --times="$again" "${names[@]}"
	done
	compare || broken+=("the comparison failed")
fi

cat "$out/compare.log"
failed=$(grep -c '^not ok ' "$out/compare.log")
skipped=$(grep -cE '^ok .*# SKIP' "$out/compare.log")
passed=$(($(grep -c '^ok ' "$out/compare.log") - skipped))
for line in "${broken[@]}"; do
	echo "not ok $line"
	((++failed))
done
if [[ $complained && $complained != *" lo"* && $failed == 0 ]]; then
	# After the last test, where no test has it.
	echo "not ok the kernel complained in:$complained, see dmesg.log there"
	((++failed))
fi
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed > 0))
