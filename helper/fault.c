/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * System calls that fail when a test says so. Not in a normal build.
 */
#include "config.h"

#define FAULT_C

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"

#define FAULTS_MAX 8
#define SHORT (-1)

enum call {
	CALL_READ,
	CALL_WRITE,
	CALL_POLL,
	CALL_CLOSE,
	CALL_FCNTL,
	CALL_RECVMSG,
	CALL_MALLOC,
	CALL_SPLICE,
	CALLS
};

static const char *const call_names[CALLS] = { "read", "write", "poll", "close",
	"fcntl", "recvmsg", "malloc", "splice" };

static const struct {
	const char *name;
	int what;
} whats[] = { { "short", SHORT }, { "EINTR", EINTR }, { "EIO", EIO },
	{ "EAGAIN", EAGAIN }, { "ENOMEM", ENOMEM }, { "EPIPE", EPIPE },
	{ "ECONNRESET", ECONNRESET }, { "EINVAL", EINVAL },
	{ "ENOSYS", ENOSYS }, { "EPERM", EPERM }, { "EOPNOTSUPP", EOPNOTSUPP },
	{ "ENOSPC", ENOSPC }, { "EFBIG", EFBIG }, { "EDQUOT", EDQUOT },
	{ "EBADF", EBADF }, { "EBUSY", EBUSY }, { "EISDIR", EISDIR },
	{ "EMFILE", EMFILE } };

static struct fault {
	char text[40];
	enum call call;
	int what;
	unsigned long at;
	bool every;
	unsigned long reached;
} faults[FAULTS_MAX];

static size_t nfaults;
static unsigned long calls[CALLS];
static bool ready;

static void
bad(const char *text)
{
	(void)fprintf(stderr, "bad fault: %s\n", text);
	abort();
}

static void
parse(const char *text)
{
	struct fault *f = &faults[nfaults++];
	char call[16], what[16];
	const char *when;
	int used = 0;
	size_t i;

	if (nfaults > FAULTS_MAX ||
	    sscanf(text, "%15[^:]:%15[^:]:%n", call, what, &used) != 2 ||
	    used == 0)
		bad(text);
	when = text + used;
	f->every = *when == '%';
	f->at = strtoul(when + f->every, NULL, 10);
	for (i = 0; i < CALLS && strcmp(call, call_names[i]) != 0; i++)
		continue;
	if (i == CALLS || f->at == 0)
		bad(text);
	f->call = (enum call)i;
	for (i = 0; i < sizeof(whats) / sizeof(whats[0]); i++)
		if (strcmp(what, whats[i].name) == 0)
			f->what = whats[i].what;
	if (f->what == 0)
		bad(text);
	(void)snprintf(f->text, sizeof(f->text), "%s", text);
}

static void
report(void)
{
	const char *fd = getenv("CUPRUM_PUMP_FAULT_REPORT");
	size_t i;

	for (i = 0; fd != NULL && i < nfaults; i++)
		(void)dprintf((int)strtol(fd, NULL, 10), "%s %lu\n",
		    faults[i].text, faults[i].reached);
}

static void
set_up(void)
{
	const char *wanted = getenv("CUPRUM_PUMP_FAULTS");
	char copy[256], *text, *rest = copy;

	ready = true;
	if (wanted == NULL)
		return;
	(void)snprintf(copy, sizeof(copy), "%s", wanted);
	while ((text = strsep(&rest, ",")) != NULL)
		parse(text);
	if (atexit(report) != 0)
		abort();
}

/* What is to go wrong with this call: 0, an errno, or SHORT. */
static int
fault(enum call call)
{
	struct fault *f;
	unsigned long n;

	if (!ready)
		set_up();
	n = ++calls[call];
	for (f = faults; f < faults + nfaults; f++)
		if (f->call == call &&
		    (f->every ? n % f->at == 0 : n == f->at)) {
			f->reached++;
			return f->what;
		}
	return 0;
}

/* errno is set and true if the call is not to be made. */
static bool
fails(enum call call, size_t *size)
{
	int what = fault(call);

	if (what == SHORT && size != NULL)
		*size = *size / 3 + 1 < *size ? *size / 3 + 1 : *size;
	if (what == SHORT || what == 0)
		return false;
	errno = what;
	return true;
}

ssize_t
fault_read(int fd, void *buffer, size_t size)
{
	return fails(CALL_READ, &size) ? -1 : read(fd, buffer, size);
}

ssize_t
fault_write(int fd, const void *buffer, size_t size)
{
	return fails(CALL_WRITE, &size) ? -1 : write(fd, buffer, size);
}

int
fault_poll(struct pollfd *fds, nfds_t nfds, int timeout)
{
	return fails(CALL_POLL, NULL) ? -1 : poll(fds, nfds, timeout);
}

/* A close that fails has closed all the same (close(2)). */
int
fault_close(int fd)
{
	bool failed = fails(CALL_CLOSE, NULL);
	int error = errno;
	int result = close(fd);

	if (!failed)
		return result;
	errno = error;
	return -1;
}

int
fault_fcntl_int(int fd, int command, int argument)
{
	return fails(CALL_FCNTL, NULL) ? -1 : fcntl(fd, command, argument);
}

ssize_t
fault_recvmsg(int fd, struct msghdr *message, int flags)
{
	return fails(CALL_RECVMSG, NULL) ? -1 : recvmsg(fd, message, flags);
}

void *
fault_malloc(size_t size)
{
	return fails(CALL_MALLOC, NULL) ? NULL : malloc(size);
}

void *
fault_calloc(size_t count, size_t size)
{
	return fails(CALL_MALLOC, NULL) ? NULL : calloc(count, size);
}

#ifdef ENABLE_SPLICE
ssize_t
fault_splice(int in, void *in_offset, int out, void *out_offset, size_t size,
    unsigned int flags)
{
	return fails(CALL_SPLICE, &size) ?
	    -1 :
	    splice(in, in_offset, out, out_offset, size, flags);
}
#endif

void
fault_trespass(void)
{
	const char *what = getenv("CUPRUM_PUMP_TRESPASS");
	long result = 0;

	if (what == NULL)
		return;
	if (strcmp(what, "open") == 0)
		result = open("/dev/null", O_RDONLY);
	else if (strcmp(what, "socket") == 0)
		result = socket(AF_UNIX, SOCK_STREAM, 0);
	else if (strcmp(what, "fork") == 0)
		result = fork();
	else if (strcmp(what, "exec") == 0)
		result = execl("/bin/true", "true", (char *)NULL);
	else if (strcmp(what, "ptrace") == 0)
		result = ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	else if (strcmp(what, "kill") == 0)
		result = kill(getppid(), 0);
	else
		bad(what);
	/* Only in a build or a kernel without the filter. */
	_exit(result == -1 ? 98 : 99);
}
