// SPDX-License-Identifier: GPL-2.0

#include <linux/jiffies.h>
#include <linux/workqueue.h>

/* Two functions, because each has a lock class of its own: the second kind takes RTNL. */
__rnet_helper void rnet_helper_init_service_work(struct delayed_work *work, work_func_t func)
{
	INIT_DELAYED_WORK(work, func);
}

__rnet_helper void rnet_helper_init_recovery_work(struct delayed_work *work, work_func_t func)
{
	INIT_DELAYED_WORK(work, func);
}

__rnet_helper bool rnet_helper_schedule_work_msecs(struct delayed_work *work, unsigned int ms)
{
	return mod_delayed_work(system_dfl_wq, work, msecs_to_jiffies(ms));
}

__rnet_helper struct delayed_work *rnet_helper_to_delayed_work(struct work_struct *work)
{
	return to_delayed_work(work);
}

__rnet_helper unsigned long rnet_helper_jiffies_now(void)
{
	return jiffies;
}

__rnet_helper unsigned int rnet_helper_jiffy_usecs(void)
{
	return USEC_PER_SEC / HZ;
}
