/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * The one place that waits: for descriptors, deadlines, signals, and the
 * loss of the lifeline, which is the reader of the status records.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "display.h"
#include "loop.h"
#include "release.h"
#include "fault.h"

#define GONE (POLLERR | POLLHUP | POLLNVAL)

/* The signals' own pipe, which makes poll notice them. */
static int signal_pipe[2] = { -1, -1 };
static volatile sig_atomic_t caught;

static void
note_signal(int number)
{
	int saved = errno;
	ssize_t n;

	caught = number;
	n = write(signal_pipe[1], "", 1);
	(void)n; /* full: poll wakes up all the same */
	errno = saved;
}

static int
open_signal_pipe(void)
{
	int i;

	if (pipe(signal_pipe) == -1)
		return -1;
	for (i = 0; i < 2; i++)
		if (fds_set_nonblock(signal_pipe[i], true) == -1 ||
		    fcntl(signal_pipe[i], F_SETFD, FD_CLOEXEC) == -1)
			return -1;
	return 0;
}

int
loop_catch_signals(bool ignore_interrupts)
{
	static const int ending[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT };
	struct sigaction catch = { .sa_handler = note_signal };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, was;
	size_t i;

	if (open_signal_pipe() == -1 || sigemptyset(&catch.sa_mask) == -1 ||
	    sigemptyset(&ignore.sa_mask) == -1 ||
	    sigaction(SIGPIPE, &ignore, NULL) == -1 ||
	    sigaction(SIGXFSZ, &ignore, NULL) == -1)
		return -1;
	for (i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		if (sigaction(ending[i], NULL, &was) == -1)
			return -1;
		if (was.sa_handler == SIG_IGN)
			continue; /* nohup(1), or a shell's background */
		if (sigaction(ending[i],
			ignore_interrupts &&
				(ending[i] == SIGINT || ending[i] == SIGQUIT) ?
			    &ignore :
			    &catch,
			NULL) == -1)
			return -1;
	}
	return 0;
}

/*
 * Whether a signal has come since this was last asked, given what poll said
 * of the signals' pipe.
 */
static bool
signalled(const struct pollfd *signals)
{
	char bytes[64];

	if (signals->revents == 0)
		return false;
	while (read(signals->fd, bytes, sizeof(bytes)) > 0)
		continue;
	return true;
}

void
loop_die(void)
{
	(void)signal(caught, SIG_DFL);
	(void)raise(caught);
	abort(); /* it was blocked when the program started */
}

enum loop_result
loop_wait(int fd, short events, uint64_t deadline)
{
	struct pollfd fds[2] = {
		{ .fd = fd, .events = events },
		{ .fd = signal_pipe[0], .events = POLLIN },
	};
	int n;

	do {
		n = poll(fds, 2, clock_poll_timeout(deadline, clock_now()));
		if (n == -1 && errno != EINTR && errno != EAGAIN)
			return LOOP_FAILED;
		if (n == 0 && clock_now() >= deadline)
			return LOOP_LATE;
	} while (n <= 0);
	if (signalled(&fds[1]))
		return LOOP_SIGNALLED;
	if (events == POLLOUT && (fds[0].revents & GONE)) {
		errno = EPIPE;
		return LOOP_ORPHANED;
	}
	return LOOP_DONE;
}

enum status_result
loop_report(struct hop *h, int status_fd)
{
	enum status_result sent = STATUS_SENT;
	struct status_hop report;

	if (hop_tap_ended(h) && !h->tap_reported) {
		sent = status_tap(status_fd, h->index, h->stream.tap.written,
		    h->tap_error);
		h->tap_reported = sent == STATUS_SENT;
	}
	if (sent == STATUS_SENT && h->phase == HOP_ENDED && !h->reported) {
		report = hop_report(h, h->ended);
		sent = status_ended(status_fd, &report);
		h->reported = sent == STATUS_SENT;
	}
	return sent;
}

/*
 * Send all records that are due. *unsent and *live count the hops that have
 * some left, and those that go on. LOOP_DONE, or LOOP_ORPHANED.
 */
static enum loop_result
report_all(struct hop *hops, size_t nhops, int status_fd, size_t *unsent,
    size_t *live)
{
	size_t i;

	*unsent = *live = 0;
	for (i = 0; i < nhops; i++) {
		if (hops[i].phase != HOP_ENDED)
			(*live)++;
		switch (loop_report(&hops[i], status_fd)) {
		case STATUS_SENT:
			break;
		case STATUS_FULL:
			(*unsent)++;
			break;
		case STATUS_LOST:
			return LOOP_ORPHANED;
		}
	}
	return LOOP_DONE;
}

/*
 * Progress records are dropped where there is no room for them. LOOP_DONE, or
 * LOOP_ORPHANED.
 */
static enum loop_result
send_progress(const struct hop *hops, size_t nhops, int status_fd)
{
	struct status_hop report;
	size_t i;

	for (i = 0; i < nhops; i++) {
		if (hops[i].phase == HOP_ENDED)
			continue;
		report = hop_report(&hops[i], clock_now());
		if (status_progress(status_fd, &report) == STATUS_LOST)
			return LOOP_ORPHANED;
	}
	return LOOP_DONE;
}

/* The same for a person, all hops in one line. */
static void
show_progress(const struct hop *hops, size_t nhops, struct display *line,
    bool last)
{
	struct display_state sum = { 0 };
	size_t i;

	for (i = 0; i < nhops; i++) {
		sum.written += hops[i].stream.out.written;
		sum.discarded += hops[i].discarded;
		sum.live += hops[i].phase != HOP_ENDED;
		sum.starved += hops[i].wait == HOP_STARVED;
		sum.blocked += hops[i].wait == HOP_BLOCKED;
	}
	display_draw(line, &sum, clock_now(), last);
}

/*
 * Fill in what to wait for: the signals, the status descriptor for what it is
 * to be asked, then two for each hop. Returns the earliest deadline, progress
 * among them.
 */
static uint64_t
prepare(struct pollfd *fds, const struct hop *hops, size_t nhops, int status_fd,
    short status_events, uint64_t progress_due)
{
	uint64_t deadline, earliest = progress_due;
	size_t i;

	fds[0] = (struct pollfd){ .fd = signal_pipe[0], .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = status_fd, .events = status_events };
	for (i = 0; i < nhops; i++) {
		hop_poll(&hops[i], &fds[2 + 2 * i]);
		deadline = hop_deadline(&hops[i]);
		if (deadline < earliest)
			earliest = deadline;
	}
	return earliest;
}

/* Wait once, and let every hop do what it can. LOOP_DONE: go on. */
static enum loop_result
turn(struct pollfd *fds, struct hop *hops, size_t nhops,
    struct release *requests, uint64_t deadline)
{
	uint64_t now;
	size_t i;

	if (poll(fds, (nfds_t)(2 + 2 * nhops),
		clock_poll_timeout(deadline, clock_now())) == -1) {
		if (errno != EINTR && errno != EAGAIN)
			return LOOP_FAILED;
		/* poll has left revents as they were: say nothing is ready */
		for (i = 0; i < 2 + 2 * nhops; i++)
			fds[i].revents = 0;
	}
	if (signalled(&fds[0]))
		return LOOP_SIGNALLED;
	if (fds[1].revents & GONE) {
		errno = EPIPE;
		return LOOP_ORPHANED;
	}
	now = clock_now();
	if (fds[1].revents & POLLIN)
		release_read(requests, hops, nhops, now);
	for (i = 0; i < nhops; i++)
		hop_step(&hops[i], &fds[2 + 2 * i], now);
	return LOOP_DONE;
}

/* The same until all hops have ended: what loop_run returns. */
static enum loop_result
run(struct pollfd *fds, struct hop *hops, const struct options *opts,
    struct display *line)
{
	int status_fd = opts->status_fd;
	size_t unsent, live, nhops = opts->nhops;
	uint64_t deadline, now, due = CLOCK_NEVER;
	uint64_t progress_ns = opts->progress_ns;
	struct release requests = { .fd = opts->release ? status_fd : -1 };
	enum loop_result result;
	int events;

	if (progress_ns != CLOCK_NEVER)
		due = line->started + progress_ns;
	for (;;) {
		result = report_all(hops, nhops, status_fd, &unsent, &live);
		if (result != LOOP_DONE || unsent + live == 0)
			return result;
		events = (unsent > 0 ? POLLOUT : 0) |
		    (requests.fd != -1 ? POLLIN : 0);
		deadline =
		    prepare(fds, hops, nhops, status_fd, (short)events, due);
		result = turn(fds, hops, nhops, &requests, deadline);
		if (result != LOOP_DONE)
			return result;
		now = clock_now();
		if (now < due)
			continue;
		if (status_fd == -1)
			show_progress(hops, nhops, line, false);
		else
			result = send_progress(hops, nhops, status_fd);
		if (result != LOOP_DONE)
			return result;
		/* Keep to the grid; skip what was missed, as when stopped. */
		due += ((now - due) / progress_ns + 1) * progress_ns;
	}
}

struct pollfd *
loop_reserve(size_t nhops)
{
	size_t i, n = 2 + 2 * nhops;
	struct pollfd *fds = calloc(n, sizeof(*fds));
	int error;

	if (fds == NULL)
		return NULL;
	for (i = 0; i < n; i++)
		fds[i].fd = -1;
	while (poll(fds, (nfds_t)n, 0) == -1) {
		if (errno == EINTR || errno == EAGAIN)
			continue;
		error = errno;
		free(fds);
		errno = error;
		return NULL;
	}
	return fds;
}

enum loop_result
loop_run(struct pollfd *reserved, struct hop *hops, const struct options *opts)
{
	struct display line = { .started = clock_now() };
	enum loop_result result;

	result = run(reserved, hops, opts, &line);
	/* However it ended: what comes next begins on a line of its own. */
	if (opts->progress_ns != CLOCK_NEVER && opts->status_fd == -1)
		show_progress(hops, opts->nhops, &line, true);
	return result;
}
