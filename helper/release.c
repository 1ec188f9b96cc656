/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * What the reader of the records asks for in its turn.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "number.h"
#include "release.h"
#include "fault.h"

/* The number in a line that is complete; or -1. */
static long long
number(struct release *r)
{
	long long hop;

	if (r->length == sizeof(r->line))
		return -1;
	r->line[r->length] = '\0';
	if (strlen(r->line) != r->length ||
	    number_parse(r->line, INT_MAX, &hop) == -1)
		return -1;
	return hop;
}

void
release_read(struct release *r, struct hop *hops, size_t nhops, uint64_t now)
{
	char bytes[256];
	ssize_t i, n = read(r->fd, bytes, sizeof(bytes));
	long long hop;

	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		r->fd = -1; /* the records find out if all is lost */
	for (i = 0; i < n; i++) {
		if (bytes[i] != '\n') {
			if (r->length < sizeof(r->line))
				r->line[r->length++] = bytes[i];
			continue;
		}
		hop = number(r);
		r->length = 0;
		if (hop >= 0 && (size_t)hop < nhops)
			hop_release(&hops[hop], now);
	}
}
