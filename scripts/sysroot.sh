#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the sysroot: a Debian tree with the tool chain of the stock kernel, the
# VM and everything that runs inside it.  Called by setup.sh, as root or inside
# a user namespace, with the cache locked:
#
#	sysroot.sh base         a minimal Debian with the sources of packages
#	sysroot.sh toolchain    what preparing a kernel needs
#	sysroot.sh tools        the rest
#	sysroot.sh state        prints what is there: none, base, toolchain, tools
#
# What only some tests need is installed by them, from outside, each time they
# run (nothing is done when it is there):
#
#	sysroot.sh need programs    servers, for selftests/programs
#	sysroot.sh need upstream    for selftests/upstream
#	sysroot.sh need cargo       for tools
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/packages.sh
. "$(dirname "$0")/packages.sh"

# A step is done when its stamp holds the key of what it installed.
key() {
	case $1 in
	base) echo "1 $RNET_SUITE ${PKG_BASE[*]} ${DPKG_EXCLUDE[*]}" ;;
	toolchain) echo "$(key base) ${PKG_TOOLCHAIN[*]}" ;;
	tools) echo "$(key toolchain) ${PKG_TOOLS[*]}" ;;
	programs) echo "$(key base) ${PKG_PROGRAMS[*]}" ;;
	upstream) echo "$(key base) ${PKG_UPSTREAM[*]}" ;;
	cargo) echo "$(key base) ${PKG_CARGO[*]}" ;;
	esac | cksum
}

is_done() {
	[[ -e $RNET_SYSROOT/.rnet/$1 && $(cat "$RNET_SYSROOT/.rnet/$1") == "$(key "$1")" ]]
}

mark_done() {
	key "$1" >"$RNET_SYSROOT/.rnet/$1"
}

state() {
	local step last=none
	for step in base toolchain tools; do
		is_done "$step" || break
		last=$step
	done
	echo "$last"
}

# The mirror: RNET_MIRROR, else the one that a Debian host's apt uses, else
# mmdebstrap's own default (prints nothing).
mirror() {
	if [[ -n ${RNET_MIRROR:-} ]]; then
		echo "$RNET_MIRROR"
	elif command -v apt-get >/dev/null; then
		# shellcheck disable=SC2016 # apt's own variables
		apt-get indextargets --format '$(LABEL)|$(CREATED_BY)|$(SITE)' 2>/dev/null |
			awk -F'|' '$1 == "Debian" && $2 == "Packages" { print $3; exit }'
	fi
}

# The settings of the host's apt that decide whether a mirror can be reached.
host_apt_options() {
	command -v apt-config >/dev/null || return 0
	apt-config dump 2>/dev/null |
		grep -E '^Acquire::((https?|ftp)::Proxy|https?::(Verify|CaInfo|CAInfo)|Check-(Valid-Until|Date)|Retries|ForceIPv4)[^ ]* "[^"]+";' || true
}

# add_backports DIR: the source of kernels, derived from the source that is
# already inside the sysroot (mmdebstrap's setup hook: before apt-get update).
add_backports() {
	local etc=$1/etc/apt file
	for file in "$etc"/sources.list "$etc"/sources.list.d/*.list; do
		[[ -s $file ]] || continue
		sed -n "s/ $RNET_SUITE / $RNET_SUITE-backports /p" "$file" | head -n1 >"$etc/sources.list.d/rnet-backports.list"
		[[ ! -s $etc/sources.list.d/rnet-backports.list ]] || return 0
	done
	for file in "$etc"/sources.list.d/*.sources; do
		[[ -s $file ]] || continue
		# The first stanza, for the other suite.
		awk -v suite="$RNET_SUITE-backports" '/^$/ { exit } /^Suites:/ { $0 = "Suites: " suite } { print }' \
			"$file" >"$etc/sources.list.d/rnet-backports.sources"
		return 0
	done
	die "no $RNET_SUITE source in the new sysroot" "name a Debian mirror with RNET_MIRROR=URL"
}

make_base() {
	local url opt tmp=$RNET_SYSROOT.new args=()
	url=$(mirror)
	echo "mirror: ${url:-the default of mmdebstrap}"
	for opt in "${DPKG_EXCLUDE[@]}"; do
		args+=(--dpkgopt="path-exclude=$opt")
	done
	while read -r opt; do
		[[ -z $opt ]] || args+=(--aptopt="$opt")
	done < <(host_apt_options)
	rm -rf "$tmp"
	mkdir -p "$tmp"
	mmdebstrap --variant=apt --mode=root --components=main,non-free \
		--include="$(IFS=,; echo "${PKG_BASE[*]}")" \
		--dpkgopt=force-unsafe-io "${args[@]}" \
		--aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
		--aptopt='APT::Sandbox::User "root"' \
		--setup-hook="'$RNET_REPO/scripts/sysroot.sh' add-backports \"\$1\"" \
		--skip=cleanup/apt \
		"$RNET_SUITE" "$tmp" ${url:+"$url"}
	mkdir -p "$tmp/.rnet"
	rm -rf "$RNET_SYSROOT"
	mv "$tmp" "$RNET_SYSROOT"
	mark_done base
}

install() {
	local step=$1
	shift
	# Lists older than a day may name packages that the mirror has replaced.
	if [[ -n $(find "$RNET_SYSROOT/var/lib/apt/lists" -maxdepth 0 -mtime +0) ]]; then
		in_sysroot apt-get -q update
	fi
	in_sysroot dpkg --configure -a
	DEBIAN_FRONTEND=noninteractive in_sysroot apt-get -qy \
		-o Dpkg::Use-Pty=0 --no-install-recommends install "$@"
	in_sysroot apt-get clean
	mark_done "$step"
}

# need STEP: installs it with the cache locked, unless it is there.
need() {
	[[ $(state) == tools ]] || "$RNET_REPO/scripts/setup.sh"
	! is_done "$1" || return 0
	need_root_or_ns
	need_disk 1500 "the packages of $1"
	lock_cache -x
	is_done "$1" || step "sysroot: packages of $1" 60 in_ns "$RNET_REPO/scripts/sysroot.sh" "$1"
}

# Nothing is started by an installation, and no database made.
start_nothing() {
	printf '#!/bin/sh\nexit 101\n' >"$RNET_SYSROOT/usr/sbin/policy-rc.d"
	chmod 755 "$RNET_SYSROOT/usr/sbin/policy-rc.d"
	mkdir -p "$RNET_SYSROOT/etc/postgresql-common"
	echo 'create_main_cluster = false' >"$RNET_SYSROOT/etc/postgresql-common/createcluster.conf"
}

case ${1:-} in
base) is_done base || make_base ;;
toolchain) is_done toolchain || install toolchain "${PKG_TOOLCHAIN[@]}" ;;
tools) is_done tools || install tools "${PKG_TOOLS[@]}" ;;
programs) mount_sysroot && start_nothing && install programs "${PKG_PROGRAMS[@]}" ;;
upstream) mount_sysroot && start_nothing && install upstream "${PKG_UPSTREAM[@]}" ;;
cargo) mount_sysroot && install cargo "${PKG_CARGO[@]}" ;;
need) need "$2" ;;
state) state ;;
mirror) mirror ;;
add-backports) add_backports "$2" ;;
*) die "usage: sysroot.sh base|toolchain|tools|state|need programs|need upstream|need cargo" "run 'make setup', which calls this" ;;
esac
