/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>

#include "options.h"

/*
 * Whether the program was started with more rights than its caller has:
 * set-user-ID, set-group-ID or file capabilities (AT_SECURE, getauxval(3)).
 */
bool sandbox_elevated(void);

/*
 * Close every descriptor that opts do not name, but for 0, 1 and 2; give up
 * core dumps and the right to gain rights by execve(2). 0, or -1 with errno.
 */
int sandbox_shed(const struct options *opts);

/*
 * Allow no system call but those the loop needs; any other one kills the
 * process (seccomp(2)). Where the kernel or the build has no such filter, go
 * on without. 0, or -1 with errno.
 */
int sandbox_enter(void);

/* What sandbox_enter achieved, as "start" says it: "seccomp" or "none". */
const char *sandbox_name(void);

#endif
