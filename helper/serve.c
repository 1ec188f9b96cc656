/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * Job after job, in one process.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sysexits.h>

#include "clock.h"
#include "complain.h"
#include "job.h"
#include "loop.h"
#include "options.h"
#include "run.h"
#include "serve.h"
#include "status.h"

/*
 * A job that cannot be begun. Its record is the last thing it hears, after
 * everything else of it is closed.
 */
static void
refuse(struct job *job, int error, const char *why)
{
	complain("job refused: %s", why);
	job_close(job, 1);
	if (job->nfds > 0 && run_send_end(job->fds[0], error) == LOOP_SIGNALLED)
		loop_die();
	job_close(job, 0);
}

/* Options from the payload, descriptors from the array; then as from argv. */
static int
run_job(const struct options *defaults, struct job *job)
{
	struct options opts;
	char why[256] = "out of memory";
	int status = EX_OK;

	switch (options_parse_job(&opts, defaults, job->payload, job->length,
	    job->fds, job->nfds, why, sizeof(why))) {
	case OPTIONS_RUN:
		status = run_check(&opts);
		if (status == EX_OK)
			status = run_hops(&opts);
		job->nfds = 1; /* the hops have closed theirs */
		job_close(job, 0);
		break;
	case OPTIONS_NO_MEMORY:
		refuse(job, ENOMEM, why);
		break;
	case OPTIONS_UNPAIRED:
		refuse(job, EPROTO, why);
		break;
	default:
		refuse(job, EINVAL, why);
		break;
	}
	options_free(&opts);
	return status;
}

/* One turn. False once there is nothing more to do, with the exit status. */
static bool
serve_one(const struct options *opts, int *status)
{
	static struct job job; /* large, and one at a time */
	int control_fd = opts->control_fd;
	uint64_t deadline = CLOCK_NEVER;

	*status = EX_OK;
	if (opts->idle_ns != CLOCK_NEVER)
		deadline = clock_now() + opts->idle_ns;
	switch (loop_wait(control_fd, POLLIN, deadline)) {
	case LOOP_SIGNALLED:
		loop_die();
	case LOOP_LATE:
		return false;
	case LOOP_FAILED:
		complain("descriptor %d (control): %s", control_fd,
		    strerror(errno));
		*status = EX_OSERR;
		return false;
	default:
		break;
	}
	switch (job_receive(control_fd, &job)) {
	case JOB_RECEIVED:
		*status = run_job(opts, &job);
		return *status != EX_TEMPFAIL;
	case JOB_REFUSED:
		refuse(&job, errno, strerror(errno));
		return true;
	case JOB_NONE:
		return true;
	case JOB_EOF:
		return false;
	default:
		complain("descriptor %d (control): %s", control_fd,
		    strerror(errno));
		*status = EX_OSERR;
		return false;
	}
}

int
serve_jobs(const struct options *opts)
{
	int status;

	while (serve_one(opts, &status))
		continue;
	return status;
}
