// SPDX-License-Identifier: GPL-2.0
/*
 * What one end of a local TCP connection sends is put straight into the receive
 * queue of the other end: no segments, no device.
 *
 * established()  puts both ends of local connections of a cgroup into a map
 * message()      looks for the other end of a message's connection there
 * unread()       counts the sockets that have not read yet what they were given
 *
 * The kernel gives a reader what was redirected before what came as segments. So
 * a direction that has once sent segments must go on with them, or bytes would
 * overtake others: each direction begins redirected, or never is.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "counts.h"

#define AF_INET		2
#define MOST		65536

/* An end of a connection, and whose it is: addresses repeat in other namespaces. */
struct end {
	__u64 netns;
	__u32 local[4], remote[4];
	__u32 local_port, remote_port;
};

/* What is known of an end. */
struct flow {
	__u32 first;	/* the sequence number of its first byte */
	__u8 begun;	/* it has sent something */
	__u8 segments;	/* it sends segments from now on */
};

/* The members of the kernel's own that are read here; the rest is found at load time. */
struct list_head {
	struct list_head *next;
} __attribute__((preserve_access_index));

struct sk_psock {
	struct list_head ingress_msg;
} __attribute__((preserve_access_index));

struct sock {
	void *sk_user_data;
} __attribute__((preserve_access_index));

struct tcp_sock {
	__u32 write_seq;
} __attribute__((preserve_access_index));

struct bpf_iter__sockmap {
	__bpf_md_ptr(void *, meta);
	__bpf_md_ptr(void *, map);
	__bpf_md_ptr(void *, key);
	__bpf_md_ptr(struct sock *, sk);
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, MOST);
	__type(key, struct end);
	__type(value, __u64);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MOST);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct end);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

/* Set by the loader before it goes: nothing is redirected any more. */
volatile __u32 leaving;
/* Written by unread(). */
volatile __u32 sockets_unread;

static __always_inline void count(__u32 which, __u64 number)
{
	__u64 *value = bpf_map_lookup_elem(&counts, &which);

	if (value)
		*value += number;
}

/* IPv4 is written as IPv6, as the other end may be a socket of that family. */
static __always_inline void as_mapped(__u32 *address, __u32 four)
{
	address[0] = address[1] = 0;
	address[2] = bpf_htonl(0xffff);
	address[3] = four;
}

/*
 * The end that a context (bpf_sock_ops, sk_msg_md) belongs to; ports in host order. All
 * of it is read at once, as the verifier refuses an address in it that depends on a branch.
 */
#define END_OF(context, end) do {						\
	__u32 four[2] = { (context)->local_ip4, (context)->remote_ip4 };	\
										\
	(end)->netns = bpf_get_netns_cookie(context);				\
	(end)->local_port = (context)->local_port;				\
	(end)->remote_port = bpf_ntohl((context)->remote_port);			\
	(end)->local[0] = (context)->local_ip6[0];				\
	(end)->local[1] = (context)->local_ip6[1];				\
	(end)->local[2] = (context)->local_ip6[2];				\
	(end)->local[3] = (context)->local_ip6[3];				\
	(end)->remote[0] = (context)->remote_ip6[0];				\
	(end)->remote[1] = (context)->remote_ip6[1];				\
	(end)->remote[2] = (context)->remote_ip6[2];				\
	(end)->remote[3] = (context)->remote_ip6[3];				\
	if ((context)->family == AF_INET) {					\
		as_mapped((end)->local, four[0]);				\
		as_mapped((end)->remote, four[1]);				\
	}									\
} while (0)

/* How the other end of this connection calls itself. */
static __always_inline void other_end(struct end *other, const struct end *end)
{
	other->netns = end->netns;
	__builtin_memcpy(other->local, end->remote, sizeof(other->local));
	__builtin_memcpy(other->remote, end->local, sizeof(other->remote));
	other->local_port = end->remote_port;
	other->remote_port = end->local_port;
}

/* 127.0.0.0/8, or one address at both ends: nothing else has to leave this host. */
static __always_inline int is_local(const struct end *end)
{
	if (!end->local[0] && !end->local[1] && end->local[2] == bpf_htonl(0xffff) &&
	    (bpf_ntohl(end->local[3]) >> 24) == 127 && (bpf_ntohl(end->remote[3]) >> 24) == 127)
		return 1;
	return end->local[0] == end->remote[0] && end->local[1] == end->remote[1] &&
	       end->local[2] == end->remote[2] && end->local[3] == end->remote[3];
}

static __always_inline void add(struct bpf_sock_ops *ops)
{
	struct flow fresh = { .first = ops->snd_nxt };
	struct end end;

	END_OF(ops, &end);
	if (leaving || !is_local(&end))
		return;
	if (bpf_map_update_elem(&flows, &end, &fresh, BPF_ANY))
		return;
	if (bpf_sock_hash_update(ops, &sockets, &end, BPF_ANY)) {
		bpf_map_delete_elem(&flows, &end);
		return;
	}
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	count(CONNECTIONS, 1);
}

SEC("sockops")
int established(struct bpf_sock_ops *ops)
{
	struct end end;

	switch (ops->op) {
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		/* TCP Fast Open: there are segments under way already. */
		if (!ops->data_segs_out)
			add(ops);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		add(ops);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		/* The kernel itself takes a socket out of the other map, when it is closed. */
		if (ops->args[1] == BPF_TCP_CLOSE) {
			END_OF(ops, &end);
			bpf_map_delete_elem(&flows, &end);
		}
		break;
	}
	return 1;
}

static __always_inline int redirect(struct sk_msg_md *msg, const struct end *end, struct flow *flow)
{
	struct bpf_sock *sk = msg->sk;
	struct tcp_sock *tcp;
	struct end other;

	if (flow->segments || leaving || !sk)
		return 0;
	/* TCP knows the error of one that has ended. */
	if (sk->state != BPF_TCP_ESTABLISHED && sk->state != BPF_TCP_CLOSE_WAIT)
		return 0;
	if (!flow->begun) {
		/*
		 * A send() that began before the connection was there (Fast Open without a
		 * cookie, another thread) has not seen the map.
		 */
		flow->begun = 1;
		tcp = bpf_skc_to_tcp_sock(sk);
		if (!tcp || tcp->write_seq != flow->first)
			return 0;
	}
	other_end(&other, end);
	/* Fails where the other end is not in the map, or not yet. */
	return bpf_msg_redirect_hash(msg, &sockets, &other, BPF_F_INGRESS) == SK_PASS;
}

SEC("sk_msg")
int message(struct sk_msg_md *msg)
{
	struct flow *flow;
	struct end end;

	END_OF(msg, &end);
	flow = bpf_map_lookup_elem(&flows, &end);
	if (flow && redirect(msg, &end, flow)) {
		count(REDIRECTED, 1);
		count(REDIRECTED_BYTES, msg->size);
	} else {
		if (flow)
			flow->segments = 1;
		count(PASSED, 1);
		count(PASSED_BYTES, msg->size);
	}
	return SK_PASS;
}

SEC("iter/sockmap")
int unread(struct bpf_iter__sockmap *context)
{
	struct sock *sk = context->sk;
	struct sk_psock *psock;
	struct list_head *list;

	if (!sk)
		return 0;
	/* What belongs to the map; the lowest bits are flags. A list without entries points to itself. */
	psock = (void *)((__u64)BPF_CORE_READ(sk, sk_user_data) & ~7ULL);
	if (!psock)
		return 0;
	list = (void *)psock + bpf_core_field_offset(psock->ingress_msg);
	if (BPF_CORE_READ(psock, ingress_msg.next) != list)
		__sync_fetch_and_add(&sockets_unread, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
