#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds user mode Linux from the stock kernel's source, by configs/uml.config,
# and keeps it in the cache until that file, the source or this script changes:
#
#	uml.sh		makes it unless it is there; prints its directory last
#	uml.sh dir	prints the directory, makes nothing; status 1 if it is not there
#	uml.sh modules	builds this checkout's modules for it; prints their directory last
#
# In that directory: build/linux, the kernel as a program.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
self=$RNET_REPO/scripts
config=$self/configs/uml.config
# Seconds on two cores.
ESTIMATE=240

places() {
	stock=$(kernel_dir)
	dir=$RNET_CACHE/uml/${stock##*/}
	mo=$RNET_CACHE/build/$(build_key "${stock##*/}" uml)
}

# What it is made of: another answer means to build again.
key() {
	cat "$config" "$stock/debian-version" <(sed -n '/^uml_make()/,/^}/p; /^configure()/,/^}/p' "$0") | cksum
}

is_done() {
	[[ -n $stock && -e $dir/.complete && $(cat "$dir/.complete") == "$(key)" ]]
}

uml_make() {
	make -C "$stock/src" O="$dir/build" ARCH=um CC="$(cat "$stock/cc")" "$@"
}

configure() {
	uml_make KCONFIG_ALLCONFIG="$config" allnoconfig
	check_config
}

# Every line that was asked for has to have come true.
check_config() {
	local line missing=()
	while IFS= read -r line; do
		case $line in
		CONFIG_*) grep -qxF "$line" "$dir/build/.config" || missing+=("$line") ;;
		esac
	done <"$config"
	((${#missing[@]} == 0)) || die "the configuration of user mode Linux lacks what was asked for: ${missing[*]}" \
		"look up the dependencies of these options in the kernel source and add them to scripts/configs/uml.config"
	echo "all $(grep -c '^CONFIG_' "$config") options of uml.config are in the configuration"
}

modules() {
	local file
	mkdir -p "$mo"
	# Rust is position independent there, and its module loader knows no global offset table.
	uml_make -j"$(nproc)" M="$RNET_REPO" MO="$mo" KRUSTFLAGS=-Zdirect-access-external-data=yes modules
	for file in "$mo"/*.ko; do
		[[ -s $file ]] || die "no modules came out of the build for user mode Linux" "read the lines above"
	done
}

build() {
	need_disk 800 "user mode Linux"
	mkdir -p "$dir/build"
	exec 6>"$dir/lock"
	flock -n 6 || { say "another command builds user mode Linux: waiting for it" >&2; flock 6; }
	if ! is_done; then
		rm -f "$dir/.complete"
		{
			step "user mode Linux: configuration" 15 "$self/enter.sh" "$self/uml.sh" --configure || exit 1
			step "user mode Linux: the kernel" "$ESTIMATE" "$self/enter.sh" "$self/uml.sh" --compile || exit 1
		} >&2
		key >"$dir/.complete"
	fi
	exec 6>&-
}

unset ARCH CROSS_COMPILE KBUILD_OUTPUT LLVM MAKEFLAGS MFLAGS MAKELEVEL
case ${1:-} in
--configure) places; configure; exit ;;
--compile) places; uml_make -j"$(nproc)" linux modules; exit ;;
--modules) places; modules; exit ;;
dir)
	places
	is_done || exit 1
	echo "$dir"
	exit
	;;
'' | modules) ;;
*) die "usage: uml.sh [dir | modules]" "run 'make bench', which calls this" ;;
esac

"$self/setup.sh" >&2 || exit 1
places
is_done || build
if [[ ${1:-} == modules ]]; then
	mkdir -p "$mo"
	exec 6>"$mo.lock"
	flock 6
	step "user mode Linux: modules" 60 "$self/enter.sh" "$self/uml.sh" --modules >&2 || exit 1
	echo "$mo"
else
	say "user mode Linux: configured by scripts/configs/uml.config" >&2
	echo "$dir"
fi
