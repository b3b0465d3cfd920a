// SPDX-License-Identifier: GPL-2.0

#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <net/netdev_lock.h>

__rnet_helper struct net_device *
rnet_helper_alloc_netdev(int sizeof_priv, const char *name,
			 unsigned char name_assign_type,
			 void (*setup)(struct net_device *),
			 unsigned int txqs, unsigned int rxqs)
{
	return alloc_netdev_mqs(sizeof_priv, name, name_assign_type, setup, txqs, rxqs);
}

__rnet_helper void *rnet_helper_netdev_priv(const struct net_device *dev)
{
	return netdev_priv(dev);
}

__rnet_helper struct net *rnet_helper_dev_net(const struct net_device *dev)
{
	return dev_net(dev);
}

__rnet_helper void rnet_helper_dev_net_set(struct net_device *dev, struct net *net)
{
	dev_net_set(dev, net);
}

__rnet_helper bool rnet_helper_netdev_is_registered(const struct net_device *dev)
{
	return dev->reg_state == NETREG_REGISTERED;
}

__rnet_helper bool rnet_helper_netdev_can_hold(const struct net_device *dev)
{
	return dev->reg_state == NETREG_REGISTERED || dev->reg_state == NETREG_UNREGISTERING;
}

__rnet_helper bool rnet_helper_netdev_has_valid_addr(const struct net_device *dev)
{
	return is_valid_ether_addr(dev->dev_addr);
}

__rnet_helper bool rnet_helper_netdev_need_ops_lock(const struct net_device *dev)
{
	return netdev_need_ops_lock(dev);
}

/* Drivers' tables are constants; one on the heap is somebody's copy. */
__rnet_helper bool rnet_helper_netdev_ops_on_heap(const struct net_device *dev)
{
	const void *ops = READ_ONCE(dev->netdev_ops);

	return virt_addr_valid(ops) && folio_test_slab(virt_to_folio(ops));
}

__rnet_helper struct kobject *rnet_helper_netdev_kobj(struct net_device *dev)
{
	return &dev->dev.kobj;
}

__rnet_helper const char *rnet_helper_netdev_raw_name(const struct net_device *dev)
{
	return dev->name;
}

__rnet_helper int rnet_helper_netdev_ifindex(const struct net_device *dev)
{
	return READ_ONCE(dev->ifindex);
}

__rnet_helper void rnet_helper_netdev_set_ifindex(struct net_device *dev, int ifindex)
{
	dev->ifindex = ifindex;
}

__rnet_helper unsigned int rnet_helper_netdev_mtu(const struct net_device *dev)
{
	return READ_ONCE(dev->mtu);
}

__rnet_helper void rnet_helper_netdev_write_mtu(struct net_device *dev, unsigned int mtu)
{
	WRITE_ONCE(dev->mtu, mtu);
}

__rnet_helper void rnet_helper_netdev_set_mtu_range(struct net_device *dev,
						    unsigned int min, unsigned int max)
{
	dev->min_mtu = min;
	dev->max_mtu = max;
}

__rnet_helper unsigned int rnet_helper_netdev_flags(const struct net_device *dev)
{
	return READ_ONCE(dev->flags);
}

__rnet_helper void rnet_helper_netdev_set_flags(struct net_device *dev, unsigned int set,
						unsigned int clear)
{
	dev->flags = (dev->flags & ~clear) | set;
}

__rnet_helper bool rnet_helper_netdev_lltx(const struct net_device *dev)
{
	return dev->lltx;
}

__rnet_helper void rnet_helper_netdev_set_lltx(struct net_device *dev, bool lltx)
{
	dev->lltx = lltx;
}

__rnet_helper bool rnet_helper_netdev_is_noqueue(const struct net_device *dev)
{
	return dev->priv_flags & IFF_NO_QUEUE;
}

__rnet_helper void rnet_helper_netdev_set_priv_flags(struct net_device *dev,
						     unsigned int set, unsigned int clear)
{
	dev->priv_flags = (dev->priv_flags & ~clear) | set;
}

__rnet_helper void rnet_helper_netdev_keep_dst(struct net_device *dev)
{
	netif_keep_dst(dev);
}

__rnet_helper void rnet_helper_netdev_set_netns_immutable(struct net_device *dev, bool val)
{
	dev->netns_immutable = val;
}

__rnet_helper u64 rnet_helper_netdev_features(const struct net_device *dev)
{
	return dev->features;
}

__rnet_helper void rnet_helper_netdev_set_features(struct net_device *dev, u64 features)
{
	dev->features = features;
}

__rnet_helper void rnet_helper_netdev_set_hw_features(struct net_device *dev, u64 features)
{
	dev->hw_features = features;
}

/* The link-layer half of what a loopback device is; ether_setup() ran before. */
__rnet_helper void rnet_helper_netdev_set_link_loopback(struct net_device *dev)
{
	dev->type = ARPHRD_LOOPBACK;
	dev->hard_header_len = ETH_HLEN;
	dev->min_header_len = ETH_HLEN;
	dev->addr_len = ETH_ALEN;
	eth_zero_addr(dev->broadcast);
}

__rnet_helper void rnet_helper_netdev_hw_addr_random(struct net_device *dev)
{
	eth_hw_addr_random(dev);
}

__rnet_helper void rnet_helper_netdev_hw_addr_set(struct net_device *dev, const u8 *addr)
{
	eth_hw_addr_set(dev, addr);
}

__rnet_helper const struct net_device_ops *
rnet_helper_netdev_ops(const struct net_device *dev)
{
	return READ_ONCE(dev->netdev_ops);
}

/* What the symbol table says of the transmit function: "name" or "name [module]". */
__rnet_helper int rnet_helper_netdev_xmit_symbol(const struct net_device *dev, char *buf,
						 size_t size)
{
	return scnprintf(buf, size, "%ps", READ_ONCE(dev->netdev_ops)->ndo_start_xmit);
}

__rnet_helper void rnet_helper_netdev_set_ops(struct net_device *dev,
					      const struct net_device_ops *ops)
{
	smp_store_release(&dev->netdev_ops, ops);
}

__rnet_helper void rnet_helper_netdev_set_ethtool_ops(struct net_device *dev,
						      const struct ethtool_ops *ops)
{
	dev->ethtool_ops = ops;
}

__rnet_helper void
rnet_helper_netdev_set_destructor(struct net_device *dev,
				  void (*destructor)(struct net_device *), bool needs_free)
{
	dev->priv_destructor = destructor;
	dev->needs_free_netdev = needs_free;
}

__rnet_helper void rnet_helper_netdev_set_pcpu_stat_type(struct net_device *dev,
							 enum netdev_stat_type type)
{
	dev->pcpu_stat_type = type;
}

__rnet_helper enum netdev_stat_type
rnet_helper_netdev_pcpu_stat_type(const struct net_device *dev)
{
	return dev->pcpu_stat_type;
}

__rnet_helper void rnet_helper_dev_lstats_add(struct net_device *dev, unsigned int len)
{
	dev_lstats_add(dev, len);
}

__rnet_helper void rnet_helper_dev_core_stats_tx_dropped_inc(struct net_device *dev)
{
	dev_core_stats_tx_dropped_inc(dev);
}

__rnet_helper int rnet_helper_netdev_set_sysfs_group(struct net_device *dev,
						     const struct attribute_group *grp)
{
	/* Slots that the core does not fill itself: keep the sentinel free. */
	if (dev->sysfs_groups[0])
		return -EEXIST;
	dev->sysfs_groups[0] = grp;
	return 0;
}

__rnet_helper bool rnet_helper_netdev_has_ptypes(const struct net_device *dev)
{
	return !list_empty(&dev->ptype_all) || !list_empty(&dev->ptype_specific);
}

/* First in the list of the namespace: unregistered last at its end. */
__rnet_helper void rnet_helper_netdev_move_first(struct net_device *dev, struct net *net)
{
	list_move(&dev->dev_list, &net->dev_base_head);
}

__rnet_helper void rnet_helper_netdev_hold(struct net_device *dev, netdevice_tracker *t)
{
	netdev_hold(dev, t, GFP_KERNEL);
}

__rnet_helper void rnet_helper_netdev_put(struct net_device *dev, netdevice_tracker *t)
{
	netdev_put(dev, t);
}

__rnet_helper struct net_device *
rnet_helper_netdev_notifier_info_to_dev(const void *info)
{
	return netdev_notifier_info_to_dev(info);
}

__rnet_helper void rnet_helper_netif_tx_stop_all_queues(struct net_device *dev)
{
	netif_tx_stop_all_queues(dev);
}

__rnet_helper void rnet_helper_netif_tx_start_all_queues(struct net_device *dev)
{
	netif_tx_start_all_queues(dev);
}

__rnet_helper void rnet_helper_unregister_netdevice(struct net_device *dev)
{
	unregister_netdevice(dev);
}

__rnet_helper void rnet_helper_netdev_lockdep_set_classes(struct net_device *dev)
{
	netdev_lockdep_set_classes(dev);
}

__rnet_helper bool rnet_helper_netdev_may_share_skbs(const struct net_device *dev)
{
	return dev->priv_flags & IFF_TX_SKB_SHARING;
}

__rnet_helper void rnet_helper_sockaddr_hw_addr(const void *addr, u8 *octets)
{
	ether_addr_copy(octets, ((const struct sockaddr *)addr)->sa_data);
}

__rnet_helper bool rnet_helper_is_valid_ether_addr(const u8 *addr)
{
	return is_valid_ether_addr(addr);
}
