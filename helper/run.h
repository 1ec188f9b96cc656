/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef RUN_H
#define RUN_H

#include "options.h"

/*
 * Move what opts ask for, from the first check to the last record. Returns
 * the exit status (<sysexits.h>): EX_OK, EX_OSERR if something was refused
 * before a byte moved, EX_IOERR if a hop failed, EX_TEMPFAIL if the reader of
 * the records has gone. Does not return after a signal that ends the program.
 */
int run_hops(const struct options *opts);

#endif
