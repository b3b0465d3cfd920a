/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Header that bindgen reads for the net_bindings crate. What of it reaches Rust
 * is decided by the allow-lists in bindgen_parameters beside this file.
 */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/ethtool.h>
#include <linux/etherdevice.h>
#include <linux/fprobe.h>
#include <linux/hrtimer.h>
#include <linux/if_arp.h>
#include <linux/interrupt.h>
#include <linux/kallsyms.h>
#include <linux/kobject.h>
#include <linux/moduleparam.h>
#include <linux/net_tstamp.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/pm.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/sysfs.h>
#include <linux/timekeeping.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>
#include <net/dropreason-core.h>
#include <net/net_namespace.h>
#include <net/netdev_queues.h>
#include <net/page_pool/helpers.h>
#include <net/xdp.h>

#include "../helpers/helpers.c"

/* Constants that bindgen cannot read because casts are in them. */
#define RNET_FEATURE(name) \
	static const netdev_features_t RNET_CONST_HELPER_##name = name

RNET_FEATURE(NETIF_F_SG);
RNET_FEATURE(NETIF_F_FRAGLIST);
RNET_FEATURE(NETIF_F_HW_CSUM);
RNET_FEATURE(NETIF_F_RXCSUM);
RNET_FEATURE(NETIF_F_SCTP_CRC);
RNET_FEATURE(NETIF_F_HIGHDMA);
RNET_FEATURE(NETIF_F_VLAN_CHALLENGED);
RNET_FEATURE(NETIF_F_LOOPBACK);
RNET_FEATURE(NETIF_F_GSO_SOFTWARE);
RNET_FEATURE(NETIF_F_TSO);
RNET_FEATURE(NETIF_F_TSO6);
RNET_FEATURE(NETIF_F_RXHASH);
RNET_FEATURE(NETIF_F_HW_VLAN_CTAG_TX);
RNET_FEATURE(NETIF_F_HW_VLAN_CTAG_RX);
RNET_FEATURE(NETIF_F_HW_VLAN_CTAG_FILTER);
RNET_FEATURE(NETIF_F_RXALL);
RNET_FEATURE(NETIF_F_NTUPLE);
RNET_FEATURE(NETIF_F_GSO_PARTIAL);
RNET_FEATURE(NETIF_F_GSO_GRE);
RNET_FEATURE(NETIF_F_GSO_GRE_CSUM);
RNET_FEATURE(NETIF_F_GSO_IPXIP4);
RNET_FEATURE(NETIF_F_GSO_IPXIP6);
RNET_FEATURE(NETIF_F_GSO_UDP_TUNNEL);
RNET_FEATURE(NETIF_F_GSO_UDP_TUNNEL_CSUM);
RNET_FEATURE(NETIF_F_GSO_UDP_L4);
RNET_FEATURE(NETIF_F_TSO_MANGLEID);

static const size_t RNET_CONST_HELPER_KSYM_SYMBOL_LEN = KSYM_SYMBOL_LEN;
static const u32 RNET_CONST_HELPER_ETH_RSS_HASH_TOP = ETH_RSS_HASH_TOP;
static const u32 RNET_CONST_HELPER_ETHTOOL_COALESCE_RX_USECS = ETHTOOL_COALESCE_RX_USECS;
static const u32 RNET_CONST_HELPER_ETHTOOL_COALESCE_RX_MAX_FRAMES = ETHTOOL_COALESCE_RX_MAX_FRAMES;
static const u32 RNET_CONST_HELPER_ETHTOOL_COALESCE_USE_ADAPTIVE_RX =
	ETHTOOL_COALESCE_USE_ADAPTIVE_RX;
static const u32 RNET_CONST_HELPER_ETHTOOL_COALESCE_STATS_BLOCK_USECS =
	ETHTOOL_COALESCE_STATS_BLOCK_USECS;
static const unsigned long RNET_CONST_HELPER_PAGE_SIZE = PAGE_SIZE;
static const pci_channel_state_t RNET_CONST_HELPER_PCI_CHANNEL_IO_NORMAL = pci_channel_io_normal;
static const pci_channel_state_t RNET_CONST_HELPER_PCI_CHANNEL_IO_PERM_FAILURE =
	pci_channel_io_perm_failure;
