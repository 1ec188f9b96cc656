/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * Time: one monotonic clock in nanoseconds.
 */
#include "config.h"

#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"

#define MILLISECOND (CLOCK_SECOND / 1000)

uint64_t
clock_now(void)
{
	struct timespec ts;

	/* Fails only for an unknown clock or a bad address. */
	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		abort();
	return (uint64_t)ts.tv_sec * CLOCK_SECOND + (uint64_t)ts.tv_nsec;
}

int
clock_poll_timeout(uint64_t deadline, uint64_t now)
{
	uint64_t ms;

	if (deadline == CLOCK_NEVER)
		return -1;
	if (deadline <= now)
		return 0;
	ms = (deadline - now - 1) / MILLISECOND + 1;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}
