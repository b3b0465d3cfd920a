// SPDX-License-Identifier: GPL-2.0
/*
 * Exact amounts of work over the loopback device, for which no tool is at hand:
 *
 *	flows clock N              N turns of a loop of two instructions
 *	flows mmsg ADDR N SIZE     N datagrams, 32 a call (sendmmsg, recvmmsg)
 *	flows multi ADDR N SIZE    N writes of SIZE bytes to each of 8 connections in turn
 *	flows connect ADDR N       N connections one after the other, closed with RST
 *	flows writes ADDR N SIZE   N writes of SIZE bytes to one connection, each a packet of its own
 *
 * Prints nanoseconds (CLOCK_MONOTONIC_RAW) and the number of operations. One
 * thread has both ends, so that the order of events does not depend on the
 * scheduler. What is received is counted; less is an error.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH	32
#define FLOWS	8
#define WARM	64

static char buffer[1 << 17];

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void result(long long start, long operations)
{
	printf("%lld %ld\n", now() - start, operations);
}

/* The address and a free port of it, in a form for both families. */
static socklen_t address(const char *text, struct sockaddr_storage *to)
{
	struct sockaddr_in *four = (void *)to;
	struct sockaddr_in6 *six = (void *)to;

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		to->ss_family = AF_INET;
		return sizeof(*four);
	}
	if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1)
		errx(2, "%s is not an address", text);
	to->ss_family = AF_INET6;
	return sizeof(*six);
}

static int bound(const char *text, int type, struct sockaddr_storage *to, socklen_t *size)
{
	int fd;

	*size = address(text, to);
	fd = socket(to->ss_family, type, 0);
	if (fd < 0 || bind(fd, (void *)to, *size) || getsockname(fd, (void *)to, size))
		err(1, "bind to %s", text);
	if (type == SOCK_STREAM && listen(fd, 64))
		err(1, "listen");
	return fd;
}

static int connected(int type, struct sockaddr_storage *to, socklen_t size)
{
	int fd = socket(to->ss_family, type, 0);

	if (fd < 0 || connect(fd, (void *)to, size))
		err(1, "connect");
	return fd;
}

static void write_all(int fd, size_t size)
{
	if (send(fd, buffer, size, 0) != (ssize_t)size)
		err(1, "send of %zu bytes", size);
}

static void read_all(int fd, size_t size)
{
	while (size) {
		ssize_t got = recv(fd, buffer, size < sizeof(buffer) ? size : sizeof(buffer), 0);

		if (got <= 0)
			err(1, "recv, %zu bytes to come", size);
		size -= got;
	}
}

static void clock_loop(long turns)
{
	long long start = now();
	long left = turns;

#ifdef __x86_64__
	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(left) : : "cc");
#endif
	result(start, 2 * turns);
}

static void mmsg(const char *text, long datagrams, size_t size)
{
	struct sockaddr_storage to;
	struct mmsghdr messages[BATCH] = { };
	struct iovec part = { buffer, size };
	long long start = 0;
	socklen_t length;
	int sink, source, i;
	long n;

	sink = bound(text, SOCK_DGRAM, &to, &length);
	source = connected(SOCK_DGRAM, &to, length);
	for (i = 0; i < BATCH; i++) {
		messages[i].msg_hdr.msg_iov = &part;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (n = -WARM * BATCH; n < datagrams; n += BATCH) {
		if (n == 0)
			start = now();
		if (sendmmsg(source, messages, BATCH, 0) != BATCH)
			err(1, "sendmmsg");
		if (recvmmsg(sink, messages, BATCH, MSG_WAITALL, NULL) != BATCH)
			err(1, "recvmmsg");
	}
	result(start, datagrams);
}

/* Each turn: that many writes to each connection, then all of it is read. */
static void multi(const char *text, int flows, int each, long turns, size_t size)
{
	struct sockaddr_storage to;
	int listener, one = 1, i, j, source[FLOWS], sink[FLOWS];
	long long start = 0;
	socklen_t length;
	long n;

	listener = bound(text, SOCK_STREAM, &to, &length);
	for (i = 0; i < flows; i++) {
		source[i] = connected(SOCK_STREAM, &to, length);
		sink[i] = accept(listener, NULL, NULL);
		if (sink[i] < 0 || setsockopt(source[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
			err(1, "accept");
	}
	for (n = -WARM; n < turns; n++) {
		if (n == 0)
			start = now();
		for (j = 0; j < each; j++)
			for (i = 0; i < flows; i++)
				write_all(source[i], size);
		for (i = 0; i < flows; i++)
			read_all(sink[i], each * size);
	}
	result(start, turns * flows * each);
}

static void connections(const char *text, long count)
{
	struct linger reset = { .l_onoff = 1 };
	struct sockaddr_storage to;
	long long start = 0;
	socklen_t length;
	int listener;
	long n;

	listener = bound(text, SOCK_STREAM, &to, &length);
	for (n = -WARM; n < count; n++) {
		int source, sink;

		if (n == 0)
			start = now();
		source = connected(SOCK_STREAM, &to, length);
		sink = accept(listener, NULL, NULL);
		if (sink < 0 || setsockopt(source, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)))
			err(1, "accept");
		write_all(source, 1);
		read_all(sink, 1);
		close(source);
		close(sink);
	}
	result(start, count);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	long number = argc > 3 ? atol(argv[3]) : 0;
	size_t size = argc > 4 ? atol(argv[4]) : 0;

	if (size > sizeof(buffer))
		errx(2, "at most %zu bytes", sizeof(buffer));
	if (!strcmp(what, "clock"))
		clock_loop(atol(argv[2]));
	else if (!strcmp(what, "mmsg") && size)
		mmsg(argv[2], number, size);
	else if (!strcmp(what, "multi") && size)
		multi(argv[2], FLOWS, 1, number, size);
	else if (!strcmp(what, "writes") && size)
		multi(argv[2], 1, BATCH, number / BATCH, size);
	else if (!strcmp(what, "connect") && number)
		connections(argv[2], number);
	else
		errx(2, "see the head of flows.c");
	return 0;
}
