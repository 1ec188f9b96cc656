/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUFFER_SIZE_MAX (INT64_C(1) << 30)

enum engine_choice { ENGINE_AUTO, ENGINE_SPLICE, ENGINE_COPY };

enum pipe_policy {
	PIPE_GROW_EARNED, /* grow once enough has gone through */
	PIPE_KEEP,
	PIPE_AT_START
};

struct operands {
	int in;
	int out;
	int tap; /* -1: none */
};

struct options {
	size_t buffer_size; /* bytes */
	enum pipe_policy pipe_policy;
	int pipe_size; /* bytes, with PIPE_AT_START */
	enum engine_choice engine;
	bool chain;        /* each hop is fed by the reader of the one before */
	uint64_t drain_ns; /* CLOCK_NEVER: no limit */
	int status_fd;     /* -1: none */
	uint64_t progress_ns; /* CLOCK_NEVER: off */
	bool release;         /* status_fd tells which hops to release */
	bool ignore_interrupts;
	int control_fd;   /* -1: none, and there are hops */
	uint64_t idle_ns; /* CLOCK_NEVER: no limit */
	bool sandbox;
	int *taps; /* of --tap, hops in this order; owned, options_free */
	size_t ntaps;
	struct operands *hops; /* owned; options_free */
	size_t nhops;
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_BAD,      /* why says what is wrong, in one line */
	OPTIONS_UNPAIRED, /* the same: a job's descriptors are no sound array */
	OPTIONS_NO_MEMORY /* errno */
};

/*
 * Read a command line into opts, beginning with the defaults. argv is
 * permuted as getopt_long(3) does. Whatever the result, options_free
 * afterwards.
 */
enum options_result options_parse(struct options *opts, int argc, char **argv,
    char *why, size_t why_size);

/*
 * The same for a job: its payload holds options that make sense for one job,
 * as they would stand in argv, each ended by a NUL; fds are the status
 * descriptor and the operands, at least two. What it does not say is as in
 * defaults, the options that came with --control-fd.
 */
enum options_result options_parse_job(struct options *opts,
    const struct options *defaults, char *payload, size_t length,
    const int *fds, size_t nfds, char *why, size_t why_size);

/* Free what opts own; they have no hops then. */
void options_free(struct options *opts);

#endif
