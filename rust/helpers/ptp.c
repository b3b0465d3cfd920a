// SPDX-License-Identifier: GPL-2.0

#include <linux/ktime.h>
#include <linux/netdevice.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/skbuff.h>
#include <linux/timekeeping.h>

/* Elsewhere there are no clocks: a module that others would have to be loaded for is not used. */
#if IS_BUILTIN(CONFIG_PTP_1588_CLOCK)
/* A clock beside this network device, which it has the name of in the log. */
__rnet_helper struct ptp_clock *rnet_helper_ptp_clock_register(struct ptp_clock_info *info,
							       const struct net_device *dev)
{
	info->owner = THIS_MODULE;
	snprintf(info->name, sizeof(info->name), "%pm", dev->dev_addr);
	return ptp_clock_register(info, dev->dev.parent);
}

__rnet_helper void rnet_helper_ptp_clock_unregister(struct ptp_clock *ptp)
{
	ptp_clock_unregister(ptp);
}

__rnet_helper int rnet_helper_ptp_clock_index(struct ptp_clock *ptp)
{
	return ptp_clock_index(ptp);
}

__rnet_helper void rnet_helper_ptp_schedule_worker(struct ptp_clock *ptp, unsigned long delay)
{
	ptp_schedule_worker(ptp, delay);
}
#else
__rnet_helper struct ptp_clock *rnet_helper_ptp_clock_register(struct ptp_clock_info *info,
							       const struct net_device *dev)
{
	return NULL;
}

__rnet_helper void rnet_helper_ptp_clock_unregister(struct ptp_clock *ptp)
{
}

__rnet_helper int rnet_helper_ptp_clock_index(struct ptp_clock *ptp)
{
	return -1;
}

__rnet_helper void rnet_helper_ptp_schedule_worker(struct ptp_clock *ptp, unsigned long delay)
{
}
#endif

__rnet_helper void rnet_helper_ptp_read_system_prets(struct ptp_system_timestamp *sts)
{
	ptp_read_system_prets(sts);
}

__rnet_helper void rnet_helper_ptp_read_system_postts(struct ptp_system_timestamp *sts)
{
	ptp_read_system_postts(sts);
}

__rnet_helper u64 rnet_helper_adjust_by_scaled_ppm(u64 base, long scaled_ppm)
{
	return adjust_by_scaled_ppm(base, scaled_ppm);
}

__rnet_helper void rnet_helper_timespec64_from_ns(struct timespec64 *ts, s64 ns)
{
	*ts = ns_to_timespec64(ns);
}

__rnet_helper s64 rnet_helper_timespec64_to_ns(const struct timespec64 *ts)
{
	return timespec64_to_ns(ts);
}

__rnet_helper u64 rnet_helper_ktime_get_real_ns(void)
{
	return ktime_get_real_ns();
}

__rnet_helper long rnet_helper_msecs_to_jiffies(unsigned int ms)
{
	return msecs_to_jiffies(ms);
}

__rnet_helper bool rnet_helper_skb_wants_hw_tstamp(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->tx_flags & SKBTX_HW_TSTAMP;
}

/* A reference to a packet whose stamp comes later: no other is to be made of it. */
__rnet_helper struct sk_buff *rnet_helper_skb_get_for_tstamp(struct sk_buff *skb)
{
	skb_shinfo(skb)->tx_flags |= SKBTX_IN_PROGRESS;
	return skb_get(skb);
}

__rnet_helper void rnet_helper_skb_tstamp_tx_hw(struct sk_buff *skb, u64 ns)
{
	struct skb_shared_hwtstamps stamps = { .hwtstamp = ns_to_ktime(ns) };

	skb_tstamp_tx(skb, &stamps);
}

__rnet_helper void rnet_helper_skb_set_hwtstamp(struct sk_buff *skb, u64 ns)
{
	*skb_hwtstamps(skb) = (struct skb_shared_hwtstamps){ .hwtstamp = ns_to_ktime(ns) };
}
