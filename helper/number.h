/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef NUMBER_H
#define NUMBER_H

#include <stdint.h>

/*
 * Each returns 0, or -1 if the text is empty, has anything before or after
 * the number, a sign, or a value out of range.
 */

/* A whole number of decimal digits, 0 to max. */
int number_parse(const char *text, long long max, long long *number);

/* Bytes, 1 to max; a suffix K, M or G multiplies by a power of 1024. */
int number_parse_size(const char *text, long long max, long long *size);

/* Seconds, a plain decimal fraction up to 1e9, in nanoseconds. */
int number_parse_seconds(const char *text, uint64_t *ns);

#endif
