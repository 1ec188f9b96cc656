/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * Options and operands, as they stand in argv or come with a job.
 */
#include "config.h"

#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "number.h"
#include "optable.h"
#include "options.h"
#include "fault.h"

/* Far more than there are options. */
#define JOB_ARGS_MAX 64

static char program[] = "cuprum-pump";

/* getopt_long's two tables; longs has one element more than rows. */
static void
getopt_tables(char *shorts, struct option *longs)
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

static const struct optable_row *
find_row(int letter)
{
	size_t i;

	for (i = 0; i < optable_rows; i++)
		if (optable[i].letter == letter)
			return &optable[i];
	return NULL;
}

static enum options_result bad(char *why, size_t size, const char *fmt, ...)
    __attribute__((__format__(__printf__, 3, 4)));

static enum options_result
bad(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(why, size, fmt, ap) < 0 && size > 0)
		why[0] = '\0';
	va_end(ap);
	return OPTIONS_BAD;
}

/* What getopt_long returned ':' or '?' for. */
static enum options_result
bad_option(char *const *argv, int result, char *why, size_t size)
{
	const struct optable_row *row = find_row(optopt);

	if (result == ':' && row != NULL)
		return bad(why, size, "option --%s needs an argument: %s",
		    row->name, row->expects);
	if (row != NULL)
		return bad(why, size, "option --%s takes no argument: '%s'",
		    row->name, argv[optind - 1]);
	if (optopt != 0)
		return bad(why, size, "unknown option '-%c'", optopt);
	return bad(why, size, "unknown or ambiguous option '%s'",
	    argv[optind - 1]);
}

/* getopt_long begins anew; how, differs between systems. */
static void
getopt_reset(void)
{
	opterr = 0; /* the messages are ours */
#if HAVE_DECL_OPTRESET
	optreset = 1;
	optind = 1;
#else
	optind = 0;
#endif
}

static enum options_result
parse_options(struct options *opts, enum place place, int argc, char **argv,
    char *why, size_t size)
{
	char shorts[2 * OPTABLE_MAX + 2];
	struct option longs[OPTABLE_MAX + 1];
	const struct optable_row *row;
	int c;

	getopt_tables(shorts, longs);
	getopt_reset();
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		row = find_row(c);
		if (row == NULL)
			return bad_option(argv, c, why, size);
		if (row->place < place)
			return bad(why, size,
			    "option --%s has no place in a job", row->name);
		if (c == 'h')
			return OPTIONS_HELP;
		if (c == 'V')
			return OPTIONS_VERSION;
		if (row->take(opts, optarg) == -1)
			return bad(why, size,
			    "invalid argument '%s' for --%s: expected %s",
			    optarg, row->name, row->expects);
	}
	return OPTIONS_RUN;
}

/* Options that say nothing without another, or against it. */
static enum options_result
check_options(const struct options *opts, int operands, char *why, size_t size)
{
	if (opts->control_fd == -1) {
		if (opts->progress_ns != CLOCK_NEVER && opts->status_fd == -1 &&
		    !isatty(STDERR_FILENO))
			return bad(why, size,
			    "option --progress needs --status-fd, "
			    "or a terminal as standard error");
		if (opts->idle_ns != CLOCK_NEVER)
			return bad(why, size,
			    "option --idle-timeout needs --control-fd");
		return OPTIONS_RUN;
	}
	if (opts->status_fd != -1)
		return bad(why, size,
		    "option --status-fd does not go with --control-fd");
	if (operands > 0)
		return bad(why, size, "option --control-fd takes no operands");
	return OPTIONS_RUN;
}

/* The operands, in pairs; none at all means 0 to 1. */
static enum options_result
parse_operands(struct options *opts, int count, char **operands, char *why,
    size_t size)
{
	long long fd[2];
	size_t i, side;

	if (count % 2 != 0)
		return bad(why, size,
		    "operand '%s' has no partner: "
		    "IN_FD and OUT_FD come in pairs",
		    operands[count - 1]);
	opts->nhops = count == 0 ? 1 : (size_t)count / 2;
	opts->hops = calloc(opts->nhops, sizeof(*opts->hops));
	if (opts->hops == NULL)
		return OPTIONS_NO_MEMORY;
	if (count == 0) {
		opts->hops[0] = (struct operands){ .in = 0, .out = 1 };
		return OPTIONS_RUN;
	}
	for (i = 0; i < opts->nhops; i++) {
		for (side = 0; side < 2; side++)
			if (number_parse(operands[2 * i + side], INT_MAX,
				&fd[side]) == -1)
				return bad(why, size,
				    "operand '%s' is not the number of a "
				    "descriptor",
				    operands[2 * i + side]);
		opts->hops[i] =
		    (struct operands){ .in = (int)fd[0], .out = (int)fd[1] };
	}
	return OPTIONS_RUN;
}

/* What would mix streams up: a descriptor in two parts that exclude it. */
static enum options_result
check_operands(const struct options *opts, char *why, size_t size)
{
	const struct operands *hop;
	size_t i, j;

	for (i = 0; i < opts->nhops; i++) {
		hop = &opts->hops[i];
		if (hop->in == hop->out)
			return bad(why, size,
			    "descriptor %d is input and "
			    "output of one hop",
			    hop->in);
		if (opts->status_fd == hop->in || opts->status_fd == hop->out)
			return bad(why, size,
			    "descriptor %d is both operand "
			    "and --status-fd",
			    opts->status_fd);
		for (j = 0; j < i; j++)
			if (opts->hops[j].out == hop->out)
				return bad(why, size,
				    "descriptor %d is the "
				    "output of two hops",
				    hop->out);
	}
	return OPTIONS_RUN;
}

enum options_result
options_parse(struct options *opts, int argc, char **argv, char *why,
    size_t why_size)
{
	enum options_result result;

	*opts = (struct options){
		.buffer_size = 64 * 1024,
		.pipe_policy = PIPE_GROW_EARNED,
		.engine = ENGINE_AUTO,
		.drain_ns = CLOCK_SECOND / 4,
		.status_fd = -1,
		.progress_ns = CLOCK_NEVER,
		.control_fd = -1,
		.idle_ns = CLOCK_NEVER,
		.sandbox = true,
	};
	result = parse_options(opts, ARGV_ONLY, argc, argv, why, why_size);
	if (result == OPTIONS_RUN)
		result = check_options(opts, argc - optind, why, why_size);
	if (result != OPTIONS_RUN || opts->control_fd != -1)
		return result;
	result =
	    parse_operands(opts, argc - optind, argv + optind, why, why_size);
	if (result == OPTIONS_RUN)
		result = check_operands(opts, why, why_size);
	return result;
}

/* The payload's strings as argv. Their number, or -1: too many. */
static int
split(char *payload, size_t length, char **argv)
{
	char *end = payload + length;
	int argc = 0;

	argv[argc++] = program;
	/* One NUL alone says "all defaults": it is not an empty option. */
	if (length == 1)
		payload = end;
	for (; payload < end; payload += strlen(payload) + 1) {
		if (argc == JOB_ARGS_MAX)
			return -1;
		argv[argc++] = payload;
	}
	argv[argc] = NULL;
	return argc;
}

enum options_result
options_parse_job(struct options *opts, const struct options *defaults,
    char *payload, size_t length, const int *fds, size_t nfds, char *why,
    size_t why_size)
{
	char *argv[JOB_ARGS_MAX + 1];
	enum options_result result;
	int argc = split(payload, length, argv);
	size_t i;

	*opts = *defaults;
	opts->status_fd = fds[0];
	opts->nhops = 0;
	opts->hops = NULL;
	if (argc == -1)
		return bad(why, why_size, "more than %d options in a job",
		    JOB_ARGS_MAX - 1);
	result = parse_options(opts, ARGV_AND_JOB, argc, argv, why, why_size);
	if (result != OPTIONS_RUN)
		return result;
	if (optind != argc)
		return bad(why, why_size, "operand '%s' in a job",
		    argv[optind]);
	opts->hops = calloc((nfds - 1) / 2, sizeof(*opts->hops));
	if (opts->hops == NULL)
		return OPTIONS_NO_MEMORY;
	opts->nhops = (nfds - 1) / 2;
	for (i = 0; i < opts->nhops; i++)
		opts->hops[i] = (struct operands){ .in = fds[1 + 2 * i],
			.out = fds[2 + 2 * i] };
	return OPTIONS_RUN;
}

void
options_free(struct options *opts)
{
	free(opts->hops);
	opts->hops = NULL;
	opts->nhops = 0;
}
