/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * One run: check the descriptors, let the hops move, see that every record
 * is sent.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
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
#include "status.h"

/* Say that a descriptor is no good; errno tells why. EX_OSERR. */
static int
refuse(int fd, const char *role)
{
	complain("descriptor %d (%s): %s", fd, role, strerror(errno));
	return EX_OSERR;
}

/*
 * Look at all descriptors before one is touched, and before this program
 * opens any itself: a closed one must not be found open because of that.
 * 0, or the exit status, with errno.
 */
static int
check_descriptors(const struct options *opts, struct stream *streams)
{
	const struct operands *hop;
	enum fds_kind kind;
	size_t i;

	if (opts->status_fd != -1 &&
	    fds_check(opts->status_fd, FDS_WRITE, &kind) == -1)
		return refuse(opts->status_fd, "status");
	for (i = 0; i < opts->nhops; i++) {
		hop = &opts->hops[i];
		if (fds_check(hop->in, FDS_READ, &streams[i].in_kind) == -1)
			return refuse(hop->in, fds_side_name(FDS_READ));
		if (fds_check(hop->out, FDS_WRITE, &streams[i].out_kind) == -1)
			return refuse(hop->out, fds_side_name(FDS_WRITE));
		streams[i].in = hop->in;
		streams[i].out = hop->out;
		streams[i].was_nonblock = fds_nonblock(hop->out);
	}
	return 0;
}

/* How often a descriptor is an operand of the hops before end. */
static size_t
count_uses(const struct options *opts, int fd, size_t end)
{
	size_t i, uses = 0;

	for (i = 0; i < end; i++)
		uses += (size_t)(opts->hops[i].in == fd) +
		    (size_t)(opts->hops[i].out == fd);
	return uses;
}

/*
 * A descriptor that is named twice is duplicated, so that each hop closes
 * what is its own. 0, or the exit status, with errno.
 */
static int
claim_descriptors(const struct options *opts, struct stream *streams)
{
	struct stream *s;
	size_t i;

	for (i = 0; i < opts->nhops; i++) {
		s = &streams[i];
		if (count_uses(opts, s->in, i) > 0 &&
		    (s->in = fds_duplicate(s->in)) == -1)
			return refuse(opts->hops[i].in, "duplicate");
		if (count_uses(opts, s->out, i) > 0 &&
		    (s->out = fds_duplicate(s->out)) == -1)
			return refuse(opts->hops[i].out, "duplicate");
	}
	return 0;
}

/*
 * All that can be refused, before a byte moves. 0, or the exit status, with
 * errno.
 */
static int
prepare(const struct options *opts, struct stream *streams)
{
	int status = check_descriptors(opts, streams);

	if (status == 0)
		status = claim_descriptors(opts, streams);
	if (status != 0)
		return status;
	if (fds_fill_standard() == -1 ||
	    loop_catch_signals(opts->ignore_interrupts) == -1) {
		complain("%s", strerror(errno));
		return EX_OSERR;
	}
	return 0;
}

/*
 * Whether to send a record again: there was no room, and now there may be.
 * If not, *result is LOOP_DONE if it was sent, or why it was not.
 */
static bool
try_again(enum status_result sent, int status_fd, enum loop_result *result)
{
	*result = LOOP_DONE;
	if (sent == STATUS_FULL) {
		*result = loop_wait_room(status_fd);
		return *result == LOOP_DONE;
	}
	if (sent == STATUS_LOST)
		*result = LOOP_ORPHANED;
	return false;
}

/* The records that the loop has not sent, and "end". */
static enum loop_result
send_rest(const struct options *opts, const struct hop *hops, int error)
{
	enum loop_result result = LOOP_DONE;
	enum status_result sent;
	struct status_hop report;
	size_t i;

	for (i = 0; i < opts->nhops && result == LOOP_DONE; i++) {
		if (hops[i].reported)
			continue;
		report = hop_report(&hops[i], hops[i].ended);
		do
			sent = status_ended(opts->status_fd, &report);
		while (try_again(sent, opts->status_fd, &result));
	}
	if (result != LOOP_DONE)
		return result;
	do
		sent = status_end(opts->status_fd, error);
	while (try_again(sent, opts->status_fd, &result));
	return result;
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
			complain("hop %zu: %s cannot serve descriptors %d and %d: %s", i,
			    h->engine->name, fds->in, fds->out,
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

/* End by the signal, as a program that does not catch it would. */
static int
die_by(int number)
{
	(void)signal(number, SIG_DFL);
	(void)raise(number);
	return EX_SOFTWARE; /* not reached, unless it is blocked */
}

/* Run the hops to their end. The exit status. */
static int
pump(const struct options *opts, struct hop *hops)
{
	enum loop_result result, sending = LOOP_DONE;
	enum status_result sent;
	int error = 0;

	do
		sent = status_start(opts->status_fd, opts->nhops);
	while (try_again(sent, opts->status_fd, &result));
	if (result == LOOP_DONE)
		result = loop_run(hops, opts->nhops, opts->status_fd,
		    opts->progress_ns);
	if (result == LOOP_SIGNALLED)
		error = EINTR;
	else if (result != LOOP_DONE)
		error = errno;
	abort_hops(hops, opts->nhops, error);
	if (result == LOOP_DONE || result == LOOP_FAILED)
		error = complain_hops(opts, hops);
	if (result != LOOP_ORPHANED)
		sending = send_rest(opts, hops, error);
	if (result == LOOP_ORPHANED || sending == LOOP_ORPHANED) {
		complain("descriptor %d (status): the reader has gone",
		    opts->status_fd);
		return EX_TEMPFAIL;
	}
	/* One more while the records find no room: they are given up. */
	if (result == LOOP_SIGNALLED || sending == LOOP_SIGNALLED)
		return die_by(loop_signal());
	return error == 0 ? EX_OK : EX_IOERR;
}

static int
run(const struct options *opts, struct stream *streams, struct hop *hops)
{
	int status = prepare(opts, streams);
	uint64_t now;
	size_t i;

	if (status != 0) {
		(void)status_end(opts->status_fd, errno);
		return status;
	}
	/* Neither data nor records are a place for messages. */
	if (count_uses(opts, STDERR_FILENO, opts->nhops) > 0 ||
	    opts->status_fd == STDERR_FILENO)
		complain_mute();
	now = clock_now();
	for (i = 0; i < opts->nhops; i++)
		hop_start(&hops[i], (int)i, &streams[i],
		    streams[i].out_kind == FDS_SOCKET &&
			count_uses(opts, opts->hops[i].out, opts->nhops) > 1,
		    opts, now);
	return pump(opts, hops);
}

int
run_hops(const struct options *opts)
{
	struct stream *streams = calloc(opts->nhops, sizeof(*streams));
	struct hop *hops = calloc(opts->nhops, sizeof(*hops));
	int status = EX_OSERR;

	if (streams != NULL && hops != NULL)
		status = run(opts, streams, hops);
	else
		complain("%s", strerror(errno));
	free(hops);
	free(streams);
	return status;
}
