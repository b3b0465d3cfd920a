#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check-symbols.sh KERNEL_DIR: are the Rust symbols of the metadata that was
# made here the ones that the stock kernel exports?  CONFIG_MODVERSIONS is off
# in Debian's kernel: nothing else would notice a module that was built against
# another ABI.  Compares both ways and refuses on any difference.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

dir=$1
here=$(mktemp)
stock=$(mktemp)
trap 'rm -f "$here" "$stock"' EXIT

config() {
	sed -n "s/^$1=\"\(.*\)\"$/\1/p" "$dir/headers/.config"
}

sed -n 's/^EXPORT_SYMBOL_RUST_GPL(\(.*\));$/\1/p' "$dir"/build/rust/exports_*_generated.h |
	grep -E '^(_R|rust_helper_)' | sort -u >"$here" || true
awk '$3 == "vmlinux" && $2 ~ /^(_R|rust_helper_)/ { print $2 }' "$dir/headers/Module.symvers" | sort -u >"$stock"

count=$(wc -l <"$stock")
((count > 0)) || die "the stock kernel exports no Rust symbols" "choose a kernel with CONFIG_RUST=y (KVER=)"
missing=$(comm -13 "$here" "$stock")
extra=$(comm -23 "$here" "$stock")
if [[ -n $missing || -n $extra ]]; then
	count_lines() { grep -c . <<<"$1" || true; }
	{
		echo "only in the stock kernel ($(count_lines "$missing")), for example:"
		head -n5 <<<"$missing"
		echo "only in what was built here ($(count_lines "$extra")), for example:"
		head -n5 <<<"$extra"
	} >&2
	die "the Rust symbols built here are not those of the stock kernel: $(count_lines "$missing") missing, $(count_lines "$extra") too many" \
		"a match needs \"$(config CONFIG_RUSTC_VERSION_TEXT)\", \"$(config CONFIG_CC_VERSION_TEXT)\" and linux-source of Debian version $(cat "$dir/debian-version"); run 'make clean-cache' and try again"
fi
echo "all $count Rust symbols of the stock kernel match, none too many"
