// SPDX-License-Identifier: GPL-2.0

#include <linux/rtnetlink.h>
#include <linux/sched/signal.h>

__rnet_helper int rnet_helper_restart_syscall(void)
{
	return restart_syscall();
}

__rnet_helper void *rnet_helper_current(void)
{
	return current;
}

__rnet_helper void rnet_helper_assert_rtnl(void)
{
	ASSERT_RTNL();
}
