// SPDX-License-Identifier: GPL-2.0

#include <linux/fprobe.h>
#include <linux/ftrace_regs.h>

#ifdef CONFIG_FPROBE
__rnet_helper int rnet_helper_register_fprobe(struct fprobe *fp, const char *name)
{
	return register_fprobe_syms(fp, &name, 1);
}

__rnet_helper void rnet_helper_unregister_fprobe(struct fprobe *fp)
{
	unregister_fprobe(fp);
}

__rnet_helper unsigned long rnet_helper_ftrace_regs_argument(struct ftrace_regs *regs,
							     unsigned int n)
{
	return ftrace_regs_get_argument(regs, n);
}

__rnet_helper unsigned long rnet_helper_ftrace_regs_return_value(struct ftrace_regs *regs)
{
	return ftrace_regs_get_return_value(regs);
}
#else
__rnet_helper int rnet_helper_register_fprobe(struct fprobe *fp, const char *name)
{
	return -EOPNOTSUPP;
}

__rnet_helper void rnet_helper_unregister_fprobe(struct fprobe *fp)
{
}

__rnet_helper unsigned long rnet_helper_ftrace_regs_argument(struct ftrace_regs *regs,
							     unsigned int n)
{
	return 0;
}

__rnet_helper unsigned long rnet_helper_ftrace_regs_return_value(struct ftrace_regs *regs)
{
	return 0;
}
#endif
