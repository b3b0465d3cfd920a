#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# doc.sh [--rustdoc]: Documentation/ as HTML in $RNET_CACHE/doc/html (Sphinx) and,
# which it links to, the layer's own documentation in $RNET_CACHE/doc/rustdoc (only
# that with --rustdoc).  Warnings and broken links between the two are errors.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

case ${1:-} in
'' | --rustdoc) ;;
*) die "doc.sh: unknown option $1" "it knows --rustdoc" ;;
esac

[[ -e /.rnet/base ]] || "$RNET_REPO/scripts/setup.sh" || exit 1
out=$RNET_CACHE/doc
mkdir -p "$out"
# One at a time: two checkouts share the cache.
exec 8>"$out/.lock"
flock 8

if [[ ${1:-} != --rustdoc ]]; then
	say "Sphinx"
	# Anew, so that a page that was not changed still has its say; no state is kept.
	rm -rf "$out/html.new"
	"$RNET_REPO/scripts/enter.sh" sphinx-build -q -E -W --keep-going -b html \
		-d "$out/html.new/.doctrees" "$RNET_REPO/Documentation" "$out/html.new" ||
		die "Sphinx has something to complain about" "the warnings are above"
	rm -rf "$out/html.new/.doctrees" "$out/html"
	mv "$out/html.new" "$out/html"
fi

say "rustdoc"
"$RNET_REPO/scripts/rustdoc.sh" "$out/rustdoc" >/dev/null ||
	die "rustdoc has something to complain about" "the warnings are above"
[[ ${1:-} != --rustdoc ]] || { say "rustdoc: $out/rustdoc/rnet/index.html"; exit; }

# broken_links: links from the pages into rustdoc that lead nowhere.
broken_links() {
	local link page anchor
	grep -rhoE 'href="\.\./rustdoc/[^"]+"' "$out/html" | sed -E 's/^href="\.\.\/(.*)"$/\1/' | sort -u |
		while IFS= read -r link; do
			page=${link%%#*} anchor=
			[[ $link != *#* ]] || anchor=${link#*#}
			if [[ ! -e $out/$page ]] || { [[ -n $anchor ]] && ! grep -qF "id=\"$anchor\"" "$out/$page"; }; then
				echo "$link"
			fi
		done
}
broken=$(broken_links)
[[ -z $broken ]] || die "links from Documentation/ into rustdoc that lead nowhere: ${broken//$'\n'/ }" \
	"correct the :rust: roles in Documentation/*.rst"
say "documentation: $out/html/index.html; the layer: $out/rustdoc/rnet/index.html"
