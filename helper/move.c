/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * The two ways to move bytes: splice(2), and read(2) with write(2).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "move.h"
#include "fault.h"

#define TERMINAL_ROOM 32 /* bytes */

static enum move_result
failed(struct stream *s, enum fds_side side)
{
	s->error = errno;
	s->error_side = side;
	return MOVE_FAILED;
}

#ifdef ENABLE_SPLICE

/*
 * Pipe to pipe, or a pipe and a regular file. Never a socket: the kernel
 * would sleep on it with the pipe's mutex held, and whoever else uses that
 * pipe could not even be killed.
 */
static enum move_result
splice_attach(struct stream *s)
{
	bool pipe_in = s->in_kind == FDS_FIFO;
	bool pipe_out = s->out_kind == FDS_FIFO;

	if ((pipe_in && pipe_out) || (pipe_in && s->out_kind == FDS_REGULAR) ||
	    (s->in_kind == FDS_REGULAR && pipe_out))
		return MOVE_ON;
	return MOVE_UNFIT;
}

/* EAGAIN does not say which side it was. */
static enum move_result
splice_again(struct stream *s)
{
	struct pollfd ends[2] = {
		{ .fd = s->in, .events = POLLIN },
		{ .fd = s->out, .events = POLLOUT },
	};

	if (poll(ends, 2, 0) == -1)
		return errno == EINTR || errno == EAGAIN ? MOVE_ON :
							   failed(s, FDS_READ);
	if (ends[0].revents == 0)
		return MOVE_STARVED;
	if (ends[1].revents == 0)
		return MOVE_BLOCKED;
	return MOVE_ON;
}

/* Nor does any other errno; only a file can have most of them. */
static enum move_result
splice_failed(struct stream *s)
{
	switch (errno) {
	case EINTR:
		return MOVE_ON;
	case EAGAIN:
		return splice_again(s);
	case EPIPE:
		return MOVE_BROKEN;
	case EINVAL:
	case ENOSYS:
	case EPERM:
	case EOPNOTSUPP:
		if (s->read == 0) {
			(void)failed(s, FDS_READ); /* keep the reason */
			return MOVE_UNFIT;
		}
		break;
	}
	return failed(s, s->out_kind == FDS_FIFO ? FDS_READ : FDS_WRITE);
}

static enum move_result
splice_move(struct stream *s)
{
	/* Per call: O_NONBLOCK would be seen by all who share the pipe. */
	ssize_t n =
	    splice(s->in, NULL, s->out, NULL, s->limit, SPLICE_F_NONBLOCK);

	if (n == 0)
		return MOVE_EOF;
	if (n == -1)
		return splice_failed(s);
	s->read += (uint64_t)n;
	s->written += (uint64_t)n;
	return MOVE_ON;
}

#else

static enum move_result
splice_attach(struct stream *s)
{
	(void)s;
	return MOVE_UNFIT;
}

static enum move_result
splice_move(struct stream *s)
{
	errno = ENOSYS;
	return failed(s, FDS_READ);
}

#endif

static void
splice_detach(struct stream *s)
{
	(void)s;
}

const struct engine move_splice = {
	.name = "splice",
	.attach = splice_attach,
	.move = splice_move,
	.detach = splice_detach,
};

/*
 * How often O_NONBLOCK was put back. Several outputs may be one open file,
 * and what one hop puts back another may still need: a stream that has seen
 * fewer of these sets the flag again.
 */
static unsigned int put_back;

/* Of what may block for long, these can be told not to (open(2)). */
static bool
can_nonblock(const struct stream *s)
{
	return s->out_kind == FDS_FIFO || s->out_kind == FDS_SOCKET;
}

static enum move_result
set_nonblock(struct stream *s)
{
	if (can_nonblock(s) && fds_set_nonblock(s->out, true) == -1)
		return failed(s, FDS_WRITE);
	s->epoch = put_back;
	return MOVE_ON;
}

static enum move_result
copy_attach(struct stream *s)
{
	/*
	 * What a read has no room for of a packet is lost (O_DIRECT, pipe(2)),
	 * and the reading end does not tell that it carries packets.
	 */
	if (s->in_kind == FDS_FIFO && s->limit < PIPE_BUF)
		s->limit = PIPE_BUF;
	s->buffer = malloc(s->limit);
	if (s->buffer == NULL)
		return failed(s, FDS_READ);
	return set_nonblock(s);
}

static void
copy_detach(struct stream *s)
{
	if (can_nonblock(s) && !s->was_nonblock) {
		/* Best effort: the descriptor was fine a moment ago. */
		(void)fds_set_nonblock(s->out, false);
		put_back++;
	}
	free(s->buffer);
	s->buffer = NULL;
}

/*
 * Read into the empty buffer. The input's flags are left alone; poll says
 * first whether there is something, so that read does not block.
 */
static enum move_result
copy_fill(struct stream *s)
{
	int ready = fds_ready(s->in, POLLIN);
	ssize_t n;

	if (ready == 0)
		return MOVE_STARVED;
	n = ready == -1 ? -1 : read(s->in, s->buffer, s->limit);
	if (n == -1)
		return errno == EINTR ? MOVE_ON :
		    errno == EAGAIN   ? MOVE_STARVED :
					failed(s, FDS_READ);
	if (n == 0)
		return MOVE_EOF;
	s->read += (uint64_t)n;
	s->start = 0;
	s->held = (size_t)n;
	return MOVE_ON;
}

/*
 * How much a write may take without blocking; -1 with errno. A terminal that
 * polls writable has room for 256 bytes (WAKEUP_CHARS of Linux's n_tty), and
 * one may become eight on the way, as a tab does. Its flags are not touched: a
 * shell reads from the same open file.
 */
static ssize_t
copy_room(struct stream *s)
{
	int ready;

	if (s->out_kind != FDS_TERMINAL)
		return (ssize_t)s->held;
	ready = fds_ready(s->out, POLLOUT);
	if (ready == 0)
		errno = EAGAIN;
	if (ready != 1)
		return -1;
	return s->held < TERMINAL_ROOM ? (ssize_t)s->held : TERMINAL_ROOM;
}

static enum move_result
copy_flush(struct stream *s)
{
	ssize_t n;

	if (s->epoch != put_back && set_nonblock(s) != MOVE_ON)
		return MOVE_FAILED;
	n = copy_room(s);
	if (n != -1)
		n = write(s->out, s->buffer + s->start, (size_t)n);
	if (n == -1) {
		switch (errno) {
		case EINTR:
			return MOVE_ON;
		case EAGAIN:
			return MOVE_BLOCKED;
		case EPIPE:
		case ECONNRESET:
			return MOVE_BROKEN;
		}
		return failed(s, FDS_WRITE);
	}
	s->written += (uint64_t)n;
	s->start += (size_t)n;
	s->held -= (size_t)n;
	return MOVE_ON;
}

static enum move_result
copy_move(struct stream *s)
{
	enum move_result result;

	if (s->held == 0) {
		result = copy_fill(s);
		if (result != MOVE_ON || s->held == 0)
			return result;
	}
	return copy_flush(s);
}

const struct engine move_copy = {
	.name = "copy",
	.attach = copy_attach,
	.move = copy_move,
	.detach = copy_detach,
};
