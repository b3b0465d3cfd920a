/* SPDX-License-Identifier: GPL-2.0 */
#ifndef COUNTS_H
#define COUNTS_H

/* What the programs count, one number for each CPU. */
enum {
	CONNECTIONS,	/* ends of local connections that were put into the map */
	REDIRECTED,	/* messages that went straight to the other socket */
	REDIRECTED_BYTES,
	PASSED,		/* messages that took the ordinary way */
	PASSED_BYTES,
	COUNTS
};

#endif
