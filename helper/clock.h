/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

#define CLOCK_SECOND UINT64_C(1000000000) /* in nanoseconds */
#define CLOCK_NEVER UINT64_MAX            /* a deadline that never comes */

/* Nanoseconds of a clock that neither jumps nor stops (CLOCK_MONOTONIC). */
uint64_t clock_now(void);

/*
 * The time left until deadline as poll(2) takes it: milliseconds, rounded up
 * so that a wake-up is never early; 0 once it has passed; -1 for CLOCK_NEVER.
 */
int clock_poll_timeout(uint64_t deadline, uint64_t now);

#endif
