/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * What options there are: one table, from which the parser, getopt's own
 * tables and the help text come.
 */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "number.h"
#include "optable.h"

static int
take_buffer_size(struct options *opts, const char *argument)
{
	long long size;

	if (number_parse_size(argument, BUFFER_SIZE_MAX, &size) == -1)
		return -1;
	opts->buffer_size = (size_t)size;
	return 0;
}

static int
take_pipe_size(struct options *opts, const char *argument)
{
	long long size;

	if (strcmp(argument, "auto") == 0)
		opts->pipe_policy = PIPE_GROW_EARNED;
	else if (strcmp(argument, "keep") == 0)
		opts->pipe_policy = PIPE_KEEP;
	else if (number_parse_size(argument, INT_MAX, &size) == 0) {
		opts->pipe_policy = PIPE_AT_START;
		opts->pipe_size = (int)size;
	} else
		return -1;
	return 0;
}

static int
take_engine(struct options *opts, const char *argument)
{
	if (strcmp(argument, "auto") == 0)
		opts->engine = ENGINE_AUTO;
	else if (strcmp(argument, "splice") == 0)
		opts->engine = ENGINE_SPLICE;
	else if (strcmp(argument, "copy") == 0)
		opts->engine = ENGINE_COPY;
	else
		return -1;
	return 0;
}

static int
take_drain(struct options *opts, const char *argument)
{
	if (strcmp(argument, "forever") == 0) {
		opts->drain_ns = CLOCK_NEVER;
		return 0;
	}
	return number_parse_seconds(argument, &opts->drain_ns);
}

/* There is room for as many as there are words. */
static int
take_tap(struct options *opts, const char *argument)
{
	long long hop;

	if (number_parse(argument, INT_MAX, &hop) == -1)
		return -1;
	opts->taps[opts->ntaps++] = (int)hop;
	return 0;
}

static int
take_chain(struct options *opts, const char *argument)
{
	(void)argument;
	opts->chain = true;
	return 0;
}

static int
take_status_fd(struct options *opts, const char *argument)
{
	long long fd;

	if (number_parse(argument, INT_MAX, &fd) == -1)
		return -1;
	opts->status_fd = (int)fd;
	return 0;
}

static int
take_release(struct options *opts, const char *argument)
{
	(void)argument;
	opts->release = true;
	return 0;
}

static int
take_progress(struct options *opts, const char *argument)
{
	if (number_parse_seconds(argument, &opts->progress_ns) == -1)
		return -1;
	/* An interval of nothing would be a busy loop. */
	return opts->progress_ns >= CLOCK_SECOND / 1000 ? 0 : -1;
}

static int
take_ignore_interrupts(struct options *opts, const char *argument)
{
	(void)argument;
	opts->ignore_interrupts = true;
	return 0;
}

static int
take_control_fd(struct options *opts, const char *argument)
{
	long long fd;

	if (number_parse(argument, INT_MAX, &fd) == -1)
		return -1;
	opts->control_fd = (int)fd;
	return 0;
}

static int
take_idle_timeout(struct options *opts, const char *argument)
{
	return number_parse_seconds(argument, &opts->idle_ns);
}

static int
take_no_sandbox(struct options *opts, const char *argument)
{
	(void)argument;
	opts->sandbox = false;
	return 0;
}

const struct optable_row optable[] = {
	{ 'b', ARGV_AND_JOB, "buffer-size", "SIZE",
	    "1 to 1G, with suffix K, M or G", take_buffer_size,
	    "bytes per buffer or splice [64K]" },
	{ 'z', ARGV_AND_JOB, "pipe-size", "auto|keep|SIZE",
	    "auto, keep, or bytes with suffix K, M or G", take_pipe_size,
	    "pipe capacity [auto]" },
	{ 'e', ARGV_AND_JOB, "engine", "auto|splice|copy",
	    "auto, splice or copy", take_engine, "how bytes move [auto]" },
	{ 'd', ARGV_AND_JOB, "drain", "SECONDS|forever", "seconds, or forever",
	    take_drain, "once nobody reads, discard so long [0.25]" },
	{ 'C', ARGV_AND_JOB, "chain", NULL, NULL, take_chain,
	    "hops are one pipeline, and drain as one" },
	{ 'T', ARGV_AND_JOB, "tap", "HOP", "the number of a hop, from 0",
	    take_tap, "copy what crosses it to one more operand" },
	{ 's', ARGV_ONLY, "status-fd", "FD", "the number of a descriptor",
	    take_status_fd, "write status records there" },
	{ 'r', ARGV_AND_JOB, "release", NULL, NULL, take_release,
	    "read there which hops are to end" },
	{ 'p', ARGV_AND_JOB, "progress", "SECONDS", "seconds, at least 0.001",
	    take_progress, "a record, or a line for people, so often" },
	{ 'i', ARGV_ONLY, "ignore-interrupts", NULL, NULL,
	    take_ignore_interrupts, "ignore SIGINT and SIGQUIT" },
	{ 'c', ARGV_ONLY, "control-fd", "FD", "the number of a descriptor",
	    take_control_fd, "serve jobs from this socket" },
	{ 't', ARGV_ONLY, "idle-timeout", "SECONDS", "seconds",
	    take_idle_timeout, "exit after so long without a job" },
	{ OPTABLE_NO_LETTER, ARGV_ONLY, "no-sandbox", NULL, NULL,
	    take_no_sandbox, "keep all rights and descriptors" },
	{ 'h', ARGV_ONLY, "help", NULL, NULL, NULL, "print this text" },
	{ 'V', ARGV_ONLY, "version", NULL, NULL, NULL,
	    "print version, protocol and features" },
};

const size_t optable_rows = sizeof(optable) / sizeof(optable[0]);

_Static_assert(sizeof(optable) / sizeof(optable[0]) <= OPTABLE_MAX,
    "the parser's tables have no room for so many options");

void
optable_getopt(char *shorts, struct option *longs)
{
	size_t i;

	*shorts++ = ':'; /* tell a missing argument from an unknown */
	for (i = 0; i < optable_rows; i++) {
		longs[i] = (struct option){
			.name = optable[i].name,
			.has_arg = optable[i].argument != NULL ?
			    required_argument :
			    no_argument,
			.val = optable[i].letter,
		};
		if (optable[i].letter >= OPTABLE_NO_LETTER)
			continue;
		*shorts++ = (char)optable[i].letter;
		if (optable[i].argument != NULL)
			*shorts++ = ':';
	}
	longs[optable_rows] = (struct option){ 0 };
	*shorts = '\0';
}

const struct optable_row *
optable_find(int letter)
{
	size_t i;

	for (i = 0; i < optable_rows; i++)
		if (optable[i].letter == letter)
			return &optable[i];
	return NULL;
}

int
optable_print_help(void)
{
	char left[40], letter[] = "-?,";
	size_t i;

	if (printf(
		"Usage: cuprum-pump [OPTION]... [IN_FD OUT_FD]... [TAP_FD]...\n"
		"       cuprum-pump [OPTION]... --control-fd=FD\n"
		"Move bytes from each IN_FD to its OUT_FD, all pairs at once; "
		"without operands,\nfrom standard input to standard "
		"output.\n\n") < 0)
		return -1;
	for (i = 0; i < optable_rows; i++) {
		letter[1] = (char)optable[i].letter;
		(void)snprintf(left, sizeof(left), "%s --%s%s%s",
		    optable[i].letter < OPTABLE_NO_LETTER ? letter : "   ",
		    optable[i].name, optable[i].argument != NULL ? "=" : "",
		    optable[i].argument != NULL ? optable[i].argument : "");
		if (printf("  %-32s %s\n", left, optable[i].help) < 0)
			return -1;
	}
	if (printf(
		"\nExit status: 0 all went well, 64 usage, 71 a descriptor was "
		"refused, 74 a hop\nor a tap failed, 75 the reader of the "
		"status records has gone, 77 set-user-ID.\n"
		"cuprum-pump(1) has the whole of it.\n") < 0)
		return -1;
	return fflush(stdout) == 0 ? 0 : -1;
}
