#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check-layout.sh: may helpers that clang compiled be linked into modules of a
# kernel that GCC compiled?  KTAP:
#
# - clang lays out every structure as the stock kernel's BTF says, bit-fields
#   included, with the very flags that the build uses;
# - per-CPU accesses carry their segment prefix.  clang prints none where the
#   configuration says that the compiler has named address spaces: such an
#   addition goes to a wild address;
# - no stack protector: clang's would read its canary where the kernel has none.
#
# RNET_LINT_MO names a build directory; without it, scripts/lint.sh makes one.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[[ -e /.rnet/base ]] || exec "$RNET_REPO/scripts/enter.sh" \
	env ${RNET_LINT_MO:+RNET_LINT_MO="$RNET_LINT_MO"} "$RNET_REPO/scripts/check-layout.sh" "$@"

mo=${RNET_LINT_MO:-$("$RNET_REPO/scripts/lint.sh" --build)}
vmlinux=$(kernel_dir)/build/vmlinux
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

if [[ ! -e $mo/rust/helpers/.helpers.bc.cmd ]]; then
	echo "TAP version 13"
	echo "1..0 # SKIP the helpers are not inlined in this configuration"
	exit 4
fi
cd "$mo"
command=$(sed -n '1s/^savedcmd_[^ ]* := //p' rust/helpers/.helpers.bc.cmd)
helpers=${command##* }
command=$(sed -E 's/ -o [^ ]+//; s/ -Wp,-MMD,[^ ]+//; s/ -emit-llvm -c( |$)/ /' <<<"${command% *}")

# clang_layouts FILE DUMP-OPTION: the command line holds quotes for the shell.
clang_layouts() {
	eval "$command -fsyntax-only -ferror-limit=0 -I'$(dirname "$helpers")' -Xclang $2 '$1'"
}

# A layout is final only when somebody asks for the size: attributes behind the
# closing brace come late.  So: which structures are there, then their sizes.
clang_layouts "$helpers" -fdump-record-layouts-complete |
	sed -nE 's/^ +0 \| struct ([A-Za-z0-9_]+)$/\1/p' | sort -u >"$tmp/names"
{
	echo "#include \"$helpers\""
	sed 's/.*/static const unsigned long rnet_sizeof_& = sizeof(struct &);/' "$tmp/names"
} >"$tmp/sizes.c"
# Some are local to a function: clang complains about these and goes on.
clang_layouts "$tmp/sizes.c" -fdump-record-layouts >"$tmp/layouts" 2>"$tmp/errors" || true

# Each instruction on one line with its relocation.
instructions() {
	objdump -dr --no-show-raw-insn "$1" | sed -E ':a; N; $!ba; s/\n[^\n]*(R_X86_64_[^\n]*)/ \1/g'
}

functions_with() { # FILE PATTERN [BUT-NOT]
	instructions "$1" | awk -v pattern="$2" -v but="${3:-^$}" \
		'/^[0-9a-f]+ <.*>:$/ { name = $2 } $0 ~ pattern && $0 !~ but { print name }' | sort -u
}

# The helpers by themselves, made of the bitcode as drivers are.
backend=$(sed -nE '1s/.*; ([^;]*clang[^;]*) -c [^ ]+ -o [^ ]+ *(;.*)?$/\1/p' samples/.dummy.o.cmd)
[[ -n $backend ]] || die "there is no command for bitcode in $mo/samples/.dummy.o.cmd" "remove $mo and try again"
eval "$backend -c rust/helpers/helpers.bc -o '$tmp/helpers.o'"

results() {
	local count canary='%gs:0x28|__(ref_)?stack_chk'
	python3 -B "$RNET_REPO/scripts/check-layout.py" "$tmp/layouts" "$vmlinux" ||
		sed -n '1,10s/^/# clang: /p' "$tmp/errors"

	# What the kernel's own compiler does with a prefix, bitcode does, too.  The
	# canary is not of interest.
	functions_with rust/helpers/helpers.o '%gs:' "$canary" >"$tmp/gcc"
	functions_with "$tmp/helpers.o" '%gs:' "$canary" >"$tmp/clang"
	verdict "per-CPU accesses of $(wc -l <"$tmp/gcc") helpers have their segment prefix" \
		"$(comm -23 "$tmp/gcc" "$tmp/clang")" "$(wc -l <"$tmp/gcc")"

	count=$(functions_with rlo.ko 'add.*%gs:' | grep -c 'loop_back\|start_xmit' || true)
	verdict "the inlined counters of rlo.ko have their segment prefix" \
		"$( ((count > 0)) || echo 'no addition with %gs: in its transmit path')" 1

	verdict "helpers from bitcode have no stack protector" \
		"$(functions_with "$tmp/helpers.o" "$canary")" 1
}

# verdict NAME PROBLEMS COUNT: nothing looked at is no success.
verdict() {
	local line
	if [[ -n $2 ]] || (($3 == 0)); then
		while read -r line; do echo "# $line"; done <<<"${2:-nothing to look at}"
		echo "not ok layout: $1"
	else
		echo "ok layout: $1"
	fi
}

results >"$tmp/results"
echo "TAP version 13"
echo "1..$(grep -cE '^(not )?ok ' "$tmp/results")"
awk '/^(not )?ok / { n++; if (/^ok/) passed++; sub(/ok /, "ok " n " ") } { print }
	END { printf "# Totals: pass:%d fail:%d xfail:0 xpass:0 skip:0 error:0\n", passed, n - passed }' "$tmp/results"
! grep -q '^not ok' "$tmp/results"
