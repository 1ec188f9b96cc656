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
#include "options.h"
#include "run.h"
#include "sandbox.h"

static int
print_version(void)
{
#ifdef ENABLE_SPLICE
	const char *splice = "+splice";
#else
	const char *splice = "-splice";
#endif

	if (printf("cuprum-pump %s\nprotocol %d\nfeatures: %s\n",
		PACKAGE_VERSION, PUMP_PROTOCOL, splice) < 0)
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
		status = run_hops(&opts);
		break;
	case OPTIONS_HELP:
		status = print(options_print_help);
		break;
	case OPTIONS_VERSION:
		status = print(print_version);
		break;
	case OPTIONS_BAD:
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
