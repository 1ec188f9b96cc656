/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * Messages for people.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "complain.h"

static bool muted;

void
complain(const char *fmt, ...)
{
	char message[512], *c;
	int saved = errno;
	va_list ap;

	if (muted)
		return;
	va_start(ap, fmt);
	if (vsnprintf(message, sizeof(message), fmt, ap) < 0)
		message[0] = '\0';
	va_end(ap);
	/* What was typed may hold anything; a message is one line. */
	for (c = message; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	/* One call on an unbuffered stream: one line, also among others'. */
	(void)fprintf(stderr, "cuprum-pump: %s\n", message);
	errno = saved;
}

void
complain_mute(void)
{
	muted = true;
}
