#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Prepares a stock Debian kernel to build Rust modules against, and to boot.
# Its headers ship no Rust metadata, so that is made anew from the source of
# the very same Debian version with the kernel's own configuration.  Called by
# setup.sh, as root or inside a user namespace, with the cache locked:
#
#	kernel.sh choose     prints "RELEASE VERSION" of what the mirror offers (KVER= decides)
#	kernel.sh fetch      downloads and unpacks it into kernel/RELEASE/{src,build,img}
#	kernel.sh prepare    makes the Rust metadata, checks it, marks the kernel complete
#
# choose reads a list as of apt-cache madison from RNET_KERNEL_LIST, where set (tests).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

unset ARCH CROSS_COMPILE KBUILD_OUTPUT LLVM MAKEFLAGS MFLAGS MAKELEVEL
FLAVOUR=amd64
CHOICE=$RNET_KERNELS/.choice

# What the tree is not unpacked for: the code of other architectures (their
# Kconfig files are read all the same), the register headers of a large GPU
# driver, translated documentation and device tree bindings.
OTHER_ARCH=(alpha arc arm arm64 csky hexagon loongarch m68k microblaze mips nios2
	openrisc parisc powerpc riscv s390 sh sparc xtensa)
SOURCE_EXCLUDE=('*/drivers/gpu/drm/amd/include' '*/Documentation/translations' '*/Documentation/devicetree')
for arch in "${OTHER_ARCH[@]}"; do
	SOURCE_EXCLUDE+=("*/arch/$arch/*.[chS]" "*/arch/$arch/*.dts*" "*/arch/$arch/*_defconfig")
done

# Packages are installed at the same time, which writes and removes apt's cache files.
NO_CACHE=(-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)

in_apt() {
	in_sysroot apt-cache "${NO_CACHE[@]}" "$@"
}

# "package | version" of every kernel package of the series.
offers() {
	if [[ -n ${RNET_KERNEL_LIST:-} ]]; then
		cat "$RNET_KERNEL_LIST"
		return
	fi
	local names
	mapfile -t names < <(in_apt pkgnames linux- |
		grep -E "^linux-(source-$RNET_SERIES|(headers|binary|modules|base)-$RNET_SERIES\.[0-9]+[^ ]*-$FLAVOUR)$" |
		grep -vE -- '-(cloud|rt)-')
	((${#names[@]} == 0)) || in_apt madison "${names[@]}"
}

# The releases for which source, headers and image of one version exist, newest last.
complete_releases() {
	awk -F' *[|] *' '
		{ sub(/^ +/, "", $1); have[$1, $2] = 1; version[$2] = 1 }
		$1 ~ /^linux-binary-/ { release[substr($1, 14)] = 1 }
		END {
			for (v in version) for (r in release)
				if (have["linux-source-'"$RNET_SERIES"'", v] && have["linux-headers-" r, v] &&
				    have["linux-modules-" r, v] && have["linux-base-" r, v] && have["linux-binary-" r, v])
					print r, v
		}' | sort -V
}

choose() {
	local all list picked
	all=$(offers)
	list=$(complete_releases <<<"$all")
	if [[ -z $list ]]; then
		die "the mirror has no complete Linux $RNET_SERIES kernel (source, headers and image of one version); it has: $(
			awk -F' *[|] *' 'NF > 1 { sub(/^ +/, "", $1); printf "%s%s %s", sep, $1, $2; sep = ", " } END { if (!sep) printf "nothing of that series" }' <<<"$all")" \
			"name a mirror with $RNET_SUITE-backports (RNET_MIRROR=URL), or try again in some hours if it was being updated"
	fi
	picked=$(awk -v want="${KVER:-}" '
		want == "" || $1 == want || $2 == want || index($1, want "+") == 1 || index($1, want "-") == 1' <<<"$list" | tail -n1)
	[[ -n $picked ]] || die "the mirror has no kernel KVER=$KVER; it has: $(awk '{ printf "%s%s (%s)", sep, $1, $2; sep = ", " }' <<<"$list")" \
		"leave KVER unset for the newest, or name one of these"
	echo "$picked"
}

fetch() {
	local release version dir deb tmp args=()
	read -r release version < <(choose) || exit 1
	dir=$RNET_KERNELS/$release
	mkdir -p "$dir"
	echo "$release" >"$CHOICE"
	rm -rf "$dir/.complete" "$dir/build"
	if [[ -e $dir/.fetched && $(cat "$dir/.fetched") == "$version" ]]; then
		return
	fi
	tmp=$dir/fetch
	rm -rf "$tmp" "$dir/src" "$dir/img" "$dir/.fetched"
	mkdir -p "$tmp/src" "$tmp/img" "$tmp/hdr"
	echo "downloading $release, Debian version $version"
	# shellcheck disable=SC2016 # expands in the sysroot
	in_sysroot sh -c 'cd "$1" && shift && apt-get -q "$@"' sh "$tmp" "${NO_CACHE[@]}" download \
		"linux-source-$RNET_SERIES=$version" "linux-headers-$release=$version" \
		"linux-modules-$release=$version" "linux-binary-$release=$version" "linux-base-$release=$version"
	for deb in "$tmp"/*.deb; do
		case ${deb##*/} in
		linux-source-*) ;;
		linux-headers-*) in_sysroot dpkg-deb -x "$deb" "$tmp/hdr" ;;
		*) in_sysroot dpkg-deb -x "$deb" "$tmp/img" ;;
		esac
	done
	for deb in "${SOURCE_EXCLUDE[@]}"; do
		args+=(--exclude="$deb")
	done
	# shellcheck disable=SC2016
	in_sysroot bash -c 'set -eo pipefail; cd "$1"; shift
		dpkg-deb --fsys-tarfile linux-source-*.deb | tar -xO --wildcards "./usr/src/linux-source-*.tar.xz" |
			xz -dc | tar -x -C src --strip-components=1 --no-same-owner "$@"' bash "$tmp" "${args[@]}"
	# Where busybox, modprobe and others expect modules: below /lib as well.
	ln -sfn usr/lib "$tmp/img/lib"
	mv "$tmp/src" "$tmp/img" "$dir/"
	mv "$tmp/hdr/usr/src/linux-headers-$release" "$dir/headers"
	rm -rf "$tmp"
	echo "$version" >"$dir/debian-version"
	echo "$version" >"$dir/.fetched"
}

chosen() {
	release=$(cat "$CHOICE")
	dir=$RNET_KERNELS/$release
	version=$(cat "$dir/debian-version")
}

# config_value NAME FILE: the value of a string option.
config_value() {
	sed -n "s/^$1=\"\(.*\)\"$/\1/p" "$2"
}

check_rustc() {
	local want have
	want=$(config_value CONFIG_RUSTC_VERSION_TEXT "$dir/headers/.config")
	have=$(in_sysroot rustc --version)
	grep -q '^CONFIG_RUST=y' "$dir/headers/.config" ||
		die "the kernel $release is built without CONFIG_RUST" "choose another with KVER="
	[[ $want == "$have" ]] ||
		die "wrong rustc: the stock kernel $release was built by \"$want\", the sysroot has \"$have\"" \
			"run 'make clean-cache' and try again (the mirror updates compiler and kernel at different times), or choose another kernel with KVER="
}

# The compiler by the name that the kernel was built with.
stock_cc() {
	config_value CONFIG_CC_VERSION_TEXT "$dir/headers/.config" | cut -d' ' -f1
}

check_config() {
	local diff
	diff=$(diff <(grep -vE '^(# )?CONFIG_LOCALVERSION(_AUTO)?[ =]' "$dir/headers/.config" | grep -E '^(CONFIG_|# CONFIG_)' | sort) \
		<(grep -vE '^(# )?CONFIG_LOCALVERSION(_AUTO)?[ =]' "$dir/build/.config" | grep -E '^(CONFIG_|# CONFIG_)' | sort) |
		grep '^[<>]' || true)
	[[ -z $diff ]] || die "the configuration made from $release differs from the stock one: $(head -n4 <<<"$diff" | tr '\n' ' ')" \
		"the tools in the sysroot do not match the stock kernel's (< stock, > here): run 'make clean-cache' and try again"
}

prepare() {
	local release dir version cc
	chosen
	check_rustc
	cc=$(stock_cc)
	mkdir -p "$dir/build"
	cp "$dir/headers/.config" "$dir/build/.config"
	in_sysroot "$dir/src/scripts/config" --file "$dir/build/.config" \
		--set-str LOCALVERSION "+${release#*+}" --disable LOCALVERSION_AUTO
	make_kernel() {
		in_sysroot make -C "$dir/src" O="$dir/build" CC="$cc" "$@"
	}
	make_kernel olddefconfig
	check_config
	make_kernel -j"$(nproc)" prepare modules_prepare
	cp "$dir/headers/Module.symvers" "$dir/headers/vmlinux" "$dir/build/"
	echo "$cc" >"$dir/cc"
	[[ $(make_kernel -s kernelrelease) == "$release" ]] ||
		die "the prepared tree calls itself $(make_kernel -s kernelrelease), not $release" "report this: the release's name is built in another way than before"
	"$RNET_REPO/scripts/check-symbols.sh" "$dir"
	# The same image, not compressed: a VM starts it 1.5 s faster.
	in_sysroot bash "$dir/src/scripts/extract-vmlinux" "$dir/img/usr/lib/modules/$release/vmlinuz" >"$dir/img/vmlinux"
	in_sysroot depmod -b "$dir/img/usr" "$release"
	echo "$version" >"$dir/.complete"
	if [[ -z ${KVER:-} || ! -e $RNET_KERNELS/current ]]; then
		ln -sfn "$release" "$RNET_KERNELS/current"
	fi
	rm -f "$CHOICE"
}

case ${1:-} in
choose) choose ;;
fetch) fetch ;;
prepare) prepare ;;
*) die "usage: kernel.sh choose|fetch|prepare" "run 'make setup', which calls this" ;;
esac
