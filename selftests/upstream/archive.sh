# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# archive.sh: what build.sh and build-ports.sh have in common, sourced by them after
# lib.sh.  They set $out and $tests, where the kernel's tests lie in $out, and have
# a function build().
# shellcheck disable=SC2154 # out, tests

upstream=$RNET_REPO/selftests/upstream
if [[ ! -e /.rnet/base ]]; then
	"$RNET_REPO/scripts/sysroot.sh" need upstream >&2
	exec "$RNET_REPO/scripts/enter.sh" "$upstream/$(basename "$0")"
fi

kernel=$(kernel_dir)
src=$kernel/src

# programs DIR NAME...: with the makefile that is there.
programs() {
	local dir=$1
	shift
	mkdir -p "$tests/$dir"
	make -s -C "$src/tools/testing/selftests/$dir" -j"$(nproc)" \
		OUTPUT="$tests/$dir" KHDR_INCLUDES="-isystem $out/headers/usr/include" \
		USERCFLAGS='-g0 -w' "${@/#/$tests/$dir/}"
}

# archive WHAT ROOT FILE: prints the path of $out/FILE, which has ROOT as build() has
# left it.  Made anew when the kernel or one of these scripts has changed.
archive() {
	local what=$1 root=$2 file=$out/$3 key log
	log=$RNET_LOGS/upstream-$(basename "$file" .tar).log
	key=$(cat "$upstream/$(basename "$0")" "$upstream/archive.sh" "$kernel/debian-version" | cksum)
	if [[ ! -e $file || $(cat "$out/key" 2>/dev/null) != "$key" ]]; then
		need_disk 300 "$what"
		mkdir -p "$RNET_LOGS"
		# Not as a condition, under which errexit would be off.
		make_archive "$root" "$file" >"$log" 2>&1 &
		if ! wait $!; then
			tail -n 15 "$log" >&2
			die "$what could not be built" "the whole log is $log"
		fi
		echo "$key" >"$out/key"
	fi
	echo "$file"
}

make_archive() {
	rm -rf "$out"
	mkdir -p "$out/headers" "$tests"
	make -s -C "$src" O="$out/headers" ARCH=x86_64 headers
	build
	tar -cf "$2" -C "$1" .
}
