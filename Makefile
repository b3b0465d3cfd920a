# SPDX-License-Identifier: GPL-2.0
#
# What a person types; 'make help' lists it. The work is in scripts/ and
# selftests/. What the kernel's build system builds is in Kbuild.

SHELL := /bin/bash
export RNET_CACHE RNET_MIRROR KVER KDIR MODDIR INSTALL_MOD_PATH W V LLVM RUSTC

.PHONY: all help setup run check check-debug check-upstream \
	check-programs check-long bench tools sockmap doc rustdoc install shell fmt fmt-check clippy clean clean-cache

all:
	@scripts/build.sh

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

#: make              build the modules for the kernel that runs here, where that is
#:                   possible, else for the stock kernel; says how to load them
#: make run          main job: build, boot the stock kernel in a VM, real sockets
#:                   through lo and rlo side by side
#: make check        all tests; the last line counts them
#: make check-debug  the same tests and more on a kernel with KASAN, lockdep, fault injection
#:                   and the like, which is built first (about half an hour on two cores)
#: make check-upstream  the kernel's own networking tests, with lo and with rlo
#: make check-programs  PostgreSQL, nginx, Redis, DNS and sftp over lo and over rlo
#: make check-long   these, endurance and fault injection in full, some hours
#: make bench        all measurements (longer than make run)
#: make shell        a shell in the VM, modules loaded, network tools inside
#: make tools        the programs in tools/: rsoftnet, the viewer of rsoftnet.ko
#: make sockmap      samples/sockmap: local TCP connections from socket to socket (BPF)
#: make doc          documentation and rustdoc as HTML
#: make install      copy the modules to the kernel's updates directory, depmod
#: make fmt          format the Rust code (fmt-check only looks)
#: make clippy       the kernel's clippy over all crates
#: make setup        only prepare sysroot and stock kernel
#: make clean        remove what was built; make clean-cache: the sysroot and kernels too
#:
#: KDIR=DIR          build for that kernel tree (CONFIG_RUST=y), with your own tools
#: KVER=7.3.4        choose the stock kernel (default: the newest 7.3 that the mirror has
#:                   when the cache is made)
#: RNET_CACHE=DIR    what is kept between runs (default ~/.cache/rnet, about 5 GB)
#: RNET_MIRROR=URL   Debian mirror (default: your apt's, or Debian's)
#: MODDIR=DIR        where built modules are put (default: in the cache)
#: W=1 V=1           as in the kernel's build

setup:
	@scripts/setup.sh

# The VM boots the stock kernel, whatever runs here.
run bench check check-debug check-upstream check-programs check-long shell: export RNET_T0 := $(shell date +%s)
run:
	@scripts/build.sh --stock && selftests/bench/run.sh

bench:
	@scripts/build.sh --stock && selftests/bench/run.sh --all && selftests/bench/run.sh --rigb

check:
	@scripts/build.sh --stock && selftests/run-all.sh

check-debug:
	@scripts/build.sh --debug && selftests/run-all.sh --kernel debug

check-upstream:
	@scripts/build.sh --stock && selftests/upstream/run.sh

check-programs:
	@scripts/build.sh --stock && selftests/programs/run.sh

check-long:
	@scripts/build.sh --stock && selftests/run-long.sh

shell:
	@scripts/build.sh --stock && { selftests/vm/run --shell --module all || [ $$? -lt 124 ]; }

tools:
	@scripts/tools.sh

sockmap:
	@scripts/sockmap.sh

doc:
	@scripts/doc.sh

rustdoc:
	@scripts/rustdoc.sh

install:
	@scripts/install.sh

clippy:
	@scripts/build.sh --stock --clippy

fmt:
	@scripts/fmt.sh

fmt-check:
	@scripts/fmt.sh --check

clean:
	@scripts/clean-cache.sh --builds

clean-cache:
	@scripts/clean-cache.sh
