/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * What must come of a hop: the reference that fuzz_hop.c compares with.
 * Include hop_world.h first.
 */
#ifndef HOP_REFERENCE_H
#define HOP_REFERENCE_H

#include "../../helper/hop.h"

#define MIB (UINT64_C(1) << 20)

/* One hop, how it is set up, and what the reference noted of its course. */
struct trial {
	struct hop hop;
	struct options opts;
	bool shared; /* another hop has the same output */
	int close_error;
	bool released;
	uint64_t end;  /* once released: no more is taken than so much */
	uint64_t left; /* when it ended, in the source */
	bool injected; /* some call failed */
	int idle;      /* turns for nothing, one after another */
};

extern struct trial trial;

/* What holds at any moment. */
void check_always(void);

/*
 * What holds after a turn of the loop, given the hop before it and what poll
 * said; woken: and was right about it.
 */
void check_turn(const struct hop *before, const struct pollfd ends[2],
    bool woken);

/* What an ended hop must have done. */
void check_end(void);

#endif
