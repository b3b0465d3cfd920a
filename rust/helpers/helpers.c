// SPDX-License-Identifier: GPL-2.0
/*
 * Shims for what Rust cannot call: static inline functions, macros, bit-fields
 * and members of structures that the bindings keep opaque. They carry no logic;
 * every decision is taken in rust/rnet.
 *
 * This file is compiled three ways: by the kernel's compiler into an object
 * (real calls), by the clang that matches rustc's LLVM into bitcode that is
 * linked into a driver's object (RNET_BITCODE: inlined), and by bindgen
 * (__BINDGEN__: prototypes only).
 *
 * Sorted alphabetically, one file per C header.
 */

#include <linux/compiler_types.h>

#ifdef RNET_BITCODE
/* Without always_inline LLVM refuses: C and Rust differ in target features. */
#define __rnet_helper __always_inline
#else
#define __rnet_helper
#endif

#include "barrier.c"
#include "btf.c"
#include "dma.c"
#include "fprobe.c"
#include "interrupt.c"
#include "io.c"
#include "kobject.c"
#include "napi.c"
#include "net_namespace.c"
#include "netdevice.c"
#include "netqueue.c"
#ifdef CONFIG_PAGE_POOL
#include "page_pool.c"
#endif
#ifdef CONFIG_PCI
#include "pci.c"
#endif
#include "percpu.c"
#include "ptp.c"
#include "rtnetlink.c"
#include "skbtx.c"
#include "skbuff.c"
#include "sock.c"
#include "softnet.c"
#include "softq.c"
#include "spinlock.c"
#include "tracepoint.c"
#include "workqueue.c"
#include "xdp.c"
