// SPDX-License-Identifier: GPL-2.0

#include <linux/netdevice.h>
#include <linux/netlink.h>
#include <net/netdev_queues.h>

__rnet_helper struct netdev_queue *rnet_helper_netdev_get_tx_queue(const struct net_device *dev,
								   unsigned int index)
{
	return netdev_get_tx_queue(dev, index);
}

__rnet_helper bool rnet_helper_netdev_xmit_more(void)
{
	return netdev_xmit_more();
}

__rnet_helper bool rnet_helper_netdev_tx_sent_queue(struct netdev_queue *txq, unsigned int bytes,
						    bool more)
{
	return __netdev_tx_sent_queue(txq, bytes, more);
}

__rnet_helper void rnet_helper_netdev_tx_completed_queue(struct netdev_queue *txq,
							 unsigned int pkts, unsigned int bytes)
{
	netdev_tx_completed_queue(txq, pkts, bytes);
}

__rnet_helper void rnet_helper_netdev_tx_reset_queue(struct netdev_queue *txq)
{
	netdev_tx_reset_queue(txq);
}

/* By the driver or by the byte queue limits. */
__rnet_helper bool rnet_helper_netif_tx_queue_halted(const struct netdev_queue *txq)
{
	return netif_xmit_stopped(txq);
}

__rnet_helper void rnet_helper_netif_tx_stop_queue(struct netdev_queue *txq)
{
	netif_tx_stop_queue(txq);
}

__rnet_helper void rnet_helper_netif_tx_start_queue(struct netdev_queue *txq)
{
	netif_tx_start_queue(txq);
}

__rnet_helper void rnet_helper_netif_tx_wake_queue(struct netdev_queue *txq)
{
	netif_tx_wake_queue(txq);
}

__rnet_helper bool rnet_helper_netif_tx_queue_stopped(const struct netdev_queue *txq)
{
	return netif_tx_queue_stopped(txq);
}

__rnet_helper void rnet_helper_netif_tx_disable(struct net_device *dev)
{
	netif_tx_disable(dev);
}

__rnet_helper bool rnet_helper_netif_running(const struct net_device *dev)
{
	return netif_running(dev);
}

__rnet_helper bool rnet_helper_netif_carrier_ok(const struct net_device *dev)
{
	return netif_carrier_ok(dev);
}

__rnet_helper void rnet_helper_netdev_set_parent(struct net_device *dev, struct device *parent)
{
	SET_NETDEV_DEV(dev, parent);
}

__rnet_helper void rnet_helper_netdev_set_watchdog(struct net_device *dev, unsigned int msecs)
{
	dev->watchdog_timeo = msecs_to_jiffies(msecs);
}

__rnet_helper void rnet_helper_netdev_set_vlan_features(struct net_device *dev, u64 features)
{
	dev->vlan_features = features;
}

__rnet_helper bool rnet_helper_netif_device_present(const struct net_device *dev)
{
	return netif_device_present(dev);
}

__rnet_helper void rnet_helper_netdev_set_tunnel_features(struct net_device *dev, u64 inner,
							  u64 partial)
{
	dev->hw_enc_features = inner;
	dev->gso_partial_features = partial;
}

__rnet_helper const u8 *rnet_helper_netdev_addr(const struct net_device *dev)
{
	return dev->dev_addr;
}

__rnet_helper void rnet_helper_netdev_add_unicast_flt(struct net_device *dev)
{
	dev->priv_flags |= IFF_UNICAST_FLT;
}

/* Calls back for each address of the lists; the caller holds the address lock. */
__rnet_helper void rnet_helper_netdev_addresses(struct net_device *dev, bool multicast,
						void (*func)(void *, const u8 *), void *data)
{
	struct netdev_hw_addr *ha;

	if (multicast)
		netdev_for_each_mc_addr(ha, dev)
			func(data, ha->addr);
	else
		netdev_for_each_uc_addr(ha, dev)
			func(data, ha->addr);
}

__rnet_helper void rnet_helper_netif_addr_lock_bh(struct net_device *dev)
{
	netif_addr_lock_bh(dev);
}

__rnet_helper void rnet_helper_netif_addr_unlock_bh(struct net_device *dev)
{
	netif_addr_unlock_bh(dev);
}

__rnet_helper void rnet_helper_netdev_set_stat_ops(struct net_device *dev,
						   const struct netdev_stat_ops *ops)
{
	dev->stat_ops = ops;
}

__rnet_helper unsigned int rnet_helper_netdev_real_num_tx_queues(const struct net_device *dev)
{
	return dev->real_num_tx_queues;
}

__rnet_helper void rnet_helper_extack_set(struct netlink_ext_ack *extack, const char *msg)
{
	if (extack)
		extack->_msg = msg;
}
