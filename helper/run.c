/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * One run: check the descriptors, let the hops move, see that every record
 * is sent.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"
#include "fds.h"
#include "hop.h"
#include "loop.h"
#include "run.h"
#include "sandbox.h"
#include "status.h"
#include "fault.h"

/*
 * Whether to send a record again: there was no room, and now there may be.
 * If not, *result is LOOP_DONE if it was sent, or why it was not.
 */
static bool
try_again(enum status_result sent, int status_fd, enum loop_result *result)
{
	*result = LOOP_DONE;
	if (sent == STATUS_FULL) {
		*result = loop_wait(status_fd, POLLOUT, CLOCK_NEVER);
		return *result == LOOP_DONE;
	}
	if (sent == STATUS_LOST)
		*result = LOOP_ORPHANED;
	return false;
}

enum loop_result
run_send_end(int status_fd, int error)
{
	enum loop_result result;
	enum status_result sent;

	do
		sent = status_end(status_fd, error);
	while (try_again(sent, status_fd, &result));
	return result;
}

/*
 * Nothing has moved and nothing will: close what the hops were to have, then
 * say why. EX_OSERR.
 */
static int
give_up(const struct options *opts, int error)
{
	size_t i;

	for (i = 0; i < opts->nhops; i++) {
		(void)close(opts->hops[i].in);
		(void)close(opts->hops[i].out);
		if (opts->hops[i].tap != -1)
			(void)close(opts->hops[i].tap);
	}
	if (run_send_end(opts->status_fd, error) == LOOP_SIGNALLED)
		loop_die();
	return EX_OSERR;
}

/* Refuse because of one descriptor; errno tells why. EX_OSERR. */
static int
refuse(const struct options *opts, int fd, const char *role)
{
	int error = errno;

	complain("descriptor %d (%s): %s", fd, role, strerror(error));
	return give_up(opts, error);
}

/* Whether what is read from in can be written to fd. EX_OK, or EX_OSERR. */
static int
check_sink(const struct options *opts, int in, int fd, const char *role)
{
	if (fds_check(fd, FDS_WRITE) == -1)
		return refuse(opts, fd, role);
	if (fds_feeds_itself(in, fd)) {
		complain("descriptors %d and %d: input file is output file", in,
		    fd);
		return give_up(opts, EINVAL);
	}
	return EX_OK;
}

int
run_check(const struct options *opts)
{
	const struct operands *hop;
	size_t i;

	if (opts->status_fd != -1 &&
	    (fds_check(opts->status_fd, FDS_WRITE) == -1 ||
		(opts->release && fds_check(opts->status_fd, FDS_READ) == -1)))
		return refuse(opts, opts->status_fd, "status");
	for (i = 0; i < opts->nhops; i++) {
		hop = &opts->hops[i];
		if (fds_check(hop->in, FDS_READ) == -1)
			return refuse(opts, hop->in, fds_side_name(FDS_READ));
		if (check_sink(opts, hop->in, hop->out,
			fds_side_name(FDS_WRITE)) != EX_OK)
			return EX_OSERR;
		if (hop->tap != -1 &&
		    check_sink(opts, hop->in, hop->tap, "tap") != EX_OK)
			return EX_OSERR;
	}
	return EX_OK;
}

/* How often a descriptor is an operand of the hops before end. */
static size_t
count_uses(const struct options *opts, int fd, size_t end)
{
	size_t i, uses = 0;

	for (i = 0; i < end; i++)
		uses += (size_t)(opts->hops[i].in == fd) +
		    (size_t)(opts->hops[i].out == fd) +
		    (size_t)(opts->hops[i].tap == fd);
	return uses;
}

/*
 * The descriptor for one use of an operand. One that was named before is
 * duplicated, so that each hop closes what is its own. -1 with errno.
 */
static int
claim(const struct options *opts, int fd, size_t hop)
{
	return count_uses(opts, fd, hop) > 0 ? fds_duplicate(fd) : fd;
}

/* The descriptors of each hop. 0, or -1 with errno, and *fd is to blame. */
static int
claim_all(const struct options *opts, struct hop *hops, int *fd)
{
	const struct operands *operands;
	size_t i;

	for (i = 0; i < opts->nhops; i++) {
		operands = &opts->hops[i];
		*fd = operands->in;
		hops[i].stream.in = claim(opts, *fd, i);
		if (hops[i].stream.in == -1)
			return -1;
		*fd = operands->out;
		hops[i].stream.out.was_nonblock = fds_nonblock(*fd);
		hops[i].stream.out.fd = claim(opts, *fd, i);
		if (hops[i].stream.out.fd == -1)
			return -1;
		/* Named once alone, options.c sees to that. */
		hops[i].stream.tap.fd = operands->tap;
		hops[i].stream.tap.was_nonblock =
		    operands->tap != -1 && fds_nonblock(operands->tap);
	}
	return 0;
}

/* The records that the loop has not sent, and "end". */
static enum loop_result
send_rest(const struct options *opts, struct hop *hops, int error)
{
	enum loop_result result = LOOP_DONE;
	enum status_result sent;
	size_t i;

	for (i = 0; i < opts->nhops && result == LOOP_DONE; i++)
		do
			sent = loop_report(&hops[i], opts->status_fd);
		while (try_again(sent, opts->status_fd, &result));
	if (result != LOOP_DONE)
		return result;
	return run_send_end(opts->status_fd, error);
}

/* Tell people which taps failed. The first one's errno; 0: none did. */
static int
complain_taps(const struct options *opts, const struct hop *hops)
{
	int error = 0;
	size_t i;

	for (i = 0; i < opts->nhops; i++) {
		if (hops[i].tap_error == 0)
			continue;
		complain("hop %zu: descriptor %d (tap): %s", i,
		    opts->hops[i].tap, strerror(hops[i].tap_error));
		if (error == 0)
			error = hops[i].tap_error;
	}
	return error;
}

/* Tell people which hops failed. The first one's errno; 0: none did. */
static int
complain_hops(const struct options *opts, const struct hop *hops)
{
	const struct operands *fds;
	const struct hop *h;
	int error = 0;
	size_t i;

	for (i = 0; i < opts->nhops; i++) {
		h = &hops[i];
		fds = &opts->hops[i];
		if (h->error == 0)
			continue;
		if (h->side == NULL)
			complain(
			    "hop %zu: %s cannot serve descriptors %d and %d: %s",
			    i, h->engine->name, fds->in, fds->out,
			    strerror(h->error));
		else
			complain("hop %zu: descriptor %d (%s): %s", i,
			    strcmp(h->side, fds_side_name(FDS_READ)) == 0 ?
				fds->in :
				fds->out,
			    h->side, strerror(h->error));
		if (error == 0)
			error = h->error;
	}
	return error;
}

static void
abort_hops(struct hop *hops, size_t nhops, int error)
{
	uint64_t now = clock_now();
	size_t i;

	for (i = 0; i < nhops; i++)
		hop_abort(&hops[i], error, now);
}

/* Run the hops to their end. The exit status. */
static int
pump(const struct options *opts, struct hop *hops, struct pollfd *reserved)
{
	enum loop_result result, sending = LOOP_DONE;
	enum status_result sent;
	int error = 0, tap_error = 0;

	do
		sent =
		    status_start(opts->status_fd, opts->nhops, sandbox_name());
	while (try_again(sent, opts->status_fd, &result));
	fault_trespass();
	if (result == LOOP_DONE)
		result = loop_run(reserved, hops, opts);
	if (result == LOOP_SIGNALLED)
		error = EINTR;
	else if (result != LOOP_DONE)
		error = errno;
	abort_hops(hops, opts->nhops, error);
	if (result == LOOP_DONE || result == LOOP_FAILED) {
		error = complain_hops(opts, hops);
		tap_error = complain_taps(opts, hops);
	}
	if (error == 0)
		error = tap_error; /* a copy cut short is no success */
	if (result != LOOP_ORPHANED)
		sending = send_rest(opts, hops, error);
	if (sending == LOOP_ORPHANED)
		error = errno;
	if (result == LOOP_ORPHANED || sending == LOOP_ORPHANED) {
		complain("descriptor %d (status): %s", opts->status_fd,
		    strerror(error));
		return EX_TEMPFAIL;
	}
	/* One more while the records find no room: they are given up. */
	if (result == LOOP_SIGNALLED || sending == LOOP_SIGNALLED)
		loop_die();
	return error == 0 ? EX_OK : EX_IOERR;
}

static int
run(const struct options *opts, struct hop *hops, struct pollfd *reserved)
{
	uint64_t now;
	size_t i;
	int fd;

	if (claim_all(opts, hops, &fd) == -1)
		return refuse(opts, fd, "duplicate");
	/* Neither data nor records are a place for messages. */
	if (count_uses(opts, STDERR_FILENO, opts->nhops) > 0 ||
	    opts->status_fd == STDERR_FILENO)
		complain_mute();
	now = clock_now();
	for (i = 0; opts->chain && i + 1 < opts->nhops; i++)
		hops[i].next = &hops[i + 1];
	for (i = 0; i < opts->nhops; i++)
		hop_start(&hops[i], (int)i, opts,
		    count_uses(opts, opts->hops[i].out, opts->nhops) > 1, now);
	return pump(opts, hops, reserved);
}

int
run_hops(const struct options *opts)
{
	struct hop *hops = calloc(opts->nhops, sizeof(*hops));
	struct pollfd *reserved = NULL;
	int status, error;

	if (hops != NULL)
		reserved = loop_reserve(opts->nhops);
	if (reserved != NULL)
		status = run(opts, hops, reserved);
	else {
		error = errno;
		complain("%zu hops: %s", opts->nhops, strerror(error));
		status = give_up(opts, error);
	}
	free(reserved);
	free(hops);
	return status;
}
