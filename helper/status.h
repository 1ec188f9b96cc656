/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef STATUS_H
#define STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a record says of a hop. Strings are static; NULL becomes null. */
struct status_hop {
	int hop;
	uint64_t read;
	uint64_t written;
	uint64_t discarded;
	const char *engine;
	bool broken_pipe;
	bool released;
	const char *drain;   /* "eof", "timeout", "closed" */
	int error;           /* errno; 0: none */
	const char *side;    /* "read", "write" */
	const char *waiting; /* "input", "output" */
	uint64_t wait_input_ns;
	uint64_t wait_output_ns;
	uint64_t elapsed_ns;
};

enum status_result {
	STATUS_SENT, /* written whole, or there is no status descriptor */
	STATUS_FULL, /* no room now: nothing was written */
	STATUS_LOST  /* the reader has gone, or writing failed (errno) */
};

/*
 * Each function writes one record to fd, in one write(2) that does not block;
 * -1 as fd means that nobody asked for records. A record is shorter than
 * POSIX's smallest PIPE_BUF (512), so records of several writers do not mix.
 */
enum status_result status_start(int fd, size_t hops, const char *sandbox);
enum status_result status_progress(int fd, const struct status_hop *);
enum status_result status_ended(int fd, const struct status_hop *);
enum status_result status_tap(int fd, int hop, uint64_t written, int error);
enum status_result status_end(int fd, int error);

#endif
