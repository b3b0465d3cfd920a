#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# build.sh: builds the kernel's own networking tests from the kernel's source
# into the cache, and prints the archive that the VM unpacks.  Nothing is built
# or copied into this repository, nor into the kernel's source.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

# shellcheck source=selftests/upstream/archive.sh
. "$(dirname "$0")/archive.sh"

# The programs, by the directory below tools/testing/selftests.
NET=(
	bind_bhash bind_timewait bind_wildcard cmsg_sender epoll_busy_poll fin_ack_lat
	getsockopt_iter icmp_rfc4884 io_uring_zerocopy_tx ip_defrag ip_local_port_range
	ipv6_flowlabel ipv6_flowlabel_mgr ipv6_fragmentation ipsec msg_zerocopy nettest
	proc_net_pktgen psock_fanout psock_snd psock_tpacket reuseaddr_conflict
	reuseaddr_ports_exhausted reuseport_addr_any reuseport_bpf reuseport_bpf_cpu
	reuseport_bpf_numa reuseport_dualstack rxtimestamp sctp_hello sk_bind_sendto_listen
	sk_connect_zero_addr skf_net_off sk_so_peek_off so_incoming_cpu so_netns_cookie
	so_rcv_listener socket stress_reuseport_listen tap tcp_fastopen_backup_key tcp_inq
	tcp_mmap tcp_port_share tfo timestamping tls txring_overwrite txtimestamp
	udpgso udpgso_bench_rx udpgso_bench_tx udp_splice_checksum
)
MPTCP=(mptcp_connect mptcp_diag mptcp_inq mptcp_sockopt pm_nl_ctl)
NETFILTER=(connect_close conntrack_dump_flush conntrack_reverse_clash nf_queue sctp_collision udpclash)
TCP_AO=(connect connect-deny icmps-accept icmps-discard key-management restore rst
	self-connect seq-ext setsockopt-closed unsigned-md5)
TCP_AO=("${TCP_AO[@]/%/_ipv4}" "${TCP_AO[@]/%/_ipv6}")

out=$RNET_CACHE/upstream/${kernel##*/}
tests=$out/tests

build() {
	programs net "${NET[@]}"
	programs net/mptcp "${MPTCP[@]}"
	programs net/netfilter "${NETFILTER[@]}"
	programs net/tcp_ao "${TCP_AO[@]}"
	# The scripts, and the files that they read.
	(cd "$src/tools/testing/selftests" && find net net/{mptcp,netfilter,lib,forwarding} kselftest -maxdepth 2 \
		\( -name '*.sh' -o -name '*.py' -o -name 'run_*' -o -name in_netns.sh \) -print0 |
		tar -c --null -T - | tar -x -C "$tests")
}

archive "the kernel's own tests" "$tests" tests.tar
