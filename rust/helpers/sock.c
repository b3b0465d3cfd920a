// SPDX-License-Identifier: GPL-2.0

#include <net/sock.h>

__rnet_helper struct net *rnet_helper_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

__rnet_helper u64 rnet_helper_sock_cookie(const struct sock *sk)
{
	return atomic64_read(&sk->sk_cookie);
}
