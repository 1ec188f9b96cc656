/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * Descriptors: what they are, and their flags and sizes.
 */
#include "config.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef HAVE_LIBBSD
#include <bsd/unistd.h>
#endif

#include "fds.h"
#include "fault.h"

const char *
fds_side_name(enum fds_side side)
{
	return side == FDS_READ ? "read" : "write";
}

/* 0, or -1 with errno: a socket that is no stream of bytes. */
static int
check_stream(int fd)
{
	socklen_t length = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == -1)
		return -1;
	if (type == SOCK_STREAM)
		return 0;
	errno = EPROTOTYPE;
	return -1;
}

int
fds_check(int fd, enum fds_side side)
{
	int mode, flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags == -1 || fstat(fd, &st) == -1)
		return -1;
	mode = flags & O_ACCMODE;
#ifdef O_PATH
	if (flags & O_PATH)
		mode = -1; /* a name only: good for neither direction */
#endif
	if (mode != O_RDWR &&
	    mode != (side == FDS_READ ? O_RDONLY : O_WRONLY)) {
		errno = EBADF;
		return -1;
	}
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return -1;
	}
	if (S_ISSOCK(st.st_mode) && side == FDS_READ)
		return check_stream(fd);
	return 0;
}

bool
fds_feeds_itself(int in, int out)
{
	struct stat a, b;
	off_t from = lseek(in, 0, SEEK_CUR), to = lseek(out, 0, SEEK_CUR);
	int flags = fcntl(out, F_GETFL);

	if (from == -1 || to == -1 || flags == -1 || fstat(in, &a) == -1 ||
	    fstat(out, &b) == -1)
		return false;
	if (!S_ISREG(a.st_mode) || a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return false;
	return from < a.st_size && ((flags & O_APPEND) || from < to);
}

enum fds_kind
fds_kind(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return FDS_OTHER;
	if (S_ISFIFO(st.st_mode))
		return FDS_FIFO;
	if (S_ISSOCK(st.st_mode))
		return FDS_SOCKET;
	if (S_ISREG(st.st_mode))
		return FDS_REGULAR;
	return isatty(fd) ? FDS_TERMINAL : FDS_OTHER;
}

static int
compare(const void *a, const void *b)
{
	const int *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* closefrom(3) takes no exceptions: the gaps below the last are ours. */
void
fds_close_others(int *keep, size_t nkeep)
{
	int fd = STDERR_FILENO + 1;
	size_t i;

	qsort(keep, nkeep, sizeof(*keep), compare);
	for (i = 0; i < nkeep; i++) {
		for (; fd < keep[i]; fd++)
			(void)close(fd);
		if (fd == keep[i])
			fd++;
	}
	closefrom(fd);
}

int
fds_fill_standard(void)
{
	int fd;

	/* open(2) takes the lowest one that is free, and that is fd. */
	for (fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) == -1)
			return -1;
	return 0;
}

int
fds_duplicate(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

int
fds_ready(int fd, short events)
{
	struct pollfd one = { .fd = fd, .events = events };

	return poll(&one, 1, 0);
}

size_t
fds_unread(int fd)
{
	int n;

	return ioctl(fd, FIONREAD, &n) == -1 || n < 0 ? 0 : (size_t)n;
}

bool
fds_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags != -1 && (flags & O_NONBLOCK);
}

int
fds_set_nonblock(int fd, bool nonblock)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1)
		return -1;
	return fcntl(fd, F_SETFL,
	    nonblock ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

void
fds_pipe_size(int fd, int size, bool only_grow)
{
#ifdef F_SETPIPE_SZ
	if (only_grow && fcntl(fd, F_GETPIPE_SZ) >= size)
		return;
	(void)fcntl(fd, F_SETPIPE_SZ, size);
#else
	(void)fd;
	(void)size;
	(void)only_grow;
#endif
}
