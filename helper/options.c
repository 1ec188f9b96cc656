/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * The command line. One table says what options there are; the parser, the
 * help text and getopt's own tables all come from it.
 */
#include "config.h"

#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "number.h"
#include "options.h"

struct row {
	char letter;
	const char *name;
	const char *argument; /* its name in the help; NULL: none */
	const char *expects;  /* what a good argument is */
	/* Take the argument. 0, or -1: it is not what is expected. */
	int (*take)(struct options *, const char *argument);
	const char *help;
};

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

static const struct row rows[] = {
	{ 'b', "buffer-size", "SIZE", "1 to 1G, with suffix K, M or G",
	    take_buffer_size, "bytes per buffer or splice [64K]" },
	{ 'z', "pipe-size", "auto|keep|SIZE",
	    "auto, keep, or bytes with suffix K, M or G", take_pipe_size,
	    "pipe capacity [auto]" },
	{ 'e', "engine", "auto|splice|copy", "auto, splice or copy",
	    take_engine, "how bytes move [auto]" },
	{ 'd', "drain", "SECONDS|forever", "seconds, or forever", take_drain,
	    "once nobody reads, discard so long [0.25]" },
	{ 's', "status-fd", "FD", "the number of a descriptor", take_status_fd,
	    "write status records there" },
	{ 'p', "progress", "SECONDS", "seconds, at least 0.001", take_progress,
	    "a progress record at this interval" },
	{ 'i', "ignore-interrupts", NULL, NULL, take_ignore_interrupts,
	    "ignore SIGINT and SIGQUIT" },
	{ 'h', "help", NULL, NULL, NULL, "print this text" },
	{ 'V', "version", NULL, NULL, NULL,
	    "print version, protocol and features" },
};

#define NROWS (sizeof(rows) / sizeof(rows[0]))

/* getopt_long's two tables; longs has one element more than rows. */
static void
getopt_tables(char *shorts, struct option *longs)
{
	size_t i;

	*shorts++ = ':'; /* tell a missing argument from an unknown */
	for (i = 0; i < NROWS; i++) {
		longs[i] = (struct option){
			.name = rows[i].name,
			.has_arg = rows[i].argument != NULL ?
			    required_argument :
			    no_argument,
			.val = rows[i].letter,
		};
		*shorts++ = rows[i].letter;
		if (rows[i].argument != NULL)
			*shorts++ = ':';
	}
	longs[NROWS] = (struct option){ 0 };
	*shorts = '\0';
}

static const struct row *
find_row(int letter)
{
	size_t i;

	for (i = 0; i < NROWS; i++)
		if (rows[i].letter == letter)
			return &rows[i];
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
	const struct row *row = find_row(optopt);

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

static enum options_result
parse_options(struct options *opts, int argc, char **argv, char *why,
    size_t size)
{
	char shorts[2 * NROWS + 2];
	struct option longs[NROWS + 1];
	const struct row *row;
	int c;

	getopt_tables(shorts, longs);
	opterr = 0; /* the messages are ours */
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == 'h')
			return OPTIONS_HELP;
		if (c == 'V')
			return OPTIONS_VERSION;
		row = find_row(c);
		if (row == NULL)
			return bad_option(argv, c, why, size);
		if (row->take(opts, optarg) == -1)
			return bad(why, size,
			    "invalid argument '%s' for --%s: expected %s",
			    optarg, row->name, row->expects);
	}
	if (opts->progress_ns != CLOCK_NEVER && opts->status_fd == -1)
		return bad(why, size, "option --progress needs --status-fd");
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
	};
	result = parse_options(opts, argc, argv, why, why_size);
	if (result == OPTIONS_RUN)
		result = parse_operands(opts, argc - optind, argv + optind, why,
		    why_size);
	if (result == OPTIONS_RUN)
		result = check_operands(opts, why, why_size);
	return result;
}

void
options_free(struct options *opts)
{
	free(opts->hops);
	opts->hops = NULL;
	opts->nhops = 0;
}

int
options_print_help(void)
{
	char left[40];
	size_t i;

	if (printf(
		"Usage: cuprum-pump [OPTION]... [IN_FD OUT_FD]...\n"
		"Move bytes from each IN_FD to its OUT_FD, all pairs at once; "
		"without operands,\nfrom standard input to standard "
		"output.\n\n") < 0)
		return -1;
	for (i = 0; i < NROWS; i++) {
		(void)snprintf(left, sizeof(left), "-%c, --%s%s%s",
		    rows[i].letter, rows[i].name,
		    rows[i].argument != NULL ? "=" : "",
		    rows[i].argument != NULL ? rows[i].argument : "");
		if (printf("  %-32s %s\n", left, rows[i].help) < 0)
			return -1;
	}
	if (printf("\nExit status: 0 all went well, 64 usage, 71 a descriptor "
		   "was refused, 74 a hop\nfailed, 75 the reader of the status "
		   "records has gone, 77 set-user-ID.\n"
		   "cuprum-pump(1) has the whole of it.\n") < 0)
		return -1;
	return fflush(stdout) == 0 ? 0 : -1;
}
