// SPDX-License-Identifier: GPL-2.0

#include <linux/capability.h>
#include <linux/nsproxy.h>
#include <linux/rtnetlink.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

/*
 * net_generic() for ids that the namespace may not know yet. The caller's
 * pointer stays good: an area is freed a grace period after its owner is gone.
 */
__rnet_helper void *rnet_helper_net_generic(const struct net *net, unsigned int id)
{
	struct net_generic *ng;
	void *ptr;

	rcu_read_lock();
	ng = rcu_dereference(net->gen);
	ptr = id < ng->s.len ? ng->ptr[id] : NULL;
	rcu_read_unlock();
	return ptr;
}

/* The same for a caller that is an RCU reader of any kind. */
__rnet_helper void *rnet_helper_net_generic_rcu(const struct net *net, unsigned int id)
{
	struct net_generic *ng = rcu_dereference_check(net->gen, rcu_read_lock_any_held());

	return id < ng->s.len ? ng->ptr[id] : NULL;
}

__rnet_helper struct net *rnet_helper_maybe_get_net(struct net *net)
{
	return maybe_get_net(net);
}

__rnet_helper void rnet_helper_put_net(struct net *net)
{
	put_net(net);
}

__rnet_helper struct net *rnet_helper_init_net(void)
{
	return &init_net;
}

__rnet_helper unsigned int rnet_helper_net_inum(const struct net *net)
{
	return net->ns.inum;
}

__rnet_helper struct net *rnet_helper_current_net(void)
{
	return current->nsproxy->net_ns;
}

__rnet_helper void rnet_helper_net_rwsem_down_read(void)
{
	down_read(&net_rwsem);
}

__rnet_helper void rnet_helper_net_rwsem_up_read(void)
{
	up_read(&net_rwsem);
}

/* With net_rwsem held. */
__rnet_helper struct net *rnet_helper_net_find(unsigned int inum)
{
	struct net *net;

	for_each_net(net) {
		if (net->ns.inum == inum)
			return net;
	}
	return NULL;
}

__rnet_helper bool rnet_helper_net_capable(const struct net *net, int cap)
{
	return ns_capable(net->user_ns, cap);
}

__rnet_helper struct net_device *rnet_helper_net_loopback_dev(const struct net *net)
{
	return net->loopback_dev;
}

__rnet_helper void rnet_helper_net_set_loopback_dev(struct net *net,
						    struct net_device *dev)
{
	net->loopback_dev = dev;
}
