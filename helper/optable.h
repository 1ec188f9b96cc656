/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef OPTABLE_H
#define OPTABLE_H

#include <getopt.h>
#include <stddef.h>

#include "options.h"

#define OPTABLE_MAX 16 /* no more rows than these */
#define OPTABLE_SHORTS (2 * OPTABLE_MAX + 2)
#define OPTABLE_LONGS (OPTABLE_MAX + 1)
#define OPTABLE_NO_LETTER 256 /* no character has this number */

/* Where an option may stand. */
enum place { ARGV_ONLY, ARGV_AND_JOB };

struct optable_row {
	int letter; /* above 255: it has none */
	enum place place;
	const char *name;
	const char *argument; /* its name in the help; NULL: none */
	const char *expects;  /* what a good argument is */
	/* Take the argument. 0, or -1: it is not what is expected. */
	int (*take)(struct options *, const char *argument);
	const char *help;
};

extern const struct optable_row optable[];
extern const size_t optable_rows;

/* Fill in getopt_long's two tables, with room for OPTABLE_SHORTS and _LONGS. */
void optable_getopt(char *shorts, struct option *longs);

/* The option of that letter, or NULL. */
const struct optable_row *optable_find(int letter);

/* Print the help text to standard output. 0, or -1 with errno. */
int optable_print_help(void);

#endif
