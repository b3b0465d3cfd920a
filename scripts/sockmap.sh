#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# sockmap.sh: builds samples/sockmap with the sysroot's clang, bpftool and libbpf. The
# program is put beside those of tools/, which come into the VM with the modules.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[[ $("$RNET_REPO/scripts/sysroot.sh" state) == tools ]] || "$RNET_REPO/scripts/setup.sh"
key=$(build_key tools)
build=$RNET_CACHE/build/$key-sockmap
out=$RNET_CACHE/tools/$key
log=$RNET_LOGS/sockmap.log
mkdir -p "$build" "$out" "$RNET_LOGS"
exec 8>"$build.lock"
flock 8
# Without what an outer make passes down.
if ! env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u CC \
	"$RNET_REPO/scripts/enter.sh" make -C "$RNET_REPO/samples/sockmap" "O=$build" >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	die "samples/sockmap does not build" "the first error is above; the log is $log"
fi
cmp -s "$build/rnet-sockmap" "$out/rnet-sockmap" || cp "$build/rnet-sockmap" "$out/rnet-sockmap"
say "rnet-sockmap: $out/rnet-sockmap"
