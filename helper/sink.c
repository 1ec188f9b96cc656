/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * Writing without blocking, whatever the descriptor is.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "sink.h"
#include "fault.h"

#define TERMINAL_ROOM 32 /* bytes */

/*
 * How often O_NONBLOCK was put back, from 1. Several sinks may be one open
 * file, and what one puts back another may still need: a sink that has seen
 * fewer of these sets the flag again.
 */
static uint64_t put_back = 1;

int
sink_prepare(struct sink *sink)
{
	/* Of what may block for long, these can be told not to (open(2)). */
	if (sink->kind == FDS_FIFO || sink->kind == FDS_SOCKET) {
		if (fds_set_nonblock(sink->fd, true) == -1)
			return -1;
		sink->nonblock_set = !sink->was_nonblock;
	}
	sink->epoch = put_back;
	return 0;
}

/*
 * How much of size a write may take without blocking; -1 with errno. A
 * terminal that polls writable has room for 256 bytes (WAKEUP_CHARS of Linux's
 * n_tty), and one may become eight on the way, as a tab does. Its flags are
 * not touched: a shell reads from the same open file.
 */
static ssize_t
room(const struct sink *sink, size_t size)
{
	int ready;

	if (sink->kind != FDS_TERMINAL)
		return (ssize_t)size;
	ready = fds_ready(sink->fd, POLLOUT);
	if (ready == 0)
		errno = EAGAIN;
	if (ready != 1)
		return -1;
	return size < TERMINAL_ROOM ? (ssize_t)size : TERMINAL_ROOM;
}

enum sink_result
sink_write(struct sink *sink, const unsigned char *bytes, size_t size)
{
	ssize_t n;

	if (sink->epoch != put_back && sink_prepare(sink) == -1)
		return SINK_FAILED;
	n = room(sink, size);
	if (n != -1)
		n = write(sink->fd, bytes, (size_t)n);
	if (n == -1) {
		switch (errno) {
		case EINTR:
			return SINK_TOOK;
		case EAGAIN:
			return SINK_FULL;
		case EPIPE:
		case ECONNRESET:
			return SINK_GONE;
		default:
			return SINK_FAILED;
		}
	}
	sink->written += (uint64_t)n;
	return SINK_TOOK;
}

void
sink_restore(struct sink *sink)
{
	if (!sink->nonblock_set)
		return;
	/* Best effort: the descriptor was fine a moment ago. */
	(void)fds_set_nonblock(sink->fd, false);
	sink->nonblock_set = false;
	put_back++;
}

int
sink_close(struct sink *sink)
{
	int fd = sink->fd;

	sink_restore(sink);
	sink->fd = -1;
	return close(fd) == -1 && errno != EINTR ? -1 : 0;
}
