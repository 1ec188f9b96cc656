/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * What can be asked of a hop: what it waits for, until when, and its record.
 */
#include "config.h"

#include "clock.h"
#include "hop.h"

void
hop_poll(const struct hop *h, struct pollfd ends[2])
{
	const struct stream *s = &h->stream;
	bool blocked = h->wait == HOP_BLOCKED;

	ends[0] = (struct pollfd){ .fd = -1 };
	ends[1] = (struct pollfd){ .fd = -1 };
	if (h->phase == HOP_ENDED)
		return;
	if (!blocked)
		ends[0] = (struct pollfd){ .fd = s->in, .events = POLLIN };
	else if (s->full != s->out.fd)
		ends[0] = (struct pollfd){ .fd = s->full, .events = POLLOUT };
	/*
	 * Also while it waits for another, without asking for room: poll
	 * reports that the reader has gone unasked (POLLERR, POLLHUP).
	 */
	if (h->phase == HOP_FLOWING) {
		ends[1].fd = s->out.fd;
		if (blocked && s->full == s->out.fd)
			ends[1].events = POLLOUT;
	}
}

uint64_t
hop_deadline(const struct hop *h)
{
	switch (h->phase) {
	case HOP_FLOWING:
		return h->wait == HOP_READY ? 0 : CLOCK_NEVER;
	case HOP_DRAINING:
		return h->drain_until;
	default:
		return CLOCK_NEVER;
	}
}

bool
hop_tap_ended(const struct hop *h)
{
	return h->tapped && h->stream.tap.fd == -1;
}

/* For whom the hop waits, as records name it. */
static const char *
waiting(const struct hop *h)
{
	switch (h->wait) {
	case HOP_STARVED:
		return "input";
	case HOP_BLOCKED:
		return "output";
	default:
		return NULL;
	}
}

struct status_hop
hop_report(const struct hop *h, uint64_t now)
{
	uint64_t waited = now - h->wait_since;

	return (struct status_hop){
		.hop = h->index,
		.read = h->stream.read,
		.written = h->stream.out.written,
		.discarded = h->discarded,
		.engine = h->engine->name,
		.broken_pipe = h->broken_pipe,
		.released = h->released,
		.drain = h->drain,
		.error = h->error,
		.side = h->side,
		.waiting = waiting(h),
		.wait_input_ns =
		    h->wait_input_ns + (h->wait == HOP_STARVED ? waited : 0),
		.wait_output_ns =
		    h->wait_output_ns + (h->wait == HOP_BLOCKED ? waited : 0),
		.elapsed_ns =
		    (h->phase == HOP_ENDED ? h->ended : now) - h->started,
	};
}
