/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef MOVE_H
#define MOVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fds.h"

/* Two descriptors and what went from one to the other. */
struct stream {
	int in;
	int out;
	enum fds_kind in_kind;
	enum fds_kind out_kind;
	size_t limit; /* most bytes per call */
	uint64_t read;
	uint64_t written;
	int error; /* errno, after MOVE_FAILED */
	enum fds_side error_side;
	/* The copy engine's: bytes read and not yet written. */
	unsigned char *buffer;
	size_t start;
	size_t held;
	bool was_nonblock; /* out's O_NONBLOCK, as the program found it */
	unsigned int epoch;
};

enum move_result {
	MOVE_ON,      /* something moved, or may at once: call again */
	MOVE_STARVED, /* nothing to read; in will poll readable */
	MOVE_BLOCKED, /* no room; out will poll writable */
	MOVE_EOF,     /* end of input, and all that was read is written */
	MOVE_BROKEN,  /* the reader of out has gone */
	MOVE_UNFIT,   /* cannot serve these descriptors; nothing was read */
	MOVE_FAILED   /* error and error_side are set */
};

/*
 * A way to move bytes. attach makes the stream ready: MOVE_ON, MOVE_UNFIT or
 * MOVE_FAILED. move does what it can without blocking. detach gives back what
 * attach took; the descriptors stay open.
 */
struct engine {
	const char *name;
	enum move_result (*attach)(struct stream *);
	enum move_result (*move)(struct stream *);
	void (*detach)(struct stream *);
};

extern const struct engine move_splice;
extern const struct engine move_copy;

#endif
