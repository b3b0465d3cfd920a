#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes whatever of the sysroot and the stock kernel is not there yet, and does
# nothing when all of it is.  Two tracks run side by side, since the packages
# of one and the compilation of the other use different resources:
#
#	base, tool chain ------------------> VM and other tools
#	      kernel: download and unpack -> Rust metadata and its check
#
# Environment: RNET_CACHE, RNET_MIRROR, KVER (see 'make help').
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
self=$RNET_REPO/scripts

up_to_date() {
	[[ $("$self/sysroot.sh" state) == tools && -n $(kernel_dir) ]]
}

report() {
	local dir
	dir=$(kernel_dir)
	say "kernel ${dir##*/} (Debian $(cat "$dir/debian-version")), all its Rust symbols match; cache $RNET_CACHE"
}

install_mmdebstrap() {
	! command -v mmdebstrap >/dev/null || return 0
	if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
		step "mmdebstrap" 20 sh -c 'apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends mmdebstrap' || exit 1
	else
		die "mmdebstrap is missing" "sudo apt install mmdebstrap (or your distribution's command for it), then try again"
	fi
}

# --- inside the namespace -------------------------------------------------------

inner() {
	local choice finished pids
	RNET_TIMES=$(mktemp "$RNET_CACHE/.times.XXXXXX")
	toolchain=$RNET_CACHE/.toolchain.$$
	export RNET_TIMES
	trap 'rm -f "$RNET_TIMES" "$toolchain"' EXIT

	if [[ $("$self/sysroot.sh" state) == none ]]; then
		step "sysroot: minimal Debian" 30 "$self/sysroot.sh" base || exit 1
	fi
	mount_sysroot
	if [[ -z $(kernel_dir) ]]; then
		# Choose first: a wrong KVER is worth no waiting.
		choice=$("$self/kernel.sh" choose) || exit 1
		say "kernel: ${choice% *}, Debian version ${choice#* }${KVER:+ (KVER=$KVER)}"
	fi

	set -m # each track in a process group, to be able to end one
	packages_track &
	pids=($!)
	kernel_track &
	pids+=($!)
	set +m
	trap 'end_tracks "${pids[@]}"; exit 130' INT TERM
	while ((${#pids[@]})); do
		if ! wait -n -p finished "${pids[@]}"; then
			end_tracks "${pids[@]}"
			exit 1
		fi
		mapfile -t pids < <(printf '%s\n' "${pids[@]}" | grep -vx "$finished")
	done
	times_table
}

# The leaders of process groups that were started here.
end_tracks() {
	local pid
	for pid in "$@"; do
		kill -TERM -- "-$pid" 2>/dev/null || true
	done
	wait
}

packages_track() {
	case $("$self/sysroot.sh" state) in
	base) step "sysroot: tool chain" 60 "$self/sysroot.sh" toolchain || exit 1 ;;
	esac
	: >"$toolchain"
	case $("$self/sysroot.sh" state) in
	tools) ;;
	*) step "sysroot: VM, network tools, documentation tools" 60 "$self/sysroot.sh" tools || exit 1 ;;
	esac
}

kernel_track() {
	[[ -z $(kernel_dir) ]] || return 0
	step "kernel: download and unpack" 40 "$self/kernel.sh" fetch || exit 1
	until [[ -e $toolchain ]]; do sleep 0.5; done
	step "kernel: Rust metadata" 140 "$self/kernel.sh" prepare || exit 1
	say "kernel: $(grep 'Rust symbols' "$RNET_LOGS/kernel--Rust-metadata.log")"
}

times_table() {
	[[ -s $RNET_TIMES ]] || return 0
	echo
	printf '%-50s %8s %8s\n' 'set-up step' 'start s' 'took s'
	sort -t"$(printf '\t')" -k2n "$RNET_TIMES" | while IFS=$'\t' read -r name start took; do
		printf '%-50s %8d %8d\n' "$name" "$start" "$took"
	done
	printf '%-50s %8s %8d\n' 'all of it' '' "$(($(date +%s) - RNET_T0))"
	echo
}

# --- outside --------------------------------------------------------------------

case ${1:-} in
--inner)
	inner
	exit
	;;
esac

if up_to_date; then
	report
	exit
fi
need_root_or_ns
[[ $(uname -m) == x86_64 ]] || die "this machine is $(uname -m); the stock kernel is prepared on x86_64 only" \
	"use an x86_64 machine, or build for a kernel tree of your own with make KDIR="
case $("$self/sysroot.sh" state) in
none) need_disk 6500 "the set-up (sysroot and kernel)" ;;
*) need_disk 3500 "the rest of the set-up" ;;
esac
install_mmdebstrap
lock_cache -x
if up_to_date; then
	report
	exit
fi
say "setting up in $RNET_CACHE (kept for later runs; 'make clean-cache' removes it)"
in_ns "$self/setup.sh" --inner || exit 1
report
