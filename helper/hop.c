/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * One hop: flowing, perhaps draining, ended. Every byte that was read is
 * written or discarded, and counted.
 */
#include "config.h"

#include <sys/socket.h>
#include <errno.h>
#include <unistd.h>

#include "clock.h"
#include "hop.h"
#include "fault.h"

/*
 * A pipe of 256 KiB moves two to three times as much as one of 64 KiB; more
 * gains nothing. Past pipe-user-pages-soft (pipe(7)) a user's new pipes
 * shrink, so only a hop that carries much data asks for it.
 */
#define GROW_AFTER (UINT64_C(1) << 20)
#define GROW_TO (256 * 1024)

/* Calls of the engine before other hops have their turn. */
#define STEP_MOVES 32

/* Where drained bytes go; all hops share it, nobody reads it. */
static unsigned char nowhere[64 * 1024];

static void
stop_waiting(struct hop *h, uint64_t now)
{
	if (h->wait == HOP_STARVED)
		h->wait_input_ns += now - h->wait_since;
	else if (h->wait == HOP_BLOCKED)
		h->wait_output_ns += now - h->wait_since;
	h->wait = HOP_READY;
}

static void
wait_for(struct hop *h, enum hop_wait what, uint64_t now)
{
	h->wait = what;
	h->wait_since = now;
}

static void
set_error(struct hop *h, int error, const char *side)
{
	if (h->error != 0)
		return; /* the first one is the cause */
	h->error = error;
	h->side = side;
}

/* A failure here is the tap's own: the stream goes on. */
static void
close_tap(struct hop *h, int error)
{
	struct sink *tap = &h->stream.tap;

	if (tap->fd == -1)
		return;
	if (sink_close(tap) == -1 && error == 0)
		error = errno;
	h->tap_error = error;
}

/* Close the output at once, so that its reader sees the end; then the tap. */
static void
close_output(struct hop *h)
{
	struct stream *s = &h->stream;

	if (s->out.fd == -1)
		return;
	h->engine->detach(s);
	if (h->half_close)
		(void)shutdown(s->out.fd, SHUT_WR);
	if (sink_close(&s->out) == -1 && !h->broken_pipe)
		set_error(h, errno, fds_side_name(FDS_WRITE));
	close_tap(h, 0);
}

/* What was read and is in nobody's hands goes nowhere any more. */
static void
discard_rest(struct hop *h)
{
	h->discarded = h->stream.read - h->stream.out.written;
}

static void
end(struct hop *h, uint64_t now)
{
	discard_rest(h);
	close_output(h);
	(void)close(h->stream.in);
	h->stream.in = -1;
	h->phase = HOP_ENDED;
	h->ended = now;
}

static void
fail(struct hop *h, int error, const char *side, uint64_t now)
{
	set_error(h, error, side);
	end(h, now);
}

static void
end_drain(struct hop *h, const char *how, uint64_t now)
{
	h->drain = how;
	end(h, now);
}

/* Nobody reads the output any more. */
static void
broken(struct hop *h, uint64_t now)
{
	uint64_t drain = h->opts->drain_ns;

	h->broken_pipe = true;
	discard_rest(h);
	close_output(h);
	if (drain == 0) {
		end_drain(h, "closed", now);
		return;
	}
	h->phase = HOP_DRAINING;
	h->drain_until = drain == CLOCK_NEVER ? CLOCK_NEVER : now + drain;
	/* A chain has one drain: it began where the first reader left. */
	if (h->next != NULL && h->next->broken_pipe &&
	    h->next->drain_until < h->drain_until)
		h->drain_until = h->next->drain_until;
}

/* Whether copy may take over where splice cannot serve. */
static bool
may_copy(const struct hop *h)
{
	return h->opts->engine == ENGINE_AUTO && h->engine != &move_copy;
}

/* Begin with an engine, or with copy; end the hop if that cannot be. */
static void
use_engine(struct hop *h, const struct engine *engine, uint64_t now)
{
	struct stream *s = &h->stream;
	enum move_result fit;

	h->engine = engine;
	fit = engine->attach(s);
	if (fit == MOVE_UNFIT && may_copy(h)) {
		h->engine = &move_copy;
		fit = move_copy.attach(s);
	}
	if (fit == MOVE_UNFIT)
		fail(h, EINVAL, NULL, now);
	else if (fit == MOVE_FAILED)
		fail(h, s->error, fds_side_name(s->error_side), now);
}

/* Before a byte has moved, copy may still take over. */
static void
change_engine(struct hop *h, uint64_t now)
{
	h->engine->detach(&h->stream);
	if (may_copy(h))
		use_engine(h, &move_copy, now);
	else
		fail(h, h->stream.error, NULL, now);
}

static void
ask_pipe_sizes(struct hop *h, int size, bool only_grow)
{
	fds_pipe_size(h->stream.in, size, only_grow);
	fds_pipe_size(h->stream.out.fd, size, only_grow);
	h->grown = true;
}

/* A sink that nothing was done with yet. */
static struct sink
begin(const struct sink *was)
{
	return (struct sink){
		.fd = was->fd,
		.kind = was->fd == -1 ? FDS_OTHER : fds_kind(was->fd),
		.was_nonblock = was->was_nonblock,
	};
}

void
hop_start(struct hop *h, int index, const struct options *opts, bool out_shared,
    uint64_t now)
{
	const struct stream was = h->stream;
	const struct hop *next = h->next;

	*h = (struct hop){
		.index = index,
		.opts = opts,
		.next = next,
		.stream = {
			.in = was.in,
			.in_kind = fds_kind(was.in),
			.out = begin(&was.out),
			.tap = begin(&was.tap),
			.limit = opts->buffer_size,
			.end = UINT64_MAX,
		},
		.started = now,
	};
	h->half_close = out_shared && h->stream.out.kind == FDS_SOCKET;
	h->tapped = h->stream.tap.fd != -1;
	if (opts->pipe_policy == PIPE_AT_START)
		ask_pipe_sizes(h, opts->pipe_size, false);
	h->grown = opts->pipe_policy != PIPE_GROW_EARNED;
	use_engine(h,
	    opts->engine == ENGINE_COPY || h->tapped ? &move_copy :
						       &move_splice,
	    now);
}

static void
flow(struct hop *h)
{
	enum move_result result = MOVE_ON;
	struct stream *s = &h->stream;
	int moves;

	for (moves = 0; moves < STEP_MOVES && result == MOVE_ON; moves++)
		result = h->engine->move(s);
	if (!h->grown && s->read >= GROW_AFTER)
		ask_pipe_sizes(h, GROW_TO, true);
	switch (result) {
	case MOVE_ON:
		break;
	case MOVE_STARVED:
		if (h->released && fds_unread(s->in) == 0)
			end(h, clock_now()); /* others have taken the rest */
		else
			wait_for(h, HOP_STARVED, clock_now());
		break;
	case MOVE_BLOCKED:
		wait_for(h, HOP_BLOCKED, clock_now());
		break;
	case MOVE_EOF:
		end(h, clock_now());
		break;
	case MOVE_BROKEN:
		broken(h, clock_now());
		break;
	case MOVE_UNFIT:
		change_engine(h, clock_now());
		break;
	case MOVE_UNTAPPED:
		close_tap(h, s->error);
		break;
	case MOVE_FAILED:
		fail(h, s->error, fds_side_name(s->error_side), clock_now());
		break;
	}
}

/* One read: an endless producer must not keep other hops from theirs. */
static void
drain(struct hop *h, uint64_t now)
{
	uint64_t left = h->stream.end - h->stream.read;
	size_t size = left < sizeof(nowhere) ? (size_t)left : sizeof(nowhere);
	int ready;
	ssize_t n;

	if (now >= h->drain_until) {
		end_drain(h, "timeout", now);
		return;
	}
	/* Not what the loop's poll said: another hop may share the input. */
	ready = left == 0 ? 0 : fds_ready(h->stream.in, POLLIN);
	if (ready == 0 && h->released)
		end_drain(h, "eof", now);
	if (ready == 0)
		return;
	n = ready == -1 ? -1 : read(h->stream.in, nowhere, size);
	if (n > 0) {
		h->stream.read += (uint64_t)n;
		h->discarded += (uint64_t)n;
	} else if (n == 0)
		end_drain(h, "eof", now);
	else if (errno != EINTR && errno != EAGAIN)
		fail(h, errno, fds_side_name(FDS_READ), now);
}

void
hop_step(struct hop *h, const struct pollfd ends[2], uint64_t now)
{
	bool first = ends[0].revents != 0, output = ends[1].revents != 0, gone;

	switch (h->phase) {
	case HOP_FLOWING:
		if (h->wait != HOP_READY && !first && !output)
			return;
		/* Input that is there, its end included, is served first. */
		gone = !first && output && h->wait != HOP_READY &&
		    ends[1].events == 0;
		stop_waiting(h, now);
		if (gone && h->stream.out.kind == FDS_TERMINAL)
			fail(h, EIO, fds_side_name(FDS_WRITE), now);
		else if (gone)
			broken(h, now);
		else
			flow(h);
		break;
	case HOP_DRAINING:
		drain(h, now);
		break;
	case HOP_ENDED:
		break;
	}
}

void
hop_release(struct hop *h, uint64_t now)
{
	struct stream *s = &h->stream;

	if (h->phase == HOP_ENDED || h->released || fds_ready(s->in, 0) == 1)
		return;
	h->released = true;
	s->end = s->read + fds_unread(s->in);
	stop_waiting(h, now); /* so that it looks anew */
}

void
hop_abort(struct hop *h, int error, uint64_t now)
{
	if (h->phase == HOP_ENDED)
		return;
	stop_waiting(h, now);
	fail(h, error, NULL, now);
}
