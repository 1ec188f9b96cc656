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

static enum move_result
failed(struct stream *s, enum fds_side side)
{
	s->error = errno;
	s->error_side = side;
	return MOVE_FAILED;
}

/* How much the next call may read; 0 at the end. */
static size_t
may_read(const struct stream *s)
{
	uint64_t left = s->end - s->read;

	return left < s->limit ? (size_t)left : s->limit;
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
	bool pipe_out = s->out.kind == FDS_FIFO;

	if ((pipe_in && pipe_out) || (pipe_in && s->out.kind == FDS_REGULAR) ||
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
		{ .fd = s->out.fd, .events = POLLOUT },
	};

	if (poll(ends, 2, 0) == -1)
		return errno == EINTR || errno == EAGAIN ? MOVE_ON :
							   failed(s, FDS_READ);
	if (ends[0].revents == 0)
		return MOVE_STARVED;
	if (ends[1].revents == 0) {
		s->full = s->out.fd;
		return MOVE_BLOCKED;
	}
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
	return failed(s, s->out.kind == FDS_FIFO ? FDS_READ : FDS_WRITE);
}

static enum move_result
splice_move(struct stream *s)
{
	size_t size = may_read(s);
	ssize_t n = 0;

	/* Per call: O_NONBLOCK would be seen by all who share the pipe. */
	if (size > 0)
		n = splice(s->in, NULL, s->out.fd, NULL, size,
		    SPLICE_F_NONBLOCK);
	if (n == 0)
		return MOVE_EOF;
	if (n == -1)
		return splice_failed(s);
	s->read += (uint64_t)n;
	s->out.written += (uint64_t)n;
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
	/* Not the tap: if it cannot be, that is not the stream's affair. */
	if (sink_prepare(&s->out) == -1)
		return failed(s, FDS_WRITE);
	return MOVE_ON;
}

static void
copy_detach(struct stream *s)
{
	free(s->buffer);
	s->buffer = NULL;
}

/*
 * Read into the empty buffer. The input's flags are left alone; poll says
 * first whether there is something, so that read does not block. But of a FIFO
 * that was opened before any writer came (O_NONBLOCK) poll says nothing until
 * one does, where read says that it is at its end.
 */
static enum move_result
copy_fill(struct stream *s)
{
	size_t size = may_read(s);
	int ready;
	ssize_t n;

	if (size == 0)
		return MOVE_EOF;
	ready = fds_ready(s->in, POLLIN);
	if (ready == 0 && !(s->in_kind == FDS_FIFO && fds_nonblock(s->in)))
		return MOVE_STARVED;
	n = ready == -1 ? -1 : read(s->in, s->buffer, size);
	if (n == -1)
		return errno == EINTR ? MOVE_ON :
		    errno == EAGAIN   ? MOVE_STARVED :
					failed(s, FDS_READ);
	if (n == 0)
		return MOVE_EOF;
	s->read += (uint64_t)n;
	s->held = (size_t)n;
	return MOVE_ON;
}

/* What a sink has not taken yet of the bytes that were read last. */
static size_t
pending(const struct stream *s, const struct sink *sink)
{
	return (size_t)(s->read - sink->written);
}

static enum move_result
copy_flush(struct stream *s, struct sink *sink)
{
	size_t left = pending(s, sink);

	switch (sink_write(sink, s->buffer + s->held - left, left)) {
	case SINK_TOOK:
		return MOVE_ON;
	case SINK_FULL:
		s->full = sink->fd;
		return MOVE_BLOCKED;
	case SINK_GONE:
		if (sink == &s->out)
			return MOVE_BROKEN;
		break;
	case SINK_FAILED:
		break;
	}
	(void)failed(s, FDS_WRITE);
	return sink == &s->out ? MOVE_FAILED : MOVE_UNTAPPED;
}

static enum move_result
copy_move(struct stream *s)
{
	enum move_result result;

	if (pending(s, &s->out) == 0) {
		result = copy_fill(s);
		if (result != MOVE_ON || pending(s, &s->out) == 0)
			return result;
	}
	/* All of it to the tap first, so that it never lacks what was read. */
	if (s->tap.fd != -1 && pending(s, &s->tap) > 0) {
		result = copy_flush(s, &s->tap);
		if (result != MOVE_ON || pending(s, &s->tap) > 0)
			return result;
	}
	return copy_flush(s, &s->out);
}

const struct engine move_copy = {
	.name = "copy",
	.attach = copy_attach,
	.move = copy_move,
	.detach = copy_detach,
};
