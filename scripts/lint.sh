#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# lint.sh [NAME...]: everything that can be checked without booting a kernel:
# the compilers' warnings, formatting, clippy, rustdoc, checkpatch, shellcheck,
# spelling, the census of unsafe code and the rules of this repository.  KTAP,
# one result each; NAME runs only those.  What is not right goes to
# $RNET_CACHE/lint/NAME.log and, shortened, to the screen.
#
# lint.sh --build: builds the modules in a directory of the linter's own, with
# every warning an error, and prints the directory.  The compile-fail tests and
# the checks of layouts take the compilers' command lines from there.
set -uo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[[ -e /.rnet/base ]] || exec "$RNET_REPO/scripts/enter.sh" "$RNET_REPO/scripts/lint.sh" "$@"

cd "$RNET_REPO" || exit 1
KERNEL=$(kernel_dir)
[[ -n $KERNEL ]] || die "there is no prepared kernel in $RNET_CACHE yet" "run 'make setup' first"
KBUILD=$KERNEL/build
KSRC=$KERNEL/src
MO=$RNET_CACHE/build/$(build_key "$(basename "$KERNEL")")-lint
OUT=$RNET_CACHE/lint
mkdir -p "$MO" "$OUT"

# --- what is looked at -------------------------------------------------------

# Files of the repository (also new ones that are not ignored), or of a tarball.
files() {
	git -c safe.directory='*' ls-files -co --exclude-standard -- "$@" 2>/dev/null ||
		find "${@:-.}" -type f -not -path './.git/*' -printf '%P\n'
}

existing() {
	local file
	while IFS= read -r file; do
		[[ ! -f $file ]] || printf '%s\n' "$file"
	done
}

ALL=$(files | existing | sort -u)

# matching PATTERN: files of the repository whose path matches.
matching() {
	grep -E -- "$1" <<<"$ALL" || true
}

shell_scripts() {
	local file
	while IFS= read -r file; do
		case $file in
		*.sh) echo "$file" ;;
		*) ! head -c 64 "$file" | head -n 1 | grep -aqE '^#!.*[/ ](ba|da)?sh( |$)' || echo "$file" ;;
		esac
	done <<<"$ALL"
}

# Text that people write: not binary, not a licence.
texts() {
	matching '' | grep -vE '^COPYING$' | while IFS= read -r file; do
		! grep -Iq . "$file" || echo "$file"
	done
}

# --- building ----------------------------------------------------------------

kbuild() {
	local mo=$1
	shift
	make -C "$KBUILD" "M=$RNET_REPO" "MO=$mo" "-j$(nproc)" "$@"
}

# All of it again when a warning has to be seen again: make is silent about what
# it does not build.  -Dwarnings and -Werror make sure that there is none.
check_build() {
	kbuild "$MO" KCFLAGS=-Werror KRUSTFLAGS=-Dwarnings modules || return
	! grep -inE '(^|[^-])\bwarning:' "$OUT/build.log"
}

# --- checks: each prints what is not right -----------------------------------

check_rustfmt() {
	local list
	mapfile -t list < <(matching '\.rs$')
	rustfmt --check --edition 2021 --config-path .rustfmt.toml "${list[@]}"
}

check_clippy() {
	mkdir -p "$MO-clippy"
	kbuild "$MO-clippy" CLIPPY=1 KRUSTFLAGS=-Dwarnings KCFLAGS=-Werror \
		rlo.o 2>&1 || return
}

