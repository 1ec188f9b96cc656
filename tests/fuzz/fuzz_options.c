/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * The option parser, as argv and as a job's payload.
 *
 * Input: a byte of choices, a byte for the size of the message buffer, a
 * byte for the number of a job's descriptors; the rest is split at NULs.
 */
#include "config.h"

#include <limits.h>
#include <string.h>

#include <stdio.h>

#include "../../helper/clock.h"
#include "../../helper/options.h"
#include "fuzz.h"

/* Messages as people would see them: kept here, not printed. */
static char printed[1024];
#undef fprintf /* a macro in some C libraries */
#define fprintf(stream, ...) snprintf(printed, sizeof(printed), __VA_ARGS__)
#include "../../helper/complain.c" /* NOLINT(bugprone-suspicious-include) */
#undef fprintf

#define ARGS_MAX 600
#define JOB_FDS 253
#define SECONDS_MAX (UINT64_C(1000000000) * CLOCK_SECOND)
#define GUARD 0x5a

enum { AS_JOB = 1, SMALL_WHY = 2, SAME_FDS = 4, ONE_MORE_FD = 8 };

/* A message buffer of any size, and a byte behind it that stays. */
struct why {
	char text[257];
	size_t size;
};

static void
why_start(struct why *why, size_t size)
{
	memset(why->text, GUARD, sizeof(why->text));
	why->size = size;
}

/* Ended where the buffer ends; and as printed, one line and no controls. */
static void
check_why(const struct why *why, enum options_result result)
{
	const char *c;

	REQUIRE(why->text[why->size] == GUARD);
	if ((result != OPTIONS_BAD && result != OPTIONS_UNPAIRED) ||
	    why->size == 0)
		return;
	REQUIRE(memchr(why->text, '\0', why->size) != NULL);
	REQUIRE(why->size == 1 || why->text[0] != '\0');
	complain("%s", why->text);
	REQUIRE(strncmp(printed, "cuprum-pump: ", 13) == 0);
	for (c = printed; *c != '\n'; c++)
		REQUIRE((unsigned char)*c >= ' ' && *c != 0x7f);
	REQUIRE(c[1] == '\0');
}

static void
check_duration(uint64_t ns, uint64_t least)
{
	REQUIRE(ns == CLOCK_NEVER || (ns >= least && ns <= SECONDS_MAX));
}

/* What section 1 of the contract allows for one option alone. */
static void
check_ranges(const struct options *o)
{
	REQUIRE(o->buffer_size >= 1 && o->buffer_size <= BUFFER_SIZE_MAX);
	REQUIRE(o->pipe_policy == PIPE_GROW_EARNED ||
	    o->pipe_policy == PIPE_KEEP || o->pipe_policy == PIPE_AT_START);
	REQUIRE(o->pipe_policy != PIPE_AT_START || o->pipe_size >= 1);
	REQUIRE(o->engine == ENGINE_AUTO || o->engine == ENGINE_SPLICE ||
	    o->engine == ENGINE_COPY);
	check_duration(o->drain_ns, 0);
	check_duration(o->progress_ns, CLOCK_SECOND / 1000);
	check_duration(o->idle_ns, 0);
	REQUIRE(o->status_fd >= -1 && o->control_fd >= -1);
}

/* A tap is of one hop, and nothing else besides. */
static void
check_taps(const struct options *o)
{
	size_t i, j, taps = 0;
	int tap;

	for (i = 0; i < o->nhops; i++) {
		tap = o->hops[i].tap;
		if (tap == -1)
			continue;
		taps++;
		REQUIRE(tap >= 0 && tap != o->status_fd);
		for (j = 0; j < o->nhops; j++) {
			REQUIRE(tap != o->hops[j].in && tap != o->hops[j].out);
			REQUIRE(j == i || tap != o->hops[j].tap);
		}
	}
	REQUIRE(taps == o->ntaps);
	REQUIRE(taps == 0 || o->engine != ENGINE_SPLICE);
}

/* What it says of options and operands together. */
static void
check_whole(const struct options *o)
{
	size_t i, j;

	if (o->control_fd != -1) {
		REQUIRE(o->nhops == 0 && o->hops == NULL);
		REQUIRE(o->status_fd == -1 && o->ntaps == 0);
		return;
	}
	REQUIRE(o->nhops >= 1 && o->hops != NULL);
	REQUIRE(o->progress_ns == CLOCK_NEVER || o->status_fd != -1);
	REQUIRE(!o->release || o->status_fd != -1);
	REQUIRE(o->idle_ns == CLOCK_NEVER);
	for (i = 0; i < o->nhops; i++) {
		REQUIRE(o->hops[i].in >= 0 && o->hops[i].out >= 0);
		REQUIRE(o->hops[i].in != o->hops[i].out);
		REQUIRE(o->status_fd != o->hops[i].in);
		REQUIRE(o->status_fd != o->hops[i].out);
		for (j = 0; j < i; j++)
			REQUIRE(o->hops[i].out != o->hops[j].out);
	}
	check_taps(o);
}

/* The strings of text, each ended by a NUL, behind argv[0]. Their number. */
static int
split(char *text, size_t size, char **argv, int max)
{
	char *end = text + size;
	int argc = 0;

	while (text < end && argc < max) {
		argv[argc++] = text;
		text += strlen(text) + 1;
	}
	return argc;
}

static void
fuzz_argv(char *text, size_t size, struct why *why)
{
	static char name[] = "cuprum-pump";
	char *argv[ARGS_MAX + 2] = { name };
	struct options opts;
	enum options_result result;
	int argc = 0; /* no input: as execve(2) once allowed */

	if (size > 0)
		argc = 1 + split(text, size, argv + 1, ARGS_MAX);
	argv[argc] = NULL;
	result = options_parse(&opts, argc, argv, why->text, why->size);
	REQUIRE(result != OPTIONS_NO_MEMORY && result != OPTIONS_UNPAIRED);
	check_why(why, result);
	if (result == OPTIONS_RUN) {
		check_ranges(&opts);
		check_whole(&opts);
	}
	options_free(&opts);
	REQUIRE(opts.hops == NULL && opts.nhops == 0);
	REQUIRE(opts.taps == NULL && opts.ntaps == 0);
}

/* Both ways in take the same options to mean the same. */
static void
compare_argv(const struct options *job, char *text, size_t size)
{
	static char name[] = "cuprum-pump", status[] = "--status-fd=999";
	static char numbers[JOB_FDS][8];
	char *argv[ARGS_MAX + JOB_FDS + 3] = { name, status }, why[1];
	struct options opts;
	size_t i, operands = 2 * job->nhops + job->ntaps;
	int argc = 2;

	if (size > 1)
		argc += split(text, size, argv + argc, ARGS_MAX);
	for (i = 0; i < operands; i++) {
		(void)snprintf(numbers[i], sizeof(numbers[i]), "%zu", 1000 + i);
		argv[argc++] = numbers[i];
	}
	argv[argc] = NULL;
	REQUIRE(options_parse(&opts, argc, argv, why, 1) == OPTIONS_RUN);
	REQUIRE(opts.buffer_size == job->buffer_size);
	REQUIRE(opts.pipe_policy == job->pipe_policy);
	REQUIRE(opts.pipe_policy != PIPE_AT_START ||
	    opts.pipe_size == job->pipe_size);
	REQUIRE(opts.engine == job->engine);
	REQUIRE(opts.drain_ns == job->drain_ns);
	REQUIRE(opts.progress_ns == job->progress_ns);
	REQUIRE(opts.release == job->release);
	REQUIRE(opts.nhops == job->nhops && opts.ntaps == job->ntaps);
	for (i = 0; i < job->ntaps; i++)
		REQUIRE(opts.taps[i] == job->taps[i]);
	options_free(&opts);
}

static void
fuzz_job(char *text, size_t size, size_t nfds, int step, struct why *why)
{
	static char name[] = "cuprum-pump", control[] = "--control-fd=3";
	char *argv[] = { name, control, NULL }, nothing[1];
	struct options defaults, opts;
	enum options_result result;
	size_t i;
	int fds[JOB_FDS] = { 0 };

	REQUIRE(options_parse(&defaults, 2, argv, nothing, 1) == OPTIONS_RUN);
	check_whole(&defaults);
	for (i = 0; i < nfds; i++)
		fds[i] = 10 + (int)i * step;
	result = options_parse_job(&opts, &defaults, text, size, fds, nfds,
	    why->text, why->size);
	REQUIRE(result == OPTIONS_RUN || result == OPTIONS_BAD ||
	    result == OPTIONS_UNPAIRED);
	check_why(why, result);
	REQUIRE(opts.status_fd == fds[0] && opts.control_fd == 3);
	REQUIRE(opts.sandbox && !opts.ignore_interrupts);
	if (result == OPTIONS_RUN) {
		check_ranges(&opts);
		REQUIRE(1 + 2 * opts.nhops + opts.ntaps == nfds);
		for (i = 0; i < opts.nhops; i++) {
			REQUIRE(opts.hops[i].in == fds[1 + 2 * i]);
			REQUIRE(opts.hops[i].out == fds[2 + 2 * i]);
		}
		for (i = 0; i < opts.ntaps; i++)
			REQUIRE(opts.hops[opts.taps[i]].tap ==
			    fds[1 + 2 * opts.nhops + i]);
		compare_argv(&opts, text, size);
	}
	options_free(&opts);
	options_free(&defaults);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_bytes input = { data, size };
	int choices = fuzz_byte(&input);
	uint8_t small = fuzz_byte(&input), hops = fuzz_byte(&input);
	size_t nfds = 3 + 2 * (size_t)(hops % (JOB_FDS / 2));
	struct why why;
	char *text = malloc(input.left + 1);

	if (choices & ONE_MORE_FD && nfds < JOB_FDS)
		nfds++;
	REQUIRE(text != NULL);
	if (input.left > 0)
		memcpy(text, input.next, input.left);
	text[input.left] = '\0';
	why_start(&why, choices & SMALL_WHY ? small : sizeof(why.text) - 1);
	if (choices & AS_JOB)
		fuzz_job(text, input.left + 1, nfds, choices & SAME_FDS ? 0 : 1,
		    &why);
	else
		fuzz_argv(text, input.left > 0 ? input.left + 1 : 0, &why);
	free(text);
	return 0;
}
