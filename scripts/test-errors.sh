#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Provokes the errors that users will meet (KTAP): each has to be one clear line
# with the cause and one with the next step, and a status that says so. Uses the
# real scripts with fake kernel trees, a full disk, no network and the like.
set -u
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
tests=18 number=0 failed=0 skipped=0
scripts=$RNET_REPO/scripts
unset KDIR KVER MODDIR RNET_MIRROR RNET_T0

# expect NAME CAUSE NEXT CMD...: CMD fails with one such line of each.
expect() {
	local name=$1 cause=$2 next=$3 out status why=''
	shift 3
	number=$((number + 1))
	out=$("$@" 2>&1 </dev/null)
	status=$?
	((status != 0)) || why="it returned 0"
	(($(grep -c 'error: ' <<<"$out") == 1)) || why="not exactly one line with the cause"
	(($(grep -c ' next: ' <<<"$out") == 1)) || why="not exactly one line with the next step"
	grep -qE "error: .*$cause" <<<"$out" || why="the cause is not: $cause"
	grep -qE " next: .*$next" <<<"$out" || why="the next step is not: $next"
	if [[ -z $why ]]; then
		echo "ok $number $name"
		grep -E 'error: | next: ' <<<"$out" | cut -c1-200 | sed 's/^/# /'
	else
		failed=$((failed + 1))
		tail -n 20 <<<"$out" | sed 's/^/# /'
		echo "# $why"
		echo "not ok $number $name"
	fi
}

skip() {
	number=$((number + 1))
	skipped=$((skipped + 1))
	echo "ok $number $1 # SKIP $2"
}

# script NAME TEXT: an executable that stands for a program.
script() {
	mkdir -p "$(dirname "$1")"
	printf '#!/bin/sh\n%s\n' "$2" >"$1"
	chmod +x "$1"
}

# fake_kdir NAME CONFIG...: a kernel build directory as far as the checks look.
fake_kdir() {
	local dir=$tmp/$1
	shift
	mkdir -p "$dir/rust"
	: >"$dir/Makefile"
	printf '%s\n' "$@" >"$dir/.config"
	echo "$dir"
}

echo "KTAP version 1"
echo "1..$tests"

# --- set-up -------------------------------------------------------------------------

# A copy that everybody may read: the checkout may be in a private directory.
mkdir -p "$tmp/repo" "$tmp/nobody"
cp -r "$scripts" "$tmp/repo/"
if [[ $EUID -eq 0 ]]; then
	chmod 777 "$tmp/nobody"
	expect "neither root nor user namespaces" "neither root nor user namespaces" "root" \
		env HOME="$tmp/nobody" RNET_CACHE="$tmp/nobody/cache" \
		setpriv --reuid=65534 --regid=65534 --clear-groups "$tmp/repo/scripts/setup.sh"
else
	script "$tmp/fake/unshare" 'case $* in *--help*) exec /usr/bin/unshare --help ;; esac; exit 1'
	expect "neither root nor user namespaces" "neither root nor user namespaces" "root" \
		env PATH="$tmp/fake:$PATH" RNET_CACHE="$tmp/nobody/cache" "$scripts/setup.sh"
fi

# A directory of links to everything but what is to be missing.
mkdir -p "$tmp/bin"
for dir in /usr/sbin /sbin /bin /usr/bin; do
	find "$dir/" -maxdepth 1 ! -type d ! -name mmdebstrap ! -name 'apt*' ! -name rustc ! -name bindgen -exec ln -sf -t "$tmp/bin" {} +
done
expect "mmdebstrap is missing" "mmdebstrap is missing" "install" \
	env PATH="$tmp/bin" RNET_CACHE="$tmp/nocache" "$scripts/setup.sh"

mkdir -p "$tmp/disk"
as_root=()
[[ $EUID -eq 0 ]] || as_root=(--map-root-user)
# shellcheck disable=SC2016 # expands in the namespace
expect "no disk space" "no disk space: .* needs about [0-9]+ MiB" "RNET_CACHE" \
	unshare "${as_root[@]}" --mount sh -c \
	'mount -t tmpfs -o size=64m tmpfs "$1" && RNET_CACHE=$1 exec "$2"' sh "$tmp/disk" "$scripts/setup.sh"

if [[ $EUID -ne 0 ]]; then
	skip "no network" "needs root to take it away"
elif ! command -v mmdebstrap >/dev/null; then
	skip "no network" "mmdebstrap is not installed"
else
	expect "no network" "cannot be reached" "network" \
		env RNET_CACHE="$tmp/nonet" unshare --net "$scripts/setup.sh"
fi

cat >"$tmp/partial" <<-'END'
	 linux-source-7.3 | 7.3.5-1~bpo13+1 | x
	 linux-headers-7.3.5+deb13-amd64 | 7.3.5-1~bpo13+1 | x
	 linux-binary-7.3.4+deb13-amd64 | 7.3.4-1~bpo13+1 | x
END
: >"$tmp/nothing"
{
	for package in source-7.3 {headers,modules,binary,base}-7.3.4+deb13-amd64; do
		echo " linux-$package | 7.3.4-1~bpo13+1 | x"
	done
} >"$tmp/whole"
expect "a mirror without a 7.3 kernel" "no complete Linux 7.3 kernel.*nothing of that series" "RNET_MIRROR" \
	env RNET_KERNEL_LIST="$tmp/nothing" "$scripts/kernel.sh" choose
expect "a mirror that is being updated" "no complete Linux 7.3 kernel.*7.3.5-1" "again" \
	env RNET_KERNEL_LIST="$tmp/partial" "$scripts/kernel.sh" choose
expect "a KVER that the mirror does not have" "no kernel KVER=7.3.99; it has: 7.3.4\+deb13-amd64" "KVER" \
	env KVER=7.3.99 RNET_KERNEL_LIST="$tmp/whole" "$scripts/kernel.sh" choose

expect "a tool before the set-up" "no sysroot" "make setup" env RNET_CACHE="$tmp/empty" "$scripts/enter.sh" true

mkdir -p "$tmp/busy"
exec 7>>"$tmp/busy/lock"
flock -s 7
expect "clean-cache while the cache is used" "uses the cache" "end it" env RNET_CACHE="$tmp/busy" "$scripts/clean-cache.sh"
exec 7>&-

# --- the stock kernel's Rust symbols ------------------------------------------------------

mkdir -p "$tmp/kernel/headers" "$tmp/kernel/build/rust"
echo 7.3.4-1 >"$tmp/kernel/debian-version"
echo 'CONFIG_RUSTC_VERSION_TEXT="rustc 1.2.3 (of the stock kernel)"' >"$tmp/kernel/headers/.config"
printf '0x0\t_RNvA\tvmlinux\tEXPORT_SYMBOL_GPL\n0x0\t_RNvB\tvmlinux\tEXPORT_SYMBOL_GPL\n' >"$tmp/kernel/headers/Module.symvers"
echo 'EXPORT_SYMBOL_RUST_GPL(_RNvA);' >"$tmp/kernel/build/rust/exports_kernel_generated.h"
expect "a Rust symbol is missing" "not those of the stock kernel: 1 missing, 0 too many" "rustc 1.2.3" \
	"$scripts/check-symbols.sh" "$tmp/kernel"
printf 'EXPORT_SYMBOL_RUST_GPL(_RNvA);\nEXPORT_SYMBOL_RUST_GPL(_RNvB);\nEXPORT_SYMBOL_RUST_GPL(rust_helper_c);\n' \
	>"$tmp/kernel/build/rust/exports_kernel_generated.h"
expect "a Rust symbol too many" "0 missing, 1 too many" "7.3.4-1" "$scripts/check-symbols.sh" "$tmp/kernel"

# --- KDIR -----------------------------------------------------------------------------------

real_cache=$RNET_CACHE
export RNET_CACHE=$tmp/kdircache
mkdir -p "$RNET_CACHE"
script "$tmp/tools/rustc" 'echo "rustc 1.85.1 (here)"'
script "$tmp/tools/bindgen" 'exit 0'
with_tools=(env PATH="$tmp/tools:$PATH")

expect "KDIR that is nowhere" "is not a directory" "build directory" \
	"${with_tools[@]}" KDIR="$tmp/nowhere" "$scripts/build.sh"
dir=$(fake_kdir norust '# CONFIG_RUST is not set')
expect "a kernel without CONFIG_RUST" "without CONFIG_RUST" "make run" "${with_tools[@]}" KDIR="$dir" "$scripts/build.sh"
dir=$(fake_kdir rust 'CONFIG_RUST=y' 'CONFIG_RUSTC_VERSION_TEXT="rustc 1.78.0 (there)"')
expect "KDIR without Rust metadata" "no Rust metadata" "prepare" "${with_tools[@]}" KDIR="$dir" "$scripts/build.sh"
: >"$dir/rust/libkernel.rmeta"
expect "the wrong rustc" "wrong rustc: .*1.78.0 \(there\).*1.85.1 \(here\)" "PATH" "${with_tools[@]}" KDIR="$dir" "$scripts/build.sh"
expect "no rustc for KDIR" "no rustc" "1.78.0" env PATH="$tmp/bin" KDIR="$dir" "$scripts/build.sh"

# --- QEMU ------------------------------------------------------------------------------------

export RNET_CACHE=$real_cache
if [[ $("$scripts/sysroot.sh" state) != tools || -z $(kernel_dir) ]]; then
	skip "QEMU without igb" "there is no sysroot yet (make setup)"
	skip "KVM present but unusable" "there is no sysroot yet (make setup)"
else
	script "$tmp/qemu/qemu-system-x86_64" 'echo "name \"e1000e\", bus PCI"'
	# shellcheck disable=SC2016 # expands in the sysroot
	expect "QEMU without igb" "no igb device" "clean-cache" \
		env RNET_VM_KERNEL="$(kernel_dir)" "$scripts/enter.sh" sh -c \
		'PATH=$1:$PATH exec python3 -B "$2/selftests/vm/vm.py" --no-kvm --no-modules --qemu-args "-device igb" -- true' sh "$tmp/qemu" "$RNET_REPO"

	# Not an error: one line, and it goes on under TCG.
	number=$((number + 1))
	script "$tmp/qemu/qemu-system-x86_64" 'echo "failed to initialize kvm: Operation not permitted"; exit 1'
	: >"$tmp/kvm"
	# shellcheck disable=SC2016
	said=$(env -u RNET_KVM_NOTED "$scripts/enter.sh" sh -c 'cd "$2/selftests/vm" && PATH=$1/qemu:$PATH exec python3 -B -c "
import qemu, sys
print(qemu.kvm_works(sys.argv[1], \"image\", \"initrd\", sys.argv[1] + \"/kvm\"))" "$1"' sh "$tmp" "$RNET_REPO" 2>&1)
	if [[ $said == *"note: /dev/kvm is there but unusable"*"Operation not permitted"*"running under TCG"*False ]]; then
		echo "ok $number KVM present but unusable"
		head -n1 <<<"$said" | sed 's/^/# /'
	else
		failed=$((failed + 1))
		while read -r line; do echo "# $line"; done <<<"$said"
		echo "not ok $number KVM present but unusable"
	fi
fi

echo "# $((number - failed - skipped)) passed, $failed failed, $skipped skipped"
exit $((failed > 0 || number != tests))
