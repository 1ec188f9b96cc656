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
#include "sink.h"

/* An input, an output, perhaps a tap, and what went from one to the others. */
struct stream {
	int in;
	enum fds_kind in_kind;
	struct sink out;
	struct sink tap; /* gets every byte before out does */
	size_t limit;    /* most bytes per call */
	uint64_t read;
	uint64_t end; /* bytes of the input after which it is at its end */
	int error;    /* errno, after MOVE_FAILED or MOVE_UNTAPPED */
	enum fds_side error_side;
	int full; /* after MOVE_BLOCKED: what will poll writable */
	/* The copy engine's: what was read last. */
	unsigned char *buffer;
	size_t held;
};

enum move_result {
	MOVE_ON,       /* something moved, or may at once: call again */
	MOVE_STARVED,  /* nothing to read; in will poll readable */
	MOVE_BLOCKED,  /* no room; full is set, and will poll writable */
	MOVE_EOF,      /* end of input, and all that was read is written */
	MOVE_BROKEN,   /* the reader of out has gone */
	MOVE_UNFIT,    /* cannot serve these descriptors; nothing was read */
	MOVE_UNTAPPED, /* the tap has failed (error): close it and go on */
	MOVE_FAILED    /* error and error_side are set */
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
