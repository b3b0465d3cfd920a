#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# enter.sh CMD...: runs CMD inside the sysroot, as root there (the real one, or
# that of a user namespace).  The repository, the cache and /tmp are at their
# own paths, and so is each directory in RNET_BIND (a:b:c); the working
# directory and the exit status are kept.  The sysroot must exist: 'make setup'.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

case ${1:-} in
--inner)
	shift
	mount_sysroot
	# What names files of the host, or changes how its programs run.
	unset LD_PRELOAD LD_LIBRARY_PATH PYTHONPATH PYTHONHOME PERL5LIB GIT_DIR
	# shellcheck disable=SC2016 # expands in the sysroot
	HOME=/root PATH=/usr/lib/llvm-19/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		LC_ALL=C.UTF-8 TMPDIR=/tmp \
		exec chroot "$RNET_SYSROOT" /bin/sh -c 'cd "$1" 2>/dev/null || cd /; shift; exec "$@"' sh "$PWD" "$@"
	;;
'') die "usage: enter.sh CMD..." "name the command to run inside the sysroot" ;;
esac

[[ -e $RNET_SYSROOT/.rnet/base ]] || die "there is no sysroot in $RNET_CACHE yet" "run 'make setup' first"
# Already inside (a script of ours that calls another): just run it.
[[ ! -e /.rnet/base ]] || exec "$@"
need_root_or_ns
lock_cache -s
if [[ $EUID -eq 0 ]]; then
	exec unshare --mount --propagation private "$RNET_REPO/scripts/enter.sh" --inner "$@"
else
	exec unshare --user --map-root-user --map-auto --mount --propagation private "$RNET_REPO/scripts/enter.sh" --inner "$@"
fi
