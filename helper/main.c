/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * cuprum-pump: move bytes between descriptors, count them, and say what
 * happened. From argv to exit status.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "complain.h"
#include "fds.h"
#include "job.h"
#include "loop.h"
#include "optable.h"
#include "options.h"
#include "run.h"
#include "sandbox.h"
#include "serve.h"

/* To standard output. 0, or -1 with errno. */
static int
print_version(void)
{
#ifdef ENABLE_SPLICE
	const char *splice = "+splice";
#else
	const char *splice = "-splice";
#endif
#ifdef HAVE_SECCOMP
	const char *seccomp = "+seccomp";
#else
	const char *seccomp = "-seccomp";
#endif

	if (printf("cuprum-pump %s\nprotocol %d\nfeatures: %s %s\n",
		PACKAGE_VERSION, PUMP_PROTOCOL, splice, seccomp) < 0)
		return -1;
	return fflush(stdout) == 0 ? 0 : -1;
}

/* To standard output, for --help and --version. The exit status. */
static int
print(int (*text)(void))
{
	if (text() == 0)
		return EX_OK;
	complain("standard output: %s", strerror(errno));
	return EX_IOERR;
}

/* See that what was named is fit. EX_OK, or EX_OSERR. */
static int
check(const struct options *opts)
{
	if (opts->control_fd == -1)
		return run_check(opts);
	if (job_prepare_socket(opts->control_fd) == 0)
		return EX_OK;
	complain("descriptor %d (control): %s", opts->control_fd,
	    strerror(errno));
	return EX_OSERR;
}

/* Do what was asked for. The exit status. */
static int
work(const struct options *opts)
{
	int status = check(opts);

	if (status != EX_OK)
		return status;
	/* Only now may this program open descriptors itself. */
	if (fds_fill_standard() == -1 ||
	    (opts->sandbox && sandbox_shed(opts) == -1) ||
	    loop_catch_signals(opts->ignore_interrupts) == -1 ||
	    (opts->sandbox && sandbox_enter() == -1)) {
		complain("%s", strerror(errno));
		return EX_OSERR;
	}
	return opts->control_fd == -1 ? run_hops(opts) : serve_jobs(opts);
}

int
main(int argc, char **argv)
{
	struct options opts;
	char why[256];
	int status = EX_USAGE;

	if (sandbox_elevated()) {
		complain("refusing to run set-user-ID or set-group-ID");
		return EX_NOPERM;
	}
	switch (options_parse(&opts, argc, argv, why, sizeof(why))) {
	case OPTIONS_RUN:
		status = work(&opts);
		break;
	case OPTIONS_HELP:
		status = print(optable_print_help);
		break;
	case OPTIONS_VERSION:
		status = print(print_version);
		break;
	case OPTIONS_BAD:
	case OPTIONS_UNPAIRED:
		complain("%s", why);
		break;
	case OPTIONS_NO_MEMORY:
		complain("%s", strerror(errno));
		status = EX_OSERR;
		break;
	}
	options_free(&opts);
	return status;
}
