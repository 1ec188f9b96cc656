/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef SINK_H
#define SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fds.h"

/*
 * A descriptor to write to without ever waiting for it: an output or a tap.
 * Begins with fd, kind and was_nonblock set, and all else zero.
 */
struct sink {
	int fd; /* -1: none, or closed */
	enum fds_kind kind;
	bool was_nonblock; /* O_NONBLOCK, as the program found it */
	bool nonblock_set; /* here, and is to be put back */
	uint64_t epoch;
	uint64_t written;
};

enum sink_result {
	SINK_TOOK,  /* some bytes, or none: call again */
	SINK_FULL,  /* no room; fd will poll writable */
	SINK_GONE,  /* the reader has gone (errno) */
	SINK_FAILED /* errno */
};

/* Set O_NONBLOCK where that helps. 0, or -1 with errno. */
int sink_prepare(struct sink *);

/* Write what there is room for; written counts it. Prepares the sink. */
enum sink_result sink_write(struct sink *, const unsigned char *, size_t);

/* Put back O_NONBLOCK. Nothing if it was not set here. */
void sink_restore(struct sink *);

/*
 * Restore it and close it. 0, or -1 with errno: a file system may report only
 * here that earlier writes were lost (close(2)).
 */
int sink_close(struct sink *);

#endif
