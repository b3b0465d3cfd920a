#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [NAME...]: tries the tests.  Each patch here breaks the driver or the
# layer in one way; applied to a copy of the tree and built, some test must fail.
# Prints which did, as KTAP: a mutant that no test notices is "not ok".
# Takes about 90 s for each; not part of 'make check'.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
repo=$(cd "$here/../.." && pwd -P)
# shellcheck source=scripts/lib.sh
. "$repo/scripts/lib.sh"

command -v patch >/dev/null || die "patch is missing" "install it (sudo apt install patch)"
names=("$@")
((${#names[@]})) || for file in "$here"/*.patch; do
	file=${file##*/}
	names+=("${file%.patch}")
done

work=$RNET_CACHE/out/mutants
tree=$work/tree
rm -rf "$tree"
mkdir -p "$tree"
# Not with the times of the files: what a run before has built there is newer than some of them.
(cd "$repo" && cp -r COPYING Kbuild Makefile rust samples scripts selftests "$tree/") ||
	die "cannot copy the tree to $tree" "free some space there or set RNET_CACHE to a larger disk"

bad=0 number=0
echo "KTAP version 1"
echo "1..${#names[@]}"
for name in "${names[@]}"; do
	((++number))
	log=$work/$name.log
	tests=$(sed -n 's/^Tests: //p' "$here/$name.patch")
	if ! patch -d "$tree" -p1 -s -F2 --no-backup-if-mismatch <"$here/$name.patch" >"$log" 2>&1; then
		echo "not ok $number $name # it does not apply any more, see $log"
		((++bad))
		# Part of it may have been applied.
		rm -rf "$tree/rust" "$tree/samples"
		cp -r "$repo/rust" "$repo/samples" "$tree/"
		continue
	fi
	runner=run-all.sh kernel=stock
	[[ $tests != debug/* ]] || kernel=debug
	[[ $tests != "endurance "* ]] || runner=endurance/run.sh tests=${tests#endurance }
	# shellcheck disable=SC2086 # words
	if ! "$tree/scripts/build.sh" "--$kernel" >>"$log" 2>&1; then
		echo "not ok $number $name # it does not build, see $log"
		((++bad))
	elif RNET_KERNEL=$kernel RNET_BOOT_LIMIT=${RNET_BOOT_LIMIT:-300} "$tree/selftests/$runner" $tests >>"$log" 2>&1; then
		echo "not ok $number $name # no test notices: $tests"
		((++bad))
	elif grep -qE '^(not ok|  ).* status 125' "$log"; then
		echo "not ok $number $name # there was no VM, see $log"
		((++bad))
	else
		caught=$(sed -n '/^What failed:/,$s/^  [a-z]*\( [0-9]*\)\?: //p' "$log" | sed 's/^[0-9]* //; s/: status.*//' | tr '\n' ',' | head -c 120)
		echo "ok $number $name"
		echo "# $(sed -n "1s/^$name: //p" "$here/$name.patch"): ${caught%,}"
	fi
	patch -d "$tree" -p1 -s -R -F2 --no-backup-if-mismatch <"$here/$name.patch" >>"$log" 2>&1
done
((bad == 0))
