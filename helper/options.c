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
	const struct optable_row *row = optable_find(optopt);

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
	char shorts[OPTABLE_SHORTS];
	struct option longs[OPTABLE_LONGS];
	const struct optable_row *row;
	int c;

	opts->ntaps = 0;
	opts->taps = calloc((size_t)argc + 1, sizeof(*opts->taps));
	if (opts->taps == NULL)
		return OPTIONS_NO_MEMORY;
	optable_getopt(shorts, longs);
	getopt_reset();
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		row = optable_find(c);
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
		if (opts->release && opts->status_fd == -1)
			return bad(why, size,
			    "option --release needs --status-fd");
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
	if (opts->ntaps > 0)
		return bad(why, size,
		    "option --tap does not go with --control-fd: "
		    "it comes with a job");
	return OPTIONS_RUN;
}

/* Give the taps, which follow the pairs in fds, to the hops they name. */
static enum options_result
assign_taps(struct options *opts, const int *fds, char *why, size_t size)
{
	size_t i;
	int hop;

	if (opts->ntaps > 0 && opts->engine == ENGINE_SPLICE)
		return bad(why, size,
		    "option --tap does not go with --engine=splice");
	for (i = 0; i < opts->ntaps; i++) {
		hop = opts->taps[i];
		if ((size_t)hop >= opts->nhops)
			return bad(why, size,
			    "there is no hop %d for --tap, they are numbered "
			    "from 0",
			    hop);
		if (opts->hops[hop].tap != -1)
			return bad(why, size, "hop %d has two --tap", hop);
		opts->hops[hop].tap = fds[2 * opts->nhops + i];
	}
	return OPTIONS_RUN;
}

/* Hops from so many pairs of descriptors, with one for each tap after them. */
static enum options_result
make_hops(struct options *opts, size_t nhops, const int *fds, char *why,
    size_t size)
{
	size_t i;

	opts->hops = calloc(nhops, sizeof(*opts->hops));
	if (opts->hops == NULL)
		return OPTIONS_NO_MEMORY;
	opts->nhops = nhops;
	for (i = 0; i < nhops; i++)
		opts->hops[i] = (struct operands){ .in = fds[2 * i],
			.out = fds[2 * i + 1],
			.tap = -1 };
	return assign_taps(opts, fds, why, size);
}

/* Operands as numbers. 0, or -1: *culprit is none. */
static int
parse_numbers(char *const *operands, size_t count, int *fds,
    const char **culprit)
{
	long long fd;
	size_t i;

	for (i = 0; i < count; i++) {
		*culprit = operands[i];
		if (number_parse(operands[i], INT_MAX, &fd) == -1)
			return -1;
		fds[i] = (int)fd;
	}
	return 0;
}

/* The operands; no pairs among them means 0 to 1. */
static enum options_result
parse_operands(struct options *opts, size_t count, char *const *operands,
    char *why, size_t size)
{
	enum options_result result;
	size_t pairs, standard;
	const char *culprit;
	int *fds;

	if (count < opts->ntaps)
		return bad(why, size,
		    "option --tap needs one more operand: the descriptor that "
		    "gets the copy");
	if ((count - opts->ntaps) % 2 != 0)
		return bad(why, size,
		    "operand '%s' has no partner: IN_FD and OUT_FD come in "
		    "pairs%s",
		    operands[count - opts->ntaps - 1],
		    opts->ntaps > 0 ? ", then one TAP_FD for each --tap" : "");
	pairs = (count - opts->ntaps) / 2;
	standard = pairs == 0 ? 2 : 0;
	fds = calloc(count + 2, sizeof(*fds));
	if (fds == NULL)
		return OPTIONS_NO_MEMORY;
	fds[0] = STDIN_FILENO;
	fds[1] = STDOUT_FILENO;
	if (parse_numbers(operands, count, fds + standard, &culprit) == -1)
		result = bad(why, size,
		    "operand '%s' is not the number of a descriptor", culprit);
	else
		result = make_hops(opts, pairs + standard / 2, fds, why, size);
	free(fds);
	return result;
}

/* In how many parts a descriptor was named. */
static size_t
count_uses(const struct options *opts, int fd)
{
	size_t i, uses = (size_t)(opts->status_fd == fd);

	for (i = 0; i < opts->nhops; i++)
		uses += (size_t)(opts->hops[i].in == fd) +
		    (size_t)(opts->hops[i].out == fd) +
		    (size_t)(opts->hops[i].tap == fd);
	return uses;
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
		if (hop->tap != -1 && count_uses(opts, hop->tap) > 1)
			return bad(why, size,
			    "descriptor %d is a tap and something else, too",
			    hop->tap);
	}
	return OPTIONS_RUN;
}

enum options_result
options_parse(struct options *opts, int argc, char **argv, char *why,
    size_t why_size)
{
	enum options_result result;

	*opts = (struct options){
		.buffer_size = 64 << 10,
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
	result = parse_operands(opts, (size_t)(argc - optind), argv + optind,
	    why, why_size);
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
	size_t operands = nfds - 1;

	*opts = *defaults;
	opts->status_fd = fds[0];
	opts->ntaps = opts->nhops = 0;
	opts->taps = NULL;
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
	if (operands <= opts->ntaps || (operands - opts->ntaps) % 2 != 0) {
		(void)bad(why, why_size,
		    "%zu descriptors are not a status descriptor, pairs and "
		    "%zu for --tap",
		    nfds, opts->ntaps);
		return OPTIONS_UNPAIRED;
	}
	return make_hops(opts, (operands - opts->ntaps) / 2, fds + 1, why,
	    why_size);
}

void
options_free(struct options *opts)
{
	free(opts->taps);
	free(opts->hops);
	opts->taps = NULL;
	opts->hops = NULL;
	opts->ntaps = opts->nhops = 0;
}
