#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# install.sh: copies the built modules to the updates directory of the kernel
# that they were built for and runs depmod. INSTALL_MOD_PATH= puts a directory
# before /lib/modules, as in the kernel's own modules_install. They are not
# signed: README says what Secure Boot needs.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

mapfile -t facts < <("$RNET_REPO/scripts/build.sh" --print-key | tail -n5)
release=${facts[0]} moddir=${facts[4]}
target=${INSTALL_MOD_PATH:-}/lib/modules/$release
if [[ -z ${INSTALL_MOD_PATH:-} && ! -d $target/kernel ]]; then
	die "the kernel $release, for which the modules are built, is not installed here (this machine runs $(uname -r))" \
		"install that kernel, or name another tree with INSTALL_MOD_PATH=DIR or KDIR=DIR; 'make run' needs no installation"
fi
compgen -G "$moddir/*.ko" >/dev/null || die "no modules are built for $release" "run 'make' first"
mkdir -p "$target/updates/rnet" 2>/dev/null || true
[[ -w $target/updates/rnet ]] || die "you may not write to $target" "run it as root: sudo -E make install"
install -m 644 "$moddir"/*.ko "$target/updates/rnet/"
if command -v depmod >/dev/null; then
	depmod ${INSTALL_MOD_PATH:+-b "$INSTALL_MOD_PATH"} "$release"
else
	warn "there is no depmod here: run 'depmod $release' on the machine that boots it"
fi
say "installed $(cd "$moddir" && echo *.ko) to $target/updates/rnet; load one: sudo modprobe rlo"
