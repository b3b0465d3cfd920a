#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ports.sh [PATTERN...]: the kernel's own tests for NIC drivers on a port with igb
# and on one with rigb: rigb has to pass what igb passes (KTAP; the last line counts).
# A pattern names tests: 'hw/rss*'.  See README.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=scripts/lib.sh
. "$here/../../scripts/lib.sh"

# Not those that need devices of another kind (devlink, devmem, psp, macsec, Ethernet MAC merge).
TESTS=(
	ping.py stats.py queues.py ring_reconfig.py napi_id.py napi_threaded.py netpoll_basic.py gro.py hds.py
	shaper.py so_txtime.py xdp.py
	hw/csum.py hw/ethtool.sh hw/ethtool_rmon.sh hw/ethtool_std_stats.sh hw/irq.py hw/loopback.sh hw/nic_timestamp.py
	hw/ntuple.py hw/rss_api.py hw/rss_ctx.py hw/rss_drv.py hw/rss_input_xfrm.py hw/tso.py hw/uso.py hw/xdp_metadata.py
)
chosen=()
[[ ${1:-} != -h && ${1:-} != --help ]] || { sed -n '4,6s/^# \{0,1\}//p' "$0"; exit 0; }
for test in "${TESTS[@]}"; do
	for pattern in "${@:-*}"; do
		# shellcheck disable=SC2053 # a pattern
		if [[ $test == $pattern ]]; then
			chosen+=("$test")
			break
		fi
	done
done
((${#chosen[@]})) || die "no test is called ${*@Q}" "the list is in $0" 2

archive=$("$here/build-ports.sh") || exit 1
out=$RNET_CACHE/out/ports-$$
mkdir -p "$out" || die "cannot write to $RNET_CACHE" "set RNET_CACHE to a directory of your own"
say "logs are in $out; ${#chosen[@]} tests on two drivers, about $((${#chosen[@]} * 50)) s"
cp "$archive" "$out/"
"$here/../vm/run" --memory 3G --time-limit 7200 --out "$out" --append=iomem=relaxed \
	--qemu-args="$("$RNET_REPO/scripts/enter.sh" python3 -B "$here/../lib/port.py")" -- \
	python3 -B "$here/ports_guest.py" "${chosen[@]}" | while IFS= read -r line; do say "$line"; done
status=${PIPESTATUS[0]}
rm -f "$out/ports.tar"
"$RNET_REPO/scripts/enter.sh" python3 -B "$here/ports_compare.py" "$out" "$status"
