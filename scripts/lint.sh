#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# lint.sh [NAME...]: everything that can be checked without booting a kernel:
# the compilers' warnings, formatting, clippy, rustdoc, checkpatch, shellcheck,
# spelling, the census of unsafe code, layouts, and the rules of this
# repository.  KTAP, one result each; NAME runs only those.  What is not right
# is in $RNET_CACHE/lint/NAME.log and, shortened, on the screen.
#
# lint.sh --build: builds the modules in a directory of the linter's own, with
# every warning an error, and prints the directory.  The compile-fail tests and
# the checks of layouts take the compilers' command lines from there.
set -uo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

if [[ ! -e /.rnet/base ]]; then
	# The crates of tools/ come from outside.
	[[ " $* " != *" tools "* ]] || "$RNET_REPO/scripts/tools.sh" --fetch >/dev/null || exit 1
	exec "$RNET_REPO/scripts/enter.sh" "$RNET_REPO/scripts/lint.sh" "$@"
fi

cd "$RNET_REPO" || exit 1
kernel=$(kernel_dir)
[[ -n $kernel ]] || die "there is no prepared kernel in $RNET_CACHE yet" "run 'make setup' first"
src=$kernel/src
mo=$RNET_CACHE/build/$(build_key "$(basename "$kernel")")-lint
out=$RNET_CACHE/lint
mkdir -p "$mo" "$mo-clippy" "$out"
# What an outer make passed down would reach the kernel's make a second time.
unset MAKEFLAGS MFLAGS MAKELEVEL

# --- what is looked at -------------------------------------------------------

# Files of the repository, also new ones that are not ignored; or of a tarball.
mapfile -t all < <(
	{
		git -c safe.directory='*' ls-files -co --exclude-standard 2>/dev/null ||
			find . -type f -not -path './.git/*' -printf '%P\n'
	} | while IFS= read -r file; do
		[[ ! -f $file ]] || printf '%s\n' "$file"
	done | sort -u
)

# matching PATTERN: files of the repository whose path matches.
matching() {
	printf '%s\n' "${all[@]}" | grep -E -- "$1" || true
}

scripts_of() { # INTERPRETER SUFFIX
	local file
	for file in "${all[@]}"; do
		case $file in
		*."$2") echo "$file" ;;
		*) ! head -c 64 "$file" | head -n 1 | grep -aqE "^#!.*[/ ]$1( |\$)" || echo "$file" ;;
		esac
	done
}

# What people write: no binary files, no licence text.
texts() {
	local file
	for file in "${all[@]}"; do
		[[ $file == COPYING ]] || ! grep -Iq . "$file" || echo "$file"
	done
}

sources() {
	{
		matching '\.(rs|c|h|py|sh|rst)$|(^|/)(Makefile[^/]*|Kbuild|bindgen_parameters)$'
		scripts_of '(ba|da)?sh' sh
		scripts_of 'python3?' py
	} | sort -u
}

# --- building ----------------------------------------------------------------

kbuild() { # DIRECTORY ARGS...
	local dir=$1 cc
	shift
	cc=$(cat "$kernel/cc" 2>/dev/null || true)
	make -C "$kernel/build" "M=$RNET_REPO" "MO=$dir" "-j$(nproc)" ${cc:+CC="$cc"} "$@"
}

build() {
	kbuild "$mo" KCFLAGS=-Werror KRUSTFLAGS=-Dwarnings modules
}

# --- checks: each prints what is not right and fails then ---------------------

# From scratch: make says nothing about what it does not build again.  -Werror
# does not see the warnings of modpost, objtool and the linker.
check_build() {
	rm -rf "$mo"
	mkdir -p "$mo"
	build >"$out/make.log" 2>&1
	local status=$?
	cat "$out/make.log"
	! grep -iE '^(.*: )?warning\b' "$out/make.log" && return $status
}

check_rustfmt() {
	local list
	mapfile -t list < <(matching '\.rs$')
	diff <(cat "$src/.rustfmt.toml") .rustfmt.toml || return
	# A file with modules brings these along: each would be shown twice.
	rustfmt --check -l --edition 2021 --config-path .rustfmt.toml "${list[@]}" | sort -u
	((PIPESTATUS[0])) || return 0
	rustfmt --check --color never --edition 2021 --config-path .rustfmt.toml "${list[@]}"
	return 1
}

# The kernel's clippy.toml asks every unsafe function for a "# Safety" section.
# What C calls has no caller to tell; the census checks all others, and that
# every block in those that C calls names its context.
check_clippy() {
	rm -rf "$mo-clippy"
	mkdir -p "$mo-clippy"
	kbuild "$mo-clippy" CLIPPY=1 KCFLAGS=-Werror \
		KRUSTFLAGS='-Dwarnings -Aclippy::missing_safety_doc' modules
}

check_rustdoc() {
	RNET_LINT_MO=$mo scripts/rustdoc.sh
}

# Not applied to shims and headers for bindgen:
# MEMORY_BARRIER  a shim for a barrier has none to explain; its callers do.
check_checkpatch() {
	local list
	mapfile -t list < <(matching '^(rust|selftests/rigb)/.*\.[ch]$')
	perl "$src/scripts/checkpatch.pl" "--root=$src" --strict --no-summary --show-types \
		--ignore MEMORY_BARRIER -f "${list[@]}"
}

check_shellcheck() {
	local list
	mapfile -t list < <(scripts_of '(ba|da)?sh' sh)
	shellcheck -x "${list[@]}"
}

# Valid Python, without warnings such as wrong escapes.
check_python() {
	local list
	mapfile -t list < <(scripts_of 'python3?' py)
	python3 -W error -c 'import sys
for path in sys.argv[1:]:
    compile(open(path, encoding="utf-8").read(), path, "exec")' "${list[@]}"
}

# Words that are right here: parm is what modinfo calls a parameter, ratatui a crate.
check_codespell() {
	local list
	mapfile -t list < <(texts)
	codespell -L parm,ratatui "${list[@]}"
}

check_spdx() {
	local file status=0
	while IFS= read -r file; do
		if ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0'; then
			echo "$file: no SPDX-License-Identifier in the first three lines"
			status=1
		fi
	done < <(sources)
	return $status
}

check_length() {
	local file lines status=0
	while IFS= read -r file; do
		lines=$(wc -l <"$file")
		if ((lines > 400)); then
			echo "$file: $lines lines; split it by purpose (400 at most)"
			status=1
		fi
	done < <(sources | grep -v '\.rst$')
	return $status
}

check_panics() {
	scripts/census.panics.py
}

# Names that only this machine or its mirror has.  The pattern for official
# mirrors stands for whatever the sysroot happens to be made from.
check_traces() {
	local list hosts
	mapfile -t list < <(texts)
	hosts=$(sed -nE 's/^(deb|URIs:).*https?:\/\/([^/ :]+).*/\2/p' /etc/apt/sources.list \
		/etc/apt/sources.list.d/* 2>/dev/null | sort -u | sed 's/[.]/\\./g' | paste -sd '|')
	! grep -nE "(^|[^A-Za-z0-9_.\$}])/(root/[.]|work/|home/[a-z])|(deb|ftp|security|snapshot)\.debian\.org${hosts:+|$hosts}" "${list[@]}"
}

check_census() {
	scripts/census.test.py | grep -E '^(not ok|#)'
	((PIPESTATUS[0] == 0)) && scripts/census.py --mo "$mo"
}

# Clippy and the tests of the programs of user space: only when it is named, as it needs
# cargo and crates from outside.
check_tools() {
	scripts/tools.sh --check
}

check_layout() {
	RNET_LINT_MO=$mo scripts/check-layout.sh
}

# --- running -----------------------------------------------------------------

checks=(build rustfmt clippy rustdoc checkpatch shellcheck python codespell spdx length panics
	traces census layout)

exec 8>"$mo.lock"
flock 8

if [[ ${1:-} == --build ]]; then
	if ! build >"$out/make.log" 2>&1; then
		tail -n 40 "$out/make.log" >&2
		die "the build with warnings as errors failed" "the whole log is $out/make.log"
	fi
	echo "$mo"
	exit
fi

((!$#)) || checks=("$@")
echo "TAP version 13"
echo "1..${#checks[@]}"
number=0 failed=0 skipped=0
for name in "${checks[@]}"; do
	number=$((number + 1))
	t0=$(date +%s)
	"check_$name" >"$out/$name.log" 2>&1 </dev/null
	status=$?
	note="$(($(date +%s) - t0)) s"
	if ((status == 4)); then
		result=ok
		note="SKIP $(sed -n 's/^1\.\.0 # SKIP //p' "$out/$name.log")"
		skipped=$((skipped + 1))
	elif ((status == 0)); then
		result=ok
	else
		result='not ok'
		failed=$((failed + 1))
		# The first lines say most: the rest is in the log.
		head -n 40 "$out/$name.log" | sed 's/^/# /'
		echo "# the whole log is $out/$name.log"
	fi
	[[ $name != census || $result != ok ]] || sed 's/^/# /' "$out/census.log"
	echo "$result $number lint $name # $note"
done
echo "# Totals: pass:$((number - failed - skipped)) fail:$failed xfail:0 xpass:0 skip:$skipped error:0"
((failed == 0))
