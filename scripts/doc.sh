#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# doc.sh [--rustdoc]: the documentation as HTML in $RNET_CACHE/doc: Documentation/
# by Sphinx and, beside it in rustdoc/, the layer's own (only that with --rustdoc).
# Warnings are errors.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

"$RNET_REPO/scripts/build.sh" --stock >/dev/null || exit 1
mapfile -t facts < <("$RNET_REPO/scripts/build.sh" --stock --print-key | tail -n5)
out=$RNET_CACHE/doc/${facts[1]}
mkdir -p "$out"

"$RNET_REPO/scripts/enter.sh" python3 -B "$RNET_REPO/scripts/rustdoc.py" "${facts[3]}" "$RNET_REPO" "$out/rustdoc" rnet ||
	die "rustdoc of the layer failed" "the first warning or error is above"
say "rustdoc: $out/rustdoc/rnet/index.html"
[[ ${1:-} != --rustdoc ]] || exit 0

[[ -e $RNET_REPO/Documentation/conf.py ]] || die "there is no Documentation/conf.py" "run it from a whole checkout"
"$RNET_REPO/scripts/enter.sh" sphinx-build -q -W --keep-going -b html -d "$out/doctrees" "$RNET_REPO/Documentation" "$out/html" ||
	die "the documentation has errors" "they are above"
mkdir -p "$out/html/rustdoc"
cp -a "$out/rustdoc/." "$out/html/rustdoc/"
say "documentation: $out/html/index.html (rustdoc in $out/html/rustdoc/rnet)"
