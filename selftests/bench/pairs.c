// SPDX-License-Identifier: GPL-2.0
/*
 * Work for several threads over the loopback device, which flows.c has no use for:
 *
 *	pairs udp ADDR N SIZE      N datagrams in 8 flows, each with a thread that sends and one that receives
 *	pairs tcp|dgram ADDR N U   N requests and answers of one byte; both sockets poll for U us (SO_BUSY_POLL)
 *	pairs beside ADDR N        N requests and answers over TCP beside a stream of another connection
 *
 * Prints nanoseconds (CLOCK_MONOTONIC_RAW) and the number of operations; requests and
 * answers also the median and the 99th percentile of their times. What does not arrive of
 * udp is not counted.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FLOWS	8
#define WARM	64
#define WRITE	16384

struct flow {
	pthread_t sender, receiver;
	int source, sink;
	long count, received;
	size_t size;
	_Atomic long long last;
};

static atomic_int ended;

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void connect_pair(const char *text, int type, int *source, int *sink)
{
	struct sockaddr_storage to = { };
	struct sockaddr_in *four = (void *)&to;
	struct sockaddr_in6 *six = (void *)&to;
	socklen_t length = sizeof(*six);
	int one = 1, fd;

	to.ss_family = AF_INET6;
	if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1) {
		to.ss_family = AF_INET;
		length = sizeof(*four);
		if (inet_pton(AF_INET, text, &four->sin_addr) != 1)
			errx(2, "%s is not an address", text);
	}
	fd = socket(to.ss_family, type, 0);
	*source = socket(to.ss_family, type, 0);
	if (fd < 0 || *source < 0 || bind(fd, (void *)&to, length) ||
	    getsockname(fd, (void *)&to, &length))
		err(1, "bind to %s", text);
	if (type == SOCK_STREAM && listen(fd, 8))
		err(1, "listen");
	if (connect(*source, (void *)&to, length))
		err(1, "connect");
	if (type == SOCK_STREAM) {
		*sink = accept(fd, NULL, NULL);
		close(fd);
		setsockopt(*source, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(*sink, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	} else {
		length = sizeof(to);
		*sink = fd;
		if (getsockname(*source, (void *)&to, &length) || connect(*sink, (void *)&to, length))
			err(1, "connect back");
	}
}

static void *send_all(void *arg)
{
	static char buffer[1 << 16];
	struct flow *flow = arg;
	long n;

	for (n = 0; n < flow->count; n++)
		if (send(flow->source, buffer, flow->size, 0) != (ssize_t)flow->size)
			err(1, "send");
	/* The end, again and again, as it may be lost. */
	while (!atomic_load(&flow->last)) {
		if (send(flow->source, buffer, 1, 0) < 0)
			err(1, "send");
		usleep(1000);
	}
	return NULL;
}

static void *receive_all(void *arg)
{
	struct timeval limit = { .tv_sec = 20 };
	char buffer[1 << 16];
	struct flow *flow = arg;
	long long last = now();
	int room = 1 << 20;
	ssize_t got;

	setsockopt(flow->sink, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	setsockopt(flow->sink, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	while ((got = recv(flow->sink, buffer, sizeof(buffer), 0)) == (ssize_t)flow->size) {
		flow->received++;
		last = now();
	}
	if (got < 0)
		err(1, "recv, after %ld of %ld datagrams", flow->received, flow->count);
	atomic_store(&flow->last, last);
	return NULL;
}

static void udp(const char *text, long count, size_t size)
{
	struct flow flows[FLOWS] = { };
	long long start, last = 0;
	long received = 0;
	int i;

	for (i = 0; i < FLOWS; i++) {
		flows[i].count = count / FLOWS;
		flows[i].size = size;
		connect_pair(text, SOCK_DGRAM, &flows[i].source, &flows[i].sink);
	}
	start = now();
	for (i = 0; i < FLOWS; i++)
		if (pthread_create(&flows[i].receiver, NULL, receive_all, &flows[i]) ||
		    pthread_create(&flows[i].sender, NULL, send_all, &flows[i]))
			errx(1, "no thread");
	for (i = 0; i < FLOWS; i++) {
		pthread_join(flows[i].sender, NULL);
		pthread_join(flows[i].receiver, NULL);
		received += flows[i].received;
		last = flows[i].last > last ? flows[i].last : last;
	}
	printf("%lld %ld\n", last - start, received);
}

static void *answer(void *arg)
{
	int fd = *(int *)arg;
	char byte;

	while (recv(fd, &byte, 1, 0) == 1 && byte == 'r')
		if (send(fd, &byte, 1, 0) != 1)
			break;
	return NULL;
}

static void *stream(void *arg)
{
	static char buffer[WRITE];

	while (!atomic_load(&ended))
		if (send(*(int *)arg, buffer, sizeof(buffer), 0) < 0)
			err(1, "send");
	shutdown(*(int *)arg, SHUT_WR);
	return NULL;
}

static void *drain(void *arg)
{
	static char buffer[4 * WRITE];

	while (recv(*(int *)arg, buffer, sizeof(buffer), 0) > 0)
		;
	return NULL;
}

static int compare(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;

	return (x > y) - (x < y);
}

static void requests(const char *text, int type, long count, int usecs)
{
	long long *times = calloc(count, sizeof(*times)), start = 0, before, whole;
	pthread_t thread;
	int source, sink;
	char byte = 'r';
	long n;

	if (!times)
		errx(1, "no memory for %ld times", count);
	connect_pair(text, type, &source, &sink);
	if (usecs && (setsockopt(source, SOL_SOCKET, SO_BUSY_POLL, &usecs, sizeof(usecs)) ||
		      setsockopt(sink, SOL_SOCKET, SO_BUSY_POLL, &usecs, sizeof(usecs))))
		err(1, "SO_BUSY_POLL");
	if (pthread_create(&thread, NULL, answer, &sink))
		errx(1, "no thread");
	for (n = -WARM; n < count; n++) {
		before = now();
		if (n == 0)
			start = before;
		if (send(source, &byte, 1, 0) != 1 || recv(source, &byte, 1, 0) != 1)
			err(1, "request");
		if (n >= 0)
			times[n] = now() - before;
	}
	whole = now() - start;
	byte = 'e';
	if (send(source, &byte, 1, 0) != 1)
		err(1, "the end");
	pthread_join(thread, NULL);
	qsort(times, count, sizeof(*times), compare);
	printf("%lld %ld %lld %lld\n", whole, count, times[count / 2], times[count * 99 / 100]);
}

static void beside(const char *text, long count)
{
	pthread_t sender, receiver;
	int source, sink;

	connect_pair(text, SOCK_STREAM, &source, &sink);
	if (pthread_create(&sender, NULL, stream, &source) ||
	    pthread_create(&receiver, NULL, drain, &sink))
		errx(1, "no thread");
	requests(text, SOCK_STREAM, count, 0);
	atomic_store(&ended, 1);
	pthread_join(sender, NULL);
	pthread_join(receiver, NULL);
}

int main(int argc, char **argv)
{
	const char *what = argc > 3 ? argv[1] : "";
	long number = argc > 3 ? atol(argv[3]) : 0, last = argc > 4 ? atol(argv[4]) : 0;

	if (number < 1)
		errx(2, "see the head of pairs.c");
	if (!strcmp(what, "udp") && last > 1 && last <= 1 << 16)
		udp(argv[2], number, last);
	else if (!strcmp(what, "tcp"))
		requests(argv[2], SOCK_STREAM, number, last);
	else if (!strcmp(what, "dgram"))
		requests(argv[2], SOCK_DGRAM, number, last);
	else if (!strcmp(what, "beside"))
		beside(argv[2], number);
	else
		errx(2, "see the head of pairs.c");
	return 0;
}
