/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef DISPLAY_H
#define DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All hops together, as a person in front of a terminal wants to see them. */
struct display_state {
	uint64_t written;   /* bytes, of all hops */
	uint64_t discarded; /* bytes */
	size_t live;        /* hops that have not ended */
	size_t starved;     /* of those, waiting for input */
	size_t blocked;     /* of those, waiting for output */
};

/* What was on the line last. Begins with started set and all else zero. */
struct display {
	uint64_t started;
	uint64_t shown; /* when; 0: never */
	uint64_t written;
	uint64_t still_since; /* when the last byte was written */
};

/*
 * Draw the line on standard error, over the one before. A terminal that takes
 * no more is left alone: the next one comes. After the last one the cursor
 * goes to a new line, and the rate is that of the whole run.
 */
void display_draw(struct display *, const struct display_state *, uint64_t now,
    bool last);

#endif
