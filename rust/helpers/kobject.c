// SPDX-License-Identifier: GPL-2.0

#include <linux/kobject.h>
#include <linux/sysfs.h>

/*
 * All attributes of the layer share one lockdep class. A store function may
 * therefore not remove another attribute of the layer; the layer forbids it.
 */
__rnet_helper void rnet_helper_sysfs_attr_init(struct attribute *attr)
{
	sysfs_attr_init(attr);
}

__rnet_helper void rnet_helper_kobject_get_ownership(const struct kobject *kobj,
						     kuid_t *uid, kgid_t *gid)
{
	if (kobj->ktype && kobj->ktype->get_ownership)
		kobj->ktype->get_ownership(kobj, uid, gid);
}

__rnet_helper struct kobject *rnet_helper_kobject_parent(const struct kobject *kobj)
{
	return kobj->parent;
}

__rnet_helper int rnet_helper_kobject_init_and_add(struct kobject *kobj,
						   const struct kobj_type *ktype,
						   struct kobject *parent,
						   const char *name)
{
	return kobject_init_and_add(kobj, ktype, parent, "%s", name);
}

__rnet_helper struct kobject *rnet_helper_kernel_kobj(void)
{
	return kernel_kobj;
}
