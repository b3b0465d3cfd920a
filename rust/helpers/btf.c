// SPDX-License-Identifier: GPL-2.0

#include <linux/btf.h>

#if defined(CONFIG_DEBUG_INFO_BTF) && defined(CONFIG_BPF_SYSCALL)
/* A reference to the BTF comes with it, which modules cannot give back. */
__rnet_helper int rnet_helper_btf_find(const char *name, u32 kind, struct btf **btf)
{
	return bpf_find_btf_id(name, kind, btf);
}

__rnet_helper const struct btf_type *rnet_helper_btf_type(const struct btf *btf, u32 id)
{
	return btf_type_by_id(btf, id);
}
#else
__rnet_helper int rnet_helper_btf_find(const char *name, u32 kind, struct btf **btf)
{
	return -EOPNOTSUPP;
}

__rnet_helper const struct btf_type *rnet_helper_btf_type(const struct btf *btf, u32 id)
{
	return NULL;
}
#endif
