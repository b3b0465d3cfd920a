#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# build.sh [--stock|--debug] [--clippy] [--print-key]: builds the modules.
#
# For which kernel: KDIR, where given (any build directory with CONFIG_RUST=y;
# built with this machine's own tools); else the kernel that runs here, if it
# can be built for; else, and with --stock or KVER, the stock kernel that
# 'make setup' prepares (built inside the sysroot). With --debug for the debug
# kernel (scripts/debug-kernel.sh), which is made first.
#
# Object files go to $RNET_CACHE/build/KEY (MO=), the modules are copied to
# MODDIR, by default $RNET_CACHE/modules/KEY: the source tree stays clean, and a
# VM that runs while a build goes on sees whole files.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

stock='' debug='' clippy='' print_key=''
for arg in "$@"; do
	case $arg in
	--stock) stock=1 ;;
	--debug) stock=1 debug=1 ;;
	--clippy) clippy=1 ;;
	--print-key) print_key=1 ;;
	*) die "build.sh: unknown option $arg" "it knows --stock, --debug, --clippy and --print-key" ;;
	esac
done
# What make passed down would reach the kernel's make a second time.
unset MAKEFLAGS MFLAGS MAKELEVEL

config_value() {
	sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}$/\1/p" "$kdir/.config" | head -n1
}

# --- which kernel -----------------------------------------------------------------

running=$(uname -r)
running_build=/lib/modules/$running/build

can_build_for_running() {
	[[ -e $running_build/rust/libkernel.rmeta ]]
}

# Debian's own image of the series: its Rust metadata can be made.
running_is_stock() {
	[[ $running == "$RNET_SERIES".*+deb*-amd64 ]]
}

choose_kernel() {
	if [[ -n ${KDIR:-} && -z $stock ]]; then
		kdir=$KDIR
		check_kdir
	elif [[ -z $stock && -z ${KVER:-} ]] && can_build_for_running; then
		kdir=$running_build
		check_kdir
	else
		if [[ -z $stock && -z ${KVER:-} ]] && running_is_stock; then
			export KVER=$running
		fi
		"$RNET_REPO/scripts/setup.sh" || exit 1
		prepared=$(kernel_dir)
		[[ -z $debug ]] || prepared=$("$RNET_REPO/scripts/debug-kernel.sh") || exit 1
		kdir=$prepared/build
	fi
}

# Everything that would make the kernel's make fail with a page of errors.
check_kdir() {
	local want have
	[[ -d $kdir ]] || die "KDIR=$kdir is not a directory" "name the build directory of a kernel, for example /lib/modules/$running/build"
	[[ -e $kdir/Makefile && -e $kdir/.config ]] || die "KDIR=$kdir is not a configured kernel build directory (no Makefile or .config)" \
		"configure and build that kernel first (make olddefconfig, make)"
	kdir=$(cd "$kdir" && pwd -P)
	grep -q '^CONFIG_RUST=y' "$kdir/.config" || die "the kernel in KDIR is built without CONFIG_RUST" \
		"switch CONFIG_RUST on there ('make rustavailable' says what is missing) and build it, or try the stock kernel: make run"
	[[ -e $kdir/rust/libkernel.rmeta ]] || die "KDIR has no Rust metadata (rust/libkernel.rmeta); Debian's headers ship none" \
		"for an own tree: make -C $kdir prepare modules_prepare; for Debian's kernel: make without KDIR"
	command -v "${RUSTC:-rustc}" >/dev/null || die "there is no rustc on this machine, and KDIR builds with this machine's tools" \
		"install the rustc that built the kernel ($(config_value CONFIG_RUSTC_VERSION_TEXT)), or run 'make' without KDIR"
	want=$(config_value CONFIG_RUSTC_VERSION_TEXT)
	have=$("${RUSTC:-rustc}" --version)
	[[ -z $want || $want == "$have" ]] || die "wrong rustc: the kernel in KDIR was built by \"$want\", this is \"$have\"" \
		"put that rustc into PATH (or set RUSTC=), or rebuild the kernel with this one"
	command -v bindgen >/dev/null || die "there is no bindgen on this machine, and KDIR builds with this machine's tools" \
		"install it (sudo apt install bindgen), or run 'make' without KDIR"
}

# --- building ---------------------------------------------------------------------

# The compiler that the kernel was configured with, by the same name.
compiler() {
	local name
	if grep -q '^CONFIG_CC_IS_CLANG=y' "$kdir/.config"; then
		echo "LLVM=${LLVM:-1}"
	elif [[ -n ${CC:-} ]]; then
		echo "CC=$CC"
	else
		name=$(config_value CONFIG_CC_VERSION_TEXT)
		name=${name%% *}
		if [[ -n $prepared ]] || command -v "$name" >/dev/null; then
			echo "CC=$name"
		fi
	fi
}

kernel_make() {
	local args=(make --no-print-directory -C "$kdir" "M=$RNET_REPO" "MO=$mo" -j"$(nproc)") extra
	extra=$(compiler)
	[[ -z $extra ]] || args+=("$extra")
	[[ -z $clippy ]] || args+=(CLIPPY=1)
	[[ -z $stock ]] || args+=(RNET_SELFTESTS=1)
	[[ -z ${W:-} ]] || args+=("W=$W")
	[[ -z ${V:-} ]] || args+=("V=$V")
	if [[ -n $prepared ]]; then
		env -u ARCH -u CROSS_COMPILE -u KBUILD_OUTPUT -u LLVM -u CC "$RNET_REPO/scripts/enter.sh" "${args[@]}" "$@"
	else
		"${args[@]}" "$@"
	fi
}

# Outside the kernel's own tree kbuild does not see that its configuration has changed
# (include/config/NAME is looked for in the wrong place), and would mix objects for both.
forget_other_configuration() {
	local sum
	sum=$(cksum <"$kdir/include/config/auto.conf" 2>/dev/null) || return 0
	if [[ -e $mo/modules.order && $(cat "$mo/.kernel-config" 2>/dev/null) != "$sum" ]]; then
		say "the kernel for $release was configured anew: everything is built again"
		rm -rf --one-file-system "$mo"
		mkdir -p "$mo"
	fi
	printf '%s\n' "$sum" >"$mo/.kernel-config"
}

build() {
	local t0 log=$RNET_CACHE/log/build.log
	mkdir -p "$mo" "$RNET_CACHE/log"
	exec 8>"$mo.lock"
	flock -n 8 || { say "another build for $release goes on: waiting for it"; flock 8; }
	forget_other_configuration
	t0=$(date +%s)
	if [[ -e $mo/modules.order ]]; then
		say "building for $release"
	else
		say "building for $release: the first time takes about 60 s"
	fi
	if ! kernel_make modules 2>&1 | tee "$log"; then
		if grep -q 'No space left on device' "$log"; then
			die "the disk that holds $RNET_CACHE is full" "free some space there or set RNET_CACHE to a larger disk"
		fi
		die "the build for $release failed" "the first error is above; the whole log is $log"
	fi
	say "built in $(($(date +%s) - t0)) s"
}

copy_modules() {
	local file name
	mkdir -p "$moddir"
	for file in "$mo"/*.ko; do
		name=${file##*/}
		cmp -s "$file" "$moddir/$name" || { cp "$file" "$moddir/.$name.$$" && mv "$moddir/.$name.$$" "$moddir/$name"; }
	done
	for file in "$moddir"/*.ko; do
		[[ -e $mo/${file##*/} ]] || rm -f "$file"
	done
}

tell() {
	local names=("$moddir"/*.ko)
	say "${#names[@]} modules for $release in $moddir"
	if [[ $release == "$running" ]]; then
		say "load one: sudo insmod $moddir/rlo.ko"
	elif [[ $debug ]]; then
		say "they are for the debug kernel: RNET_KERNEL=debug selftests/vm/run --module rlo.ko -- CMD"
	elif [[ -z $stock ]]; then
		say "they cannot be loaded here: this machine runs $running"
		say "what works: 'make run' or 'make shell' (a VM with $release), a machine that runs $release, or make KDIR=... for a kernel of your own"
	fi
}

prepared='' kdir=''
choose_kernel
if [[ -n $prepared ]]; then
	release=${prepared##*/}
	key=$(build_key "$release" "${debug:+debug}")
else
	release=$(cat "$kdir/include/config/kernel.release" 2>/dev/null || make -s -C "$kdir" kernelrelease)
	key=$(build_key "$release" "$kdir")
fi
moddir=${MODDIR:-$RNET_CACHE/modules/$key}
mo=$RNET_CACHE/build/$key${clippy:+-clippy}
if [[ -n $print_key ]]; then
	printf '%s\n' "$release" "$key" "$kdir" "$mo" "$moddir"
	exit
fi
need_disk 300 "a build"
build
if [[ -z $clippy ]]; then
	copy_modules
	tell
fi
