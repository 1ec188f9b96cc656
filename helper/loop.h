/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hop.h"

enum loop_result {
	LOOP_DONE,      /* every hop has ended */
	LOOP_ORPHANED,  /* no reader of the records, or no way to it (errno) */
	LOOP_SIGNALLED, /* loop_die ends by it */
	LOOP_LATE,      /* the deadline of loop_wait has passed */
	LOOP_FAILED     /* poll(2) failed (errno) */
};

/*
 * Take over the signals: the four that end a program (SIGTERM, SIGHUP,
 * SIGINT, SIGQUIT) are noticed by loop_run, except those that were ignored
 * when the program started, and interrupts if ignore_interrupts; SIGPIPE and
 * SIGXFSZ become errno values. 0, or -1 with errno.
 */
int loop_catch_signals(bool ignore_interrupts);

/*
 * End by the signal that was caught, as a program that does not catch it
 * would. Does not return.
 */
_Noreturn void loop_die(void);

/*
 * What loop_run needs to wait for so many hops, to be freed; or NULL with
 * errno: no memory, or EINVAL, more than poll(2) takes (RLIMIT_NOFILE).
 */
struct pollfd *loop_reserve(size_t nhops);

/*
 * Send those records of a hop that are due and were not sent: its tap's, and
 * its own, the last. STATUS_SENT if none is left.
 */
enum status_result loop_report(struct hop *, int status_fd);

/*
 * Let all hops move until they have ended; write "progress", "tap" and "hop"
 * records to the status descriptor, or, without one, progress as a line on
 * standard error; release the hops that it names. On any result but LOOP_DONE
 * hops may still be open, and their records unsent.
 */
enum loop_result loop_run(struct pollfd *reserved, struct hop *hops,
    const struct options *opts);

/*
 * Wait for events (poll(2)) of one descriptor. LOOP_DONE once they are there,
 * or the other end has gone while fd is to be read; LOOP_ORPHANED if it has
 * gone while fd is to be written; LOOP_SIGNALLED if a signal came first that
 * no earlier LOOP_SIGNALLED has told of; LOOP_LATE; LOOP_FAILED.
 */
enum loop_result loop_wait(int fd, short events, uint64_t deadline);

#endif
