#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tools.sh [--check|--fetch]: builds the programs in tools/ with the sysroot's
# cargo, statically linked, so that they run on any machine and in the VM.  --check runs
# clippy, whose complaints are errors, and their own tests; --fetch only fetches what
# they are made from.  Crates come from the registry that cargo is configured for: the file config.toml of your
# CARGO_HOME is used, and their versions are those in tools/Cargo.lock.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

case ${1:-} in
'' | --check | --fetch) ;;
*) die "tools.sh: unknown option $1" "it knows --check and --fetch" ;;
esac

# What cargo is told on the host holds in the sysroot: registries, certificates.
home=$RNET_CACHE/cargo
host_settings() {
	# Inside it, those from outside are here already.
	[[ ! -e /.rnet/base ]] || return 0
	local file from=${CARGO_HOME:-${HOME:-/root}/.cargo}
	mkdir -p "$home"
	rm -f "$home/config.toml" "$home/ca.pem"
	for file in "$from/config.toml" "$from/config"; do
		if [[ -f $file ]]; then
			cp "$file" "$home/config.toml"
			break
		fi
	done
	for file in "${CARGO_HTTP_CAINFO:-}" "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
		if [[ -n $file && -f $file ]]; then
			cp "$file" "$home/ca.pem"
			break
		fi
	done
}

cargo_in_sysroot() { # COMMAND ARGS...
	local ca=() command=$1
	shift
	[[ ! -f $home/ca.pem ]] || ca=("CARGO_HTTP_CAINFO=$home/ca.pem" "SSL_CERT_FILE=$home/ca.pem")
	# Only the programs are linked statically, not what builds them.
	env -u RUSTC -u RUSTC_WRAPPER -u CARGO_BUILD_TARGET -u RUSTFLAGS "${ca[@]}" CARGO_HOME="$home" \
		CARGO_TARGET_DIR="$target" CARGO_TERM_COLOR=never CARGO_NET_RETRY=3 \
		CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS='-C target-feature=+crt-static' \
		"$RNET_REPO/scripts/enter.sh" cargo "$command" --locked --target "$triple" \
		--manifest-path "$RNET_REPO/tools/Cargo.toml" "$@"
}

# The registry is asked only when a crate is not here yet.
fetch() {
	local cause log=$RNET_LOGS/crates.log
	mkdir -p "$RNET_LOGS"
	if cargo_in_sysroot fetch --offline >/dev/null 2>&1; then
		return
	fi
	say "fetching crates: about 20 s"
	cargo_in_sysroot fetch >"$log" 2>&1 && return
	# What libcurl says has its number in front: "[7] Could not connect to server".
	cause=$(sed -nE 's/^ *\[[0-9]+\] //p' "$log" | tail -n 1)
	if [[ -n $cause ]]; then
		die "the registry of crates cannot be reached: $cause" \
			"check the network and proxy (https_proxy), or name another registry in the config.toml of your CARGO_HOME; the log is $log"
	elif grep -q 'lock file .* needs to be updated' "$log"; then
		die "tools/Cargo.lock does not fit tools/*/Cargo.toml" "run 'cargo update --workspace' in tools/ and commit the lock file"
	fi
	tail -n 15 "$log" >&2
	die "the crates of tools/ could not be fetched; the last lines are above" "read $log"
}

"$RNET_REPO/scripts/sysroot.sh" need cargo || exit 1
triple=x86_64-unknown-linux-gnu
key=$(build_key tools)
target=$RNET_CACHE/build/$key
out=$RNET_CACHE/tools/$key
mkdir -p "$target" "$out"
exec 8>"$target.lock"
flock 8
host_settings
fetch

case ${1:-} in
--check)
	cargo_in_sysroot clippy --offline --workspace --all-targets -- -Dwarnings
	cargo_in_sysroot test --offline --workspace
	;;
'')
	say "building tools/"
	cargo_in_sysroot build --offline --workspace --release ||
		die "the build of tools/ failed" "the first error is above"
	for file in "$target/$triple/release"/*; do
		[[ -f $file && -x $file ]] || continue
		cmp -s "$file" "$out/${file##*/}" || cp "$file" "$out/${file##*/}"
		say "${file##*/}: $out/${file##*/}"
	done
	;;
esac
