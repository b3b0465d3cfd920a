#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fmt.sh [--check]: formats the Rust code as the kernel formats its own.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

"$RNET_REPO/scripts/setup.sh" >/dev/null || exit 1
config=$(kernel_dir)/src/.rustfmt.toml
cd "$RNET_REPO"
mapfile -d '' -t files < <(find rust samples selftests tools -name '*.rs' -print0 2>/dev/null)
((${#files[@]})) || die "there is no Rust code to format" "run it from a whole checkout"
TERM=dumb scripts/enter.sh rustfmt --edition 2021 --config-path "$config" "$@" "${files[@]}" ||
	die "the Rust code is not formatted (or does not parse)" "run 'make fmt'"
say "${#files[@]} Rust files are formatted"
