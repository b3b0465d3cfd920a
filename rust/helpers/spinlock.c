// SPDX-License-Identifier: GPL-2.0

#include <linux/spinlock.h>

__rnet_helper void rnet_helper_spin_lock_init(spinlock_t *lock)
{
	spin_lock_init(lock);
}

__rnet_helper unsigned long rnet_helper_spin_lock_irqsave(spinlock_t *lock)
{
	unsigned long flags;

	spin_lock_irqsave(lock, flags);
	return flags;
}

__rnet_helper void rnet_helper_spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags)
{
	spin_unlock_irqrestore(lock, flags);
}
