# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What every script here shares: messages with the time, errors with a next
# step, the cache, its lock, and the private namespace that set-up and tools
# run in.  Sourced, never run.

RNET_REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
RNET_CACHE=${RNET_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/rnet}
case $RNET_CACHE in /*) ;; *) RNET_CACHE=$PWD/$RNET_CACHE ;; esac
RNET_SYSROOT=$RNET_CACHE/sysroot
RNET_KERNELS=$RNET_CACHE/kernel
RNET_LOGS=$RNET_CACHE/log
RNET_T0=${RNET_T0:-$(date +%s)}
export RNET_REPO RNET_CACHE RNET_T0

# The kernel series and the distribution release that holds it.
# shellcheck disable=SC2034 # used by those who source this
RNET_SERIES=7.3 RNET_SUITE=trixie

# --- messages ---------------------------------------------------------------

say() {
	printf '[%4d s] %s\n' "$(($(date +%s) - RNET_T0))" "$*"
}

warn() {
	printf '[%4d s] note: %s\n' "$(($(date +%s) - RNET_T0))" "$*" >&2
}

# die CAUSE NEXT: one line with the cause, one with what to do about it.
die() {
	printf 'rnet: error: %s\n' "$1" >&2
	printf 'rnet:  next: %s\n' "${2:-see the lines above}" >&2
	exit "${3:-1}"
}

# step NAME SECONDS CMD...: run CMD with its output in a log, say what it does,
# how far it is and about how long it takes, and note the time it took.
step() {
	local name=$1 estimate=$2 log pid t0 now
	shift 2
	mkdir -p "$RNET_LOGS"
	log=$RNET_LOGS/${name//[^A-Za-z0-9]/-}.log
	t0=$(date +%s)
	say "$name: starts, takes about $estimate s"
	"$@" >"$log" 2>&1 &
	pid=$!
	while now=$(date +%s); kill -0 "$pid" 2>/dev/null; do
		if ((now - t0 > 0 && (now - t0) % 20 == 0)); then
			say "$name: $((now - t0)) of about $estimate s"
		fi
		sleep 1
	done
	if ! wait "$pid"; then
		explain_failure "$name" "$log"
		return 1
	fi
	now=$(date +%s)
	say "$name: done in $((now - t0)) s"
	printf '%s\t%s\t%d\n' "$(date -u +%FT%TZ)" "$name" "$((now - t0))" >>"$RNET_CACHE/times.log"
	if [[ -n ${RNET_TIMES:-} ]]; then
		printf '%s\t%d\t%d\n' "$name" "$((t0 - RNET_T0))" "$((now - t0))" >>"$RNET_TIMES"
	fi
}

# A log whose last line is "rnet: error:" explained itself already.
explain_failure() {
	local name=$1 log=$2 line cause next
	if line=$(grep -m1 '^rnet: error:' "$log"); then
		cause=${line#rnet: error: }
		next=$(sed -n 's/^rnet:  next: //p' "$log" | head -n1)
	elif grep -q 'No space left on device' "$log"; then
		cause="$name: the disk that holds $RNET_CACHE is full"
		next="free some space there or set RNET_CACHE to a larger disk"
	elif grep -qE "Could not resolve|Temporary failure resolving|Network is unreachable|Could not connect|Connection (failed|timed out|refused)|Unable to connect" "$log"; then
		cause="$name: the package mirror cannot be reached (no network?)"
		next="check the network and proxy (http_proxy), or name another Debian mirror with RNET_MIRROR=URL"
	elif grep -qE 'does not have a Release file|404 +Not Found' "$log"; then
		cause="$name: the package mirror does not have what is needed ($(grep -oE 'trixie[a-z-]*' "$log" | head -n1))"
		next="name a complete Debian mirror with RNET_MIRROR=URL, or try again later if it was being updated"
	else
		tail -n 15 "$log" >&2
		cause="$name failed; the last lines are above"
		next="read $log"
	fi
	printf 'rnet: error: %s\nrnet:  next: %s\n' "$cause" "$next" >&2
}

# --- checks -----------------------------------------------------------------

# need_disk MIB PURPOSE: refuse before a long step fails half-way.
need_disk() {
	local have
	mkdir -p "$RNET_CACHE" || die "cannot create the cache $RNET_CACHE" "set RNET_CACHE to a directory that you may write to"
	have=$(df -Pm "$RNET_CACHE" | awk 'NR == 2 { print $4 }')
	((have >= $1)) || die "no disk space: $2 needs about $1 MiB in $RNET_CACHE, $have MiB are free" \
		"free some space or set RNET_CACHE to a directory on a larger disk"
}

# --- the cache's lock ---------------------------------------------------------

# Users of the cache hold it shared, set-up and clean-cache hold it alone.  The
# descriptor is inherited, so that the lock lives as long as what was started.
lock_cache() {
	local how=$1
	[[ -z ${RNET_LOCKED:-} ]] || return 0
	mkdir -p "$RNET_CACHE" || die "cannot create the cache $RNET_CACHE" "set RNET_CACHE to a directory that you may write to"
	exec 9>>"$RNET_CACHE/lock" || die "cannot write to the cache $RNET_CACHE" "set RNET_CACHE to a directory of your own"
	if ! flock -n "$how" 9; then
		say "another rnet command uses the cache: waiting for it (at most 20 minutes)" >&2
		flock -w 1200 "$how" 9 || die "the cache $RNET_CACHE has been in use for 20 minutes" \
			"end the other command (a 'make shell' that is still open?) or set RNET_CACHE to another directory"
	fi
	export RNET_LOCKED=$how
}

unlock_cache() {
	exec 9>&-
	unset RNET_LOCKED
}

# --- becoming root, for real or in a user namespace ----------------------------

# Prints why neither works, or nothing.
ns_problem() {
	local user
	[[ $EUID -ne 0 ]] || return 0
	user=$(id -un)
	if ! command -v unshare >/dev/null; then
		echo "unshare (util-linux) is missing|install util-linux"
	elif ! unshare --help 2>/dev/null | grep -q -- --map-auto; then
		echo "this unshare is too old for an unprivileged set-up (util-linux 2.38 is needed)|run make as root (sudo -E make ...)"
	elif ! command -v newuidmap >/dev/null; then
		echo "newuidmap is missing, which an unprivileged set-up needs|sudo apt install uidmap, or run make as root"
	elif ! grep -qE "^($user|$EUID):" /etc/subuid 2>/dev/null || ! grep -qE "^($user|$EUID):" /etc/subgid 2>/dev/null; then
		echo "you are not root and $user has no subordinate ids|sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $user, or run make as root"
	elif ! unshare -U --map-root-user --map-auto -m true 2>/dev/null; then
		echo "you are not root and this kernel does not let $user create user namespaces|run make as root, or allow them (sysctl kernel.unprivileged_userns_clone=1; on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0)"
	fi
}

need_root_or_ns() {
	local problem
	problem=$(ns_problem)
	[[ -z $problem ]] || die "neither root nor user namespaces: ${problem%%|*}" "${problem#*|}"
}

# in_ns CMD...: as root with mounts of its own; in a user namespace if need be.
in_ns() {
	if [[ $EUID -eq 0 ]]; then
		unshare --mount --propagation private "$@"
	else
		unshare --user --map-root-user --map-auto --mount --propagation private "$@"
	fi
}

# mount_sysroot: only inside in_ns.  The repository, the cache, /tmp, whatever
# RNET_BIND lists (a:b:c), and the host's /proc, /dev and /sys (read-only)
# appear in the sysroot, each at its own path.
mount_sysroot() {
	local dir file list
	IFS=: read -ra list <<<"${RNET_BIND:-}"
	# The sysroot as it is, without what is mounted below: the VM's root.
	mount --bind "$RNET_SYSROOT" "$RNET_SYSROOT/mnt"
	for dir in /proc /dev /sys /tmp "$RNET_REPO" "$RNET_CACHE" "${list[@]}"; do
		[[ -n $dir && -d $dir ]] || continue
		mkdir -p "$RNET_SYSROOT$dir"
		mount --rbind "$dir" "$RNET_SYSROOT$dir"
	done
	mount -o remount,bind,ro,nosuid,nodev,noexec "$RNET_SYSROOT/sys" 2>/dev/null || true
	for file in /etc/resolv.conf /etc/hosts; do
		if [[ -e $file && -d $RNET_SYSROOT/etc ]]; then
			rm -f "$RNET_SYSROOT$file.rnet"
			[[ -f $RNET_SYSROOT$file && ! -L $RNET_SYSROOT$file ]] || { rm -f "$RNET_SYSROOT$file"; : >"$RNET_SYSROOT$file"; }
			mount --bind "$(readlink -f "$file")" "$RNET_SYSROOT$file"
		fi
	done
}

# in_sysroot CMD...: chroot with the tools' PATH; only after mount_sysroot.
in_sysroot() {
	HOME=/root PATH=/usr/lib/llvm-19/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		LC_ALL=C.UTF-8 TMPDIR=/tmp chroot "$RNET_SYSROOT" "$@"
}

# --- which kernel ---------------------------------------------------------------

# kernel_dir: the directory of the prepared kernel that KVER (or the default)
# names, or nothing.  KVER is 7.3.4, a whole release or a Debian version.
kernel_dir() {
	local dir
	if [[ -z ${KVER:-} ]]; then
		[[ ! -e $RNET_KERNELS/current/.complete ]] || readlink -f "$RNET_KERNELS/current"
		return 0
	fi
	for dir in "$RNET_KERNELS/$KVER" "$RNET_KERNELS/$KVER"+*; do
		if [[ -e $dir/.complete ]]; then
			readlink -f "$dir"
			return 0
		fi
	done
	for dir in "$RNET_KERNELS"/*/; do
		if [[ -e $dir/.complete && $(cat "$dir/debian-version") == "$KVER" ]]; then
			readlink -f "$dir"
			return 0
		fi
	done
}

# build_key RELEASE [KDIR]: names the build output of this checkout for a kernel.
build_key() {
	local sum
	sum=$(printf '%s %s' "$RNET_REPO" "${2:-}" | cksum)
	printf '%s-%08x\n' "$1" "${sum%% *}"
}
