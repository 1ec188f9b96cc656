/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef SERVE_H
#define SERVE_H

#include "options.h"

/*
 * Run jobs from opts->control_fd, one after the other, until its other end
 * has gone or none has come for opts->idle_ns. The exit status:
 * EX_OK; EX_TEMPFAIL if the reader of a job's records has gone; EX_OSERR if
 * the socket fails. A job that is refused or fails is told of in its records
 * and ends nothing else. Does not return after a signal that ends the program.
 */
int serve_jobs(const struct options *opts);

#endif
