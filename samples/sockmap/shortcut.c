// SPDX-License-Identifier: GPL-2.0
/*
 * rnet-sockmap CGROUP: local TCP connections of the processes in a cgroup go past
 * the loopback device, from socket to socket, until this program ends. README has
 * what that gains and loses.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "counts.h"
#include "shortcut.skel.h"

#define NAME		"rnet-sockmap"
#define CGROUP2_MAGIC	0x63677270

static const char *const names[COUNTS] = {
	"ends", "redirected", "redirected-bytes", "passed", "passed-bytes"
};

/* What went wrong, and what to do about it. */
static void __attribute__((noreturn, format(printf, 2, 3))) die(const char *next, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, NAME ": ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n" NAME ": next: %s\n", next);
	va_end(args);
	exit(1);
}

static int print_library(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN && getenv("RNET_SOCKMAP_DEBUG") ? vfprintf(stderr, format, args) : 0;
}

static void usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: " NAME " [-i SECONDS] [-w SECONDS] CGROUP\n"
		"\n"
		"Local TCP connections between processes in CGROUP (a directory of cgroup2, such as\n"
		"/sys/fs/cgroup/sidecar; /sys/fs/cgroup for all) that begin from now on go from socket to\n"
		"socket, past the loopback device. Ends with Ctrl-C or SIGTERM; connections stay.\n"
		"\n"
		"  -i SECONDS  print the counters that often; SIGUSR1 prints them at once\n"
		"  -w SECONDS  how long to wait at the end until what was redirected has been read\n"
		"              (default 10; a second Ctrl-C does not wait)\n");
	exit(status);
}

static int open_cgroup(const char *path)
{
	struct statfs file_system;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		die("name a directory of cgroup2: mkdir /sys/fs/cgroup/sidecar, and write pids to its cgroup.procs",
		    "cannot open %s: %s", path, strerror(errno));
	if (fstatfs(fd, &file_system) || file_system.f_type != CGROUP2_MAGIC)
		die("name a directory of cgroup2 (findmnt -t cgroup2), or: mount -t cgroup2 none /sys/fs/cgroup",
		    "%s is not in cgroup2", path);
	return fd;
}

static struct shortcut_bpf *load(void)
{
	struct shortcut_bpf *it;

	if (geteuid())
		die("sudo " NAME " ...", "needs root (CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN)");
	if (libbpf_probe_bpf_map_type(BPF_MAP_TYPE_SOCKHASH, NULL) == 0 ||
	    libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SK_MSG, NULL) == 0)
		die("use a kernel with CONFIG_BPF_SYSCALL, CONFIG_CGROUP_BPF and CONFIG_NET",
		    "this kernel has no BPF with sockmap, or it is locked (cat /sys/kernel/security/lockdown)");
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		die("use a kernel with CONFIG_DEBUG_INFO_BTF", "this kernel does not describe its types (BTF)");
	it = shortcut_bpf__open();
	if (!it)
		die("RNET_SOCKMAP_DEBUG=1 shows what libbpf says", "libbpf: %s", strerror(errno));
	if (shortcut_bpf__load(it))
		die("RNET_SOCKMAP_DEBUG=1 shows what the kernel says; " NAME " was tried on 7.3",
		    "the kernel does not take the programs: %s", strerror(errno));
	return it;
}

static void print_counts(const struct shortcut_bpf *it)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	unsigned long long values[cpus], sum;
	unsigned int which;

	for (which = 0; which < COUNTS; which++) {
		sum = 0;
		if (!bpf_map_lookup_elem(bpf_map__fd(it->maps.counts), &which, values))
			for (cpu = 0; cpu < cpus; cpu++)
				sum += values[cpu];
		printf("%s %llu%s", names[which], sum, which + 1 < COUNTS ? " " : "\n");
	}
	fflush(stdout);
}

/* How many sockets have not read all that was redirected to them, or -1. */
static int unread(struct shortcut_bpf *it)
{
	union bpf_iter_link_info what = { .map.map_fd = bpf_map__fd(it->maps.sockets) };
	LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &what, .link_info_len = sizeof(what));
	struct bpf_link *link;
	char text[64];
	int fd;

	link = bpf_program__attach_iter(it->progs.unread, &options);
	fd = link ? bpf_iter_create(bpf_link__fd(link)) : -1;
	it->bss->sockets_unread = 0;
	if (fd >= 0) {
		while (read(fd, text, sizeof(text)) > 0)
			;
		close(fd);
	}
	bpf_link__destroy(link);
	return fd < 0 ? -1 : (int)it->bss->sockets_unread;
}

/* True if a signal came that says to end. */
static bool pause_ms(const sigset_t *signals, long milliseconds)
{
	struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
	int got = sigtimedwait(signals, NULL, &time);

	return got == SIGINT || got == SIGTERM;
}

/* What is redirected and unread is lost when its socket leaves the map: wait until it is read. */
static void leave(struct shortcut_bpf *it, const sigset_t *signals, long seconds)
{
	long turns = seconds * 20;
	int left;

	it->bss->leaving = 1;
	/* Messages may be on their way into a queue. */
	if (pause_ms(signals, 100))
		turns = 0;
	while ((left = unread(it)) && turns-- > 0)
		if (pause_ms(signals, 50))
			break;
	if (left > 0)
		fprintf(stderr, NAME ": %d sockets have not read all that was redirected to them: it is lost\n", left);
}

static long number(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || end == text || value < 0 || value > 86400)
		die("see " NAME " --help", "%s is not a number of seconds", text);
	return value;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { { "help", no_argument, NULL, 'h' }, { } };
	long interval = 0, wait = 10;
	struct bpf_link *link;
	struct shortcut_bpf *it;
	sigset_t signals;
	int option, cgroup, got;

	while ((option = getopt_long(argc, argv, "hi:w:", longs, NULL)) != -1) {
		if (option == 'i')
			interval = number(optarg);
		else if (option == 'w')
			wait = number(optarg);
		else
			usage(option == 'h' ? 0 : 2);
	}
	if (optind + 1 != argc)
		usage(2);

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	libbpf_set_print(print_library);

	cgroup = open_cgroup(argv[optind]);
	it = load();
	if (bpf_prog_attach(bpf_program__fd(it->progs.message), bpf_map__fd(it->maps.sockets), BPF_SK_MSG_VERDICT, 0))
		die("RNET_SOCKMAP_DEBUG=1 shows what libbpf says", "cannot attach to the map: %s", strerror(errno));
	link = bpf_program__attach_cgroup(it->progs.established, cgroup);
	if (!link)
		die("use a kernel with CONFIG_CGROUP_BPF; bpftool cgroup tree shows who else is attached",
		    "cannot attach to %s: %s", argv[optind], strerror(errno));
	printf("redirects local connections of %s\n", argv[optind]);
	fflush(stdout);

	do {
		struct timespec time = { interval, 0 };

		got = sigtimedwait(&signals, NULL, interval ? &time : NULL);
		if (got == SIGUSR1 || (got < 0 && errno == EAGAIN))
			print_counts(it);
	} while (got != SIGINT && got != SIGTERM);

	leave(it, &signals, wait);
	print_counts(it);
	bpf_link__destroy(link);
	bpf_prog_detach2(bpf_program__fd(it->progs.message), bpf_map__fd(it->maps.sockets), BPF_SK_MSG_VERDICT);
	shortcut_bpf__destroy(it);
	return 0;
}
