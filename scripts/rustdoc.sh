#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# rustdoc.sh [OUT]: the layer's documentation from its source, in OUT or
# $RNET_CACHE/doc/rustdoc; begins at rnet/index.html there.  Any warning, such as a
# broken link, is an error.  rustdoc gets the command line that Kbuild gave rustc,
# so that it sees the kernel's crates and configuration.
# RNET_LINT_MO names a build directory; without it, scripts/lint.sh makes one.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[[ -e /.rnet/base ]] || exec "$RNET_REPO/scripts/enter.sh" \
	env ${RNET_LINT_MO:+RNET_LINT_MO="$RNET_LINT_MO"} "$RNET_REPO/scripts/rustdoc.sh" "$@"

mo=${RNET_LINT_MO:-$("$RNET_REPO/scripts/lint.sh" --build)}
out=${1:-$RNET_CACHE/doc/rustdoc}
kernel=$(kernel_dir)
release=$(basename "$kernel")

# The words of the command, as the shell would split them.
mapfile -d '' -t words < <(sed -n '1s/^savedcmd_[^ ]* := //p' "$mo/rust/rnet/.lib.o.cmd" |
	python3 -c 'import shlex, sys; print(*shlex.split(sys.stdin.read()), sep="\0", end="\0")')
args=()
env=(RUSTC_BOOTSTRAP=1)
skip=
for word in "${words[@]}"; do
	case $word in
	--emit=*) ;;
	--out-dir) skip=y ;;
	*)
		if [[ -n $skip ]]; then
			skip=
		elif ((${#args[@]} == 0)) && [[ $word =~ ^[A-Z_]+= ]]; then
			env+=("$word")
		elif ((${#args[@]} == 0)); then
			args=(rustdoc) # in place of rustc
		else
			args+=("$word")
		fi
		;;
	esac
done
((${#args[@]} > 1)) || die "there is no command line in $mo/rust/rnet/.lib.o.cmd" "remove $mo and try again"

rm -rf "$out.new"
mkdir -p "$out.new"
(cd "$mo" && env "${env[@]}" "${args[@]}" -Dwarnings \
	--extern-html-root-url kernel=https://rust.docs.kernel.org \
	--extern-html-root-url core=https://doc.rust-lang.org \
	--output "$out.new")

# srctree/PATH, as the kernel's own documentation writes links to C headers.
status=0
while read -r path; do
	if [[ ! -e $kernel/src/$path ]]; then
		echo "the documentation links to srctree/$path, which the kernel does not have" >&2
		status=1
	fi
done < <(grep -rhoE '<a href="srctree/[^"]+"' "$out.new" | sed -E 's/.*srctree\/([^"#]+).*/\1/' | sort -u)
find "$out.new" -name '*.html' -type f -print0 | xargs -0 sed -Ei \
	"s|<a href=\"srctree/([^\"]+)\"|<a href=\"https://git.kernel.org/pub/scm/linux/kernel/git/stable/linux.git/tree/\\1?h=v${release%%[+-]*}\"|g"
rm -rf "$out"
mv "$out.new" "$out"
echo "$out/rnet/index.html"
exit $status
