// SPDX-License-Identifier: GPL-2.0

#include <linux/rcupdate.h>

__rnet_helper void rnet_helper_kfree_rcu_mightsleep(void *ptr)
{
	kfree_rcu_mightsleep(ptr);
}
