#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check-abi.sh: are the ABI pages whole, and what the code says?  KTAP:
#
# - the kernel's own parser of such pages (tools/docs/get_abi.py) accepts them
#   without a warning, and they do not define what the kernel's own pages define;
# - every sysfs file that a driver crate makes is in a page, with its mode, and
#   nothing else is (check_abi.py).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

[[ -e /.rnet/base ]] || exec "$RNET_REPO/scripts/enter.sh" "$RNET_REPO/Documentation/check-abi.sh" "$@"

kernel=$(kernel_dir)
abi=$RNET_REPO/Documentation/ABI
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# A parser that prints something has something to complain about.
get_abi() { # DIRECTORY
	python3 -B "$kernel/src/tools/docs/get_abi.py" -D "$1" validate 2>&1 ||
		echo "get_abi.py failed"
}

verdict() { # NAME PROBLEMS
	local line
	if [[ -n $2 ]]; then
		while read -r line; do echo "# $line"; done <<<"$2"
		echo "not ok abi: $1"
	else
		echo "ok abi: $1"
	fi
}

{
	if [[ -n $kernel && -e $kernel/src/tools/docs/get_abi.py ]]; then
		verdict "the kernel's parser accepts the pages" "$(get_abi "$abi")"
		cp -r "$kernel/src/Documentation/ABI" "$tmp/both"
		cp "$abi"/testing/* "$tmp/both/testing/"
		verdict "they define nothing that the kernel's own pages define" \
			"$(get_abi "$tmp/both" | grep -E "/($(cd "$abi/testing" && printf '%s|' *)none):" || true)"
	else
		echo "ok abi: the kernel's parser accepts the pages # SKIP there is no prepared kernel (make setup)"
	fi
	python3 -B "$RNET_REPO/Documentation/check_abi.py" "$RNET_REPO" || true
} >"$tmp/results"

echo "TAP version 13"
echo "1..$(grep -cE '^(not )?ok ' "$tmp/results")"
awk '/^(not )?ok / { n++; if (/# SKIP/) skipped++; else if (/^ok/) passed++; sub(/ok /, "ok " n " ") } { print }
	END { printf "# Totals: pass:%d fail:%d xfail:0 xpass:0 skip:%d error:0\n", passed, n - passed - skipped, skipped }' "$tmp/results"
grep -q '^ok .*what the code\|^ok .*that the code does not make' "$tmp/results" && ! grep -q '^not ok' "$tmp/results"
