# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the sysroot holds, by the step that installs it.  Sourced.
# shellcheck disable=SC2034 # used by sysroot.sh

# Enough to fetch and unpack a kernel.
PKG_BASE=(ca-certificates xz-utils)

# Enough to prepare a kernel's build directory (and to make its Rust metadata).
PKG_TOOLCHAIN=(
	make gcc libc6-dev bc bison flex libelf-dev libssl-dev dwarves cpio kmod zstd
	perl python3 rustc rust-src bindgen clang-19 llvm-19
)

# Everything else: the linker for bitcode shims, formatting and lints, the VM
# and what runs inside it, documentation, checks of shell code and spelling.
PKG_TOOLS=(
	lld-19 rustfmt rust-clippy git
	qemu-system-x86 busybox-static
	netbase iproute2 iputils-ping iputils-arping ethtool tcpdump iperf3 netperf nftables
	libbpf-dev jq openssl
	bpftrace bpftool socat strace lksctp-tools conntrack libcap2-bin procps mount e2fsprogs
	python3-sphinx python3-sphinx-rtd-theme python3-docutils
	codespell shellcheck
)

# On demand (selftests/programs): real servers and what loads them.
PKG_PROGRAMS=(
	postgresql nginx-light wrk curl redis-server redis-tools nsd dnsperf
	openssh-client openssh-server openssh-sftp-server nfs-kernel-server
)

# On demand (selftests/upstream): what the kernel's own tests are built with and call.
PKG_UPSTREAM=(
	libnuma-dev libcap-dev libmnl-dev iptables netcat-openbsd psmisc python3-yaml
	netsniff-ng # mausezahn
)

# On demand (scripts/tools.sh): what the programs in tools/ are built with.
PKG_CARGO=(cargo)

# Not unpacked: what no build and no test reads (a third of the time and space).
DPKG_EXCLUDE=(
	'/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*'
	'/usr/share/lintian/*' '/usr/share/doc/*' '/usr/share/help/*'
	'/usr/share/bash-completion/*' '/usr/share/zsh/*' '/usr/share/gtk-doc/*'
	'/usr/share/gcc/python/*' '/usr/share/icons/*'
	'/usr/lib/llvm-19/lib/libLLVM*.a' '/usr/lib/llvm-19/lib/libclang*.a'
	'/usr/lib/llvm-19/include/llvm/*'
)
