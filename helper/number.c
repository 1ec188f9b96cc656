/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * Numbers as people type them, read to the last character.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_LIBBSD
#include <bsd/stdlib.h>
#endif

#include "clock.h"
#include "number.h"

#define SECONDS_MAX 1000000000.0 /* some thirty years */

int
number_parse(const char *text, long long max, long long *number)
{
	const char *error;

	if (!isdigit((unsigned char)text[0]))
		return -1;
	*number = strtonum(text, 0, max, &error);
	return error == NULL ? 0 : -1;
}

int
number_parse_size(const char *text, long long max, long long *size)
{
	static const char suffixes[] = "KMG";
	size_t length = strlen(text);
	char digits[24];
	const char *suffix;
	int shift = 0;

	if (length == 0 || length >= sizeof(digits))
		return -1;
	memcpy(digits, text, length + 1);
	suffix = strchr(suffixes, digits[length - 1]);
	if (suffix != NULL) {
		shift = 10 * (int)(suffix - suffixes + 1);
		digits[length - 1] = '\0';
	}
	if (number_parse(digits, max >> shift, size) == -1 || *size == 0)
		return -1;
	*size <<= shift;
	return 0;
}

int
number_parse_seconds(const char *text, uint64_t *ns)
{
	double seconds;
	char *end;

	/* Neither signs nor exponents, "inf", "nan" or hexadecimal. */
	if (text[0] == '\0' || text[strspn(text, "0123456789.")] != '\0')
		return -1;
	errno = 0;
	seconds = strtod(text, &end);
	if (end == text || *end != '\0' || errno == ERANGE ||
	    seconds > SECONDS_MAX)
		return -1;
	*ns = (uint64_t)(seconds * (double)CLOCK_SECOND);
	return 0;
}
