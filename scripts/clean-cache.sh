#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Removes what this project's scripts made in the cache: the sysroot, kernels,
# builds and logs.  Other files in that directory stay.  Refuses while another
# command uses the cache.  With --builds: only what this checkout built.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[[ -d $RNET_CACHE ]] || { say "there is no cache at $RNET_CACHE"; exit 0; }
if [[ ${1:-} == --builds ]]; then
	key=$(build_key '')
	rm -rf --one-file-system "$RNET_CACHE/build"/*"$key"* "$RNET_CACHE/modules"/*"$key"
	say "removed what this checkout built"
	exit
fi
exec 9>>"$RNET_CACHE/lock"
flock -n -x 9 || die "another rnet command uses the cache $RNET_CACHE" "end it first (a 'make shell' that is still open?)"
# Never follow a mount that somebody left inside: rm would empty its source.
if grep -qF " $RNET_CACHE/" /proc/self/mountinfo; then
	die "something is mounted inside $RNET_CACHE: $(grep -F " $RNET_CACHE/" /proc/self/mountinfo | head -n1 | cut -d' ' -f5)" "unmount it first"
fi
remove() {
	cd "$RNET_CACHE" || return
	rm -rf --one-file-system sysroot sysroot.new kernel build modules initramfs out doc doc.lock lint log \
		kvm-probe* times.log .times.* .toolchain.*
}
say "removing what rnet keeps in $RNET_CACHE: takes about 15 s, longer on a busy disk"
if [[ $EUID -eq 0 ]]; then
	remove
else
	# Some files belong to subordinate ids: only root of the namespace may remove them.
	need_root_or_ns
	export -f remove
	in_ns bash -c remove
fi
say "removed what rnet kept in $RNET_CACHE"
