#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# uml-run.sh OUT OPTION...: measure.py in user mode Linux, with the sysroot as
# its root.  In the sysroot; bench.py calls it.  OUT holds
# flows and pairs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=scripts/lib.sh
. "$here/../../scripts/lib.sh"

out=$1
shift
modules=$("$RNET_REPO/scripts/uml.sh" modules | tail -n1)
kernel=$("$RNET_REPO/scripts/uml.sh" dir)/build/linux
if [[ ! -x $kernel || ! -e $modules/rlo.ko ]]; then
	die "user mode Linux or its modules could not be built" "read the lines above"
fi
# What uml-init reads.
{
	printf 'module=%q\n' "$modules/rlo.ko"
	printf 'programs=%q\n' "$out"
	printf 'set -- python3 -B %q /run/flows %s\n' "$here/measure.py" "${*@Q}"
} >"$out/uml-control"
# Words that the kernel does not know become the environment of the first process.
"$kernel" mem=1G ncpus=2 seccomp=on rootfstype=hostfs ro init="$here/uml-init" rnet_control="$out/uml-control" \
	con=null con0=null,fd:1 quiet loglevel=4 panic=-1 </dev/null
