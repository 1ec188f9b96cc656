/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef RUN_H
#define RUN_H

#include "loop.h"
#include "options.h"

/*
 * Send the last record, however long it takes until there is room. LOOP_DONE,
 * LOOP_ORPHANED, LOOP_SIGNALLED or LOOP_FAILED.
 */
enum loop_result run_send_end(int status_fd, int error);

/*
 * See whether all descriptors are open for what they are to do. EX_OK; or
 * EX_OSERR once people and the "end" record were told which is not, and the
 * operands are closed. Before this program opens any descriptor itself: else
 * a closed one might be found open because of that.
 */
int run_check(const struct options *opts);

/*
 * Move what opts ask for, to the last record. The operands are closed when
 * this returns; status_fd is not. Returns EX_OK; EX_OSERR if something was
 * refused before a byte moved; EX_IOERR if a hop or a tap failed; EX_TEMPFAIL
 * if the reader of the records has gone. Does not return after a signal that
 * ends the program.
 */
int run_hops(const struct options *opts);

#endif
