/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * What the program refuses to have or to do.
 */
#include "config.h"

#ifdef HAVE_SYS_AUXV_H
#include <sys/auxv.h>
#endif
#ifdef HAVE_SYS_PRCTL_H
#include <sys/prctl.h>
#endif
#include <sys/resource.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef HAVE_SECCOMP
#include <fcntl.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <asm/termbits.h>
#include <sys/mman.h>
#endif

#include "fds.h"
#include "sandbox.h"
#include "fault.h"

static bool entered;

bool
sandbox_elevated(void)
{
#if defined(HAVE_SYS_AUXV_H) && defined(AT_SECURE)
	return getauxval(AT_SECURE) != 0;
#else
	return geteuid() != getuid() || getegid() != getgid();
#endif
}

/* 0, or -1 with errno. */
static int
close_unnamed(const struct options *opts)
{
	int *keep = calloc(3 * opts->nhops + 2, sizeof(*keep));
	size_t i, n = 0;

	if (keep == NULL)
		return -1;
	keep[n++] = opts->status_fd;
	keep[n++] = opts->control_fd;
	for (i = 0; i < opts->nhops; i++) {
		keep[n++] = opts->hops[i].in;
		keep[n++] = opts->hops[i].out;
		keep[n++] = opts->hops[i].tap;
	}
	fds_close_others(keep, n);
	free(keep);
	return 0;
}

int
sandbox_shed(const struct options *opts)
{
	struct rlimit no_core = { 0, 0 };

	if (close_unnamed(opts) == -1 || setrlimit(RLIMIT_CORE, &no_core) == -1)
		return -1;
#ifdef PR_SET_NO_NEW_PRIVS
	/* EINVAL: a kernel before 3.5, prctl(2). */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 && errno != EINVAL)
		return -1;
#endif
	return 0;
}

#ifdef HAVE_SECCOMP

#define ANY_ARGUMENT (-1)

/* All of an argument that is an int: the rest of a register may be anything. */
#define WHOLE UINT32_MAX

/* A system call, and what one of its arguments must be, where mask is set. */
struct allowed {
	int call;
	int argument; /* its number, or ANY_ARGUMENT */
	scmp_datum_t mask;
	scmp_datum_t value;
};

static const struct allowed allowlist[] = {
	/* moving bytes, and waiting to */
	{ SCMP_SYS(read), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(write), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(splice), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(poll), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(ppoll), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(ppoll_time64), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(restart_syscall), ANY_ARGUMENT, 0, 0 },
	/* looking at descriptors, their flags and sizes, and closing them */
	{ SCMP_SYS(fcntl), 1, WHOLE, F_GETFL },
	{ SCMP_SYS(fcntl), 1, WHOLE, F_SETFL },
	{ SCMP_SYS(fcntl), 1, WHOLE, F_SETFD },
	{ SCMP_SYS(fcntl), 1, WHOLE, F_DUPFD_CLOEXEC },
	{ SCMP_SYS(fcntl), 1, WHOLE, F_GETPIPE_SZ },
	{ SCMP_SYS(fcntl), 1, WHOLE, F_SETPIPE_SZ },
	{ SCMP_SYS(fcntl64), 1, WHOLE, F_GETFL },
	{ SCMP_SYS(fcntl64), 1, WHOLE, F_SETFL },
	{ SCMP_SYS(fcntl64), 1, WHOLE, F_SETFD },
	{ SCMP_SYS(fcntl64), 1, WHOLE, F_DUPFD_CLOEXEC },
	{ SCMP_SYS(fcntl64), 1, WHOLE, F_GETPIPE_SZ },
	{ SCMP_SYS(fcntl64), 1, WHOLE, F_SETPIPE_SZ },
	{ SCMP_SYS(fstat), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(fstat64), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH, AT_EMPTY_PATH },
	{ SCMP_SYS(statx), 2, AT_EMPTY_PATH, AT_EMPTY_PATH },
	/* isatty(3), by either name that C libraries know */
	{ SCMP_SYS(ioctl), 1, WHOLE, TCGETS },
#ifdef TCGETS2
	{ SCMP_SYS(ioctl), 1, WHOLE, TCGETS2 },
#endif
	{ SCMP_SYS(ioctl), 1, WHOLE, FIONREAD },
	{ SCMP_SYS(lseek), 2, WHOLE, SEEK_CUR },
	{ SCMP_SYS(_llseek), 4, WHOLE, SEEK_CUR },
	/* any option: of socketcall(2), on i386, no argument can be seen */
	{ SCMP_SYS(getsockopt), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(shutdown), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(close), ANY_ARGUMENT, 0, 0 },
	/* the next job */
	{ SCMP_SYS(recvmsg), ANY_ARGUMENT, 0, 0 },
	/* memory for the heap: never executable, never a file's */
	{ SCMP_SYS(brk), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(mmap), 2, WHOLE, PROT_READ | PROT_WRITE },
	{ SCMP_SYS(mmap2), 2, WHOLE, PROT_READ | PROT_WRITE },
	{ SCMP_SYS(munmap), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(mremap), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(madvise), ANY_ARGUMENT, 0, 0 },
	/* time, where the vDSO does not serve */
	{ SCMP_SYS(clock_gettime), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(clock_gettime64), ANY_ARGUMENT, 0, 0 },
	/* signals, and the end */
	{ SCMP_SYS(rt_sigreturn), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(sigreturn), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(rt_sigaction), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(rt_sigprocmask), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(getpid), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(gettid), ANY_ARGUMENT, 0, 0 },
	{ SCMP_SYS(exit_group), ANY_ARGUMENT, 0, 0 },
};

/* 0, or a negated errno, as libseccomp has it. */
static int
allow(scmp_filter_ctx filter, const struct allowed *a)
{
	struct scmp_arg_cmp compare;

	if (a->argument == ANY_ARGUMENT)
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, a->call, 0);
	compare = SCMP_CMP((unsigned int)a->argument, SCMP_CMP_MASKED_EQ,
	    a->mask, a->value);
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, a->call, 1,
	    &compare);
}

/* raise(3) sends a signal with tgkill(2): to this process, to no other. */
static int
allow_raise(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
	    SCMP_A0(SCMP_CMP_MASKED_EQ, WHOLE, (scmp_datum_t)getpid()));
}

int
sandbox_enter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	size_t i;
	int result = 0;

	if (filter == NULL)
		return 0; /* a kernel without it: libseccomp looks first */
	for (i = 0; i < sizeof(allowlist) / sizeof(allowlist[0]); i++) {
		result = allow(filter, &allowlist[i]);
		if (result < 0)
			break;
	}
	if (result == 0)
		result = allow_raise(filter);
	if (result < 0) {
		seccomp_release(filter);
		errno = -result;
		return -1;
	}
	/* A kernel without it, or one under another's filter, refuses. */
	entered = seccomp_load(filter) == 0;
	seccomp_release(filter);
	return 0;
}

#else

int
sandbox_enter(void)
{
	return 0;
}

#endif

const char *
sandbox_name(void)
{
	return entered ? "seccomp" : "none";
}
