/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * One line that stays alive: bytes, rate, time, and who is being waited for.
 */
#include "config.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef HAVE_LIBUTIL_H
#include <libutil.h>
#endif
#ifdef HAVE_LIBBSD
#include <bsd/stdlib.h>
#endif

#include "clock.h"
#include "display.h"
#include "fds.h"
#include "fault.h"

#define SIZE_BYTES 8 /* "999 GiB": three digits, so that GiB come in time */
#define LINE_MAX_BYTES 128 /* a terminal that polls writable has this room */

/* "1.2 GiB"; the buffer is the caller's. */
static const char *
size_text(uint64_t bytes, char *buffer, size_t size)
{
	int64_t number = bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;

	if (humanize_number(buffer, size, number, "B", HN_AUTOSCALE,
		HN_DECIMAL | HN_IEC_PREFIXES) == -1)
		buffer[0] = '\0';
	return buffer;
}

/* Bytes per second over some nanoseconds. */
static uint64_t
rate(uint64_t bytes, uint64_t ns)
{
	if (ns == 0)
		return 0;
	return (uint64_t)((double)bytes * (double)CLOCK_SECOND / (double)ns);
}

/* Whom the hops wait for; nobody: an empty string. */
static void
waiting_text(const struct display_state *state, uint64_t still, char *buffer,
    size_t size)
{
	uint64_t seconds = still / CLOCK_SECOND;
	const char *whom;

	buffer[0] = '\0';
	if (state->live == 0)
		return;
	if (state->starved == state->live)
		whom = "waiting for input";
	else if (state->blocked > 0)
		whom = "waiting for output";
	else
		return;
	if (seconds > 0)
		(void)snprintf(buffer, size, "  %s %" PRIu64 " s", whom,
		    seconds);
	else
		(void)snprintf(buffer, size, "  %s", whom);
}

void
display_draw(struct display *d, const struct display_state *state, uint64_t now,
    bool last)
{
	uint64_t since = last || d->shown == 0 ? d->started : d->shown;
	uint64_t before = last ? 0 : d->written;
	uint64_t seconds = (now - d->started) / CLOCK_SECOND;
	char line[LINE_MAX_BYTES], bytes[SIZE_BYTES], speed[SIZE_BYTES],
	    waiting[40];
	int length;

	if (state->written != d->written || d->still_since == 0)
		d->still_since = now;
	(void)size_text(state->written, bytes, sizeof(bytes));
	(void)size_text(rate(state->written - before, now - since), speed,
	    sizeof(speed));
	waiting_text(state, now - d->still_since, waiting, sizeof(waiting));
	/* To the first column, and afterwards clear to the end (ECMA-48). */
	length = snprintf(line, sizeof(line),
	    "\r%s  %s/s  %" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "%s%s\033[K%s",
	    bytes, speed, seconds / 3600, seconds / 60 % 60, seconds % 60,
	    waiting, state->discarded > 0 ? "  discarding" : "",
	    last ? "\n" : "");
	d->shown = now;
	d->written = state->written;
	if (length < 0 || (size_t)length >= sizeof(line) ||
	    fds_ready(STDERR_FILENO, POLLOUT) != 1)
		return;
	if (write(STDERR_FILENO, line, (size_t)length) == -1)
		return; /* a terminal that has gone: the hops go on */
}
