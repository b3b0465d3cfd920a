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

__rnet_helper bool rnet_helper_current_is_kthread(void)
{
	return current->flags & PF_KTHREAD;
}

__rnet_helper const char *rnet_helper_current_comm(void)
{
	return current->comm;
}

__rnet_helper void rnet_helper_assert_rtnl(void)
{
	ASSERT_RTNL();
}
