/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Read right after the kernel's configuration when the helpers are compiled to
 * bitcode: takes back what the configuration says about the compiler of the
 * kernel and is not true of clang.
 *
 * Named address spaces: GCC prints %gs: before a per-CPU operand of inline
 * assembly by itself, clang does not, so this_cpu_add() would add to a wild
 * address. Without the option the macros print the prefix.
 */
#undef CONFIG_CC_HAS_NAMED_AS
#undef CONFIG_USE_X86_SEG_SUPPORT
