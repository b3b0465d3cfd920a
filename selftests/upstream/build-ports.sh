#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# build-ports.sh: what the kernel's tests for NIC drivers need, from the kernel's
# source: the tests below tools/testing/selftests/drivers/net, their programs, ynl and its
# descriptions of netlink, as they lie in the source.  Prints the archive that the
# VM unpacks.  Nothing is built or copied into this repository.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

# shellcheck source=selftests/upstream/archive.sh
. "$(dirname "$0")/archive.sh"

out=$RNET_CACHE/upstream/ports-${kernel##*/}
tests=$out/tree/tools/testing/selftests

build() {
	local file
	(cd "$src" && tar -c --exclude='*.o' tools/net/ynl/pyynl Documentation/netlink/specs \
		tools/testing/selftests/{kselftest,net/lib,net/lib.sh,net/forwarding/{lib,tc_common}.sh,drivers/net/{*.py,lib,hw,settings}}) |
		tar -x -C "$out/tree"
	programs net/lib csum gro xdp_helper
	programs drivers/net napi_id_helper so_txtime
	for file in "$src"/tools/testing/selftests/net/lib/*.bpf.c; do
		clang -O2 -g --target=bpf -I"$out/headers/usr/include" -I/usr/include/x86_64-linux-gnu -c "$file" \
			-o "$tests/net/lib/$(basename "$file" .c).o"
	done
}

archive "the kernel's tests for NIC drivers" "$out/tree" ports.tar
