#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [CASE...]: the layer's rules hold, because what breaks them does not
# compile.  KTAP, one result for each file in cases/ (about half a second each).
# RNET_LINT_MO names a build directory; without it, scripts/lint.sh makes one.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
repo=$(cd "$here/../.." && pwd -P)

[[ -e /.rnet/base ]] || exec "$repo/scripts/enter.sh" env ${RNET_LINT_MO:+RNET_LINT_MO="$RNET_LINT_MO"} "$here/run.sh" "$@"

mo=${RNET_LINT_MO:-$("$repo/scripts/lint.sh" --build)}
cases=()
for name in "$@"; do
	cases+=("$here/cases/$name.rs")
done
((${#cases[@]})) || cases=("$here"/cases/*.rs)
exec python3 -B "$here/compile_fail.py" "$mo" samples/dummy.o "${cases[@]}"
