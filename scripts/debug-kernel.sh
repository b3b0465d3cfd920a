#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the debug kernel from the stock kernel's source with clang, by
# configs/debug.config, and keeps it in the cache until that file, the source or
# this script changes:
#
#	debug-kernel.sh		makes it unless it is there; prints its directory last
#	debug-kernel.sh dir	prints the directory, makes nothing; status 1 if it is not there
#
# In that directory: build/ (for modules), img/ (for selftests/vm/run).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
self=$RNET_REPO/scripts
config=$self/configs/debug.config
# Seconds on two cores that ran VMs as well: with BTF, 3805.
ESTIMATE=3800

places() {
	stock=$(kernel_dir)
	dir=$RNET_CACHE/debug/${stock##*/}
}

# What it is made of: another answer means to build again.
key() {
	cat "$config" "$stock/debian-version" <(sed -n '/^configure()/,/^}/p; /^compile()/,/^}/p' "$0") | cksum
}

is_done() {
	[[ -n $stock && -e $dir/.complete && $(cat "$dir/.complete") == "$(key)" ]]
}

kernel_make() {
	make -C "$stock/src" O="$dir/build" LLVM=1 "$@"
}

configure() {
	kernel_make KCONFIG_ALLCONFIG="$config" allnoconfig
	check_config
}

# Every line that was asked for has to have come true: Kconfig drops in silence
# what depends on something else (RUST under GCC with KASAN, for one).
check_config() {
	local line missing=()
	while IFS= read -r line; do
		case $line in
		CONFIG_*=n) ! grep -q "^${line%=n}=" "$dir/build/.config" || missing+=("$line") ;;
		CONFIG_*) grep -qxF "$line" "$dir/build/.config" || missing+=("$line") ;;
		esac
	done <"$config"
	grep -qx CONFIG_CC_IS_CLANG=y "$dir/build/.config" || missing+=(CONFIG_CC_IS_CLANG=y)
	((${#missing[@]} == 0)) || die "the debug kernel's configuration lacks what was asked for: ${missing[*]}" \
		"look up the dependencies of these options in the kernel source and add them to scripts/configs/debug.config"
	echo "all $(grep -c '^CONFIG_' "$config") options of debug.config are in the configuration"
}

compile() {
	local release
	kernel_make -j"$(nproc)" bzImage modules
	release=$(kernel_make -s kernelrelease)
	rm -rf "$dir/img"
	mkdir -p "$dir/img/usr/lib"
	kernel_make INSTALL_MOD_PATH="$dir/img/usr" INSTALL_MOD_STRIP=1 modules_install
	ln -sfn usr/lib "$dir/img/lib"
	rm -f "$dir/img/usr/lib/modules/$release/build"
	cp "$dir/build/arch/x86/boot/bzImage" "$dir/img/usr/lib/modules/$release/vmlinuz"
	llvm-strip -o "$dir/img/vmlinux" "$dir/build/vmlinux"
}

case ${1:-} in
--configure) places; configure; exit ;;
--compile) places; compile; exit ;;
dir)
	places
	is_done || exit 1
	echo "$dir"
	exit
	;;
'') ;;
*) die "usage: debug-kernel.sh [dir]" "run 'make check-debug', which calls this" ;;
esac

"$self/setup.sh" >&2 || exit 1
places
if ! is_done; then
	need_disk 1500 "the debug kernel"
	mkdir -p "$dir/build"
	exec 6>"$dir/lock"
	flock -n 6 || { say "another command builds the debug kernel: waiting for it" >&2; flock 6; }
	if ! is_done; then
		unset ARCH CROSS_COMPILE KBUILD_OUTPUT LLVM CC MAKEFLAGS MFLAGS MAKELEVEL
		rm -f "$dir/.complete"
		{
			step "debug kernel: configuration" 15 "$self/enter.sh" "$self/debug-kernel.sh" --configure || exit 1
			say "debug kernel: $(tail -n1 "$RNET_LOGS/debug-kernel--configuration.log")"
			step "debug kernel: KASAN, lockdep and the like, with clang" "$ESTIMATE" \
				"$self/enter.sh" "$self/debug-kernel.sh" --compile || exit 1
		} >&2
		key >"$dir/.complete"
	fi
fi
say "debug kernel: $(basename "$dir"/img/usr/lib/modules/*), configured by scripts/configs/debug.config" >&2
echo "$dir"
