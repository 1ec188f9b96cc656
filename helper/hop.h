/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef HOP_H
#define HOP_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "move.h"
#include "options.h"
#include "status.h"

enum hop_phase {
	HOP_FLOWING,  /* from in to out */
	HOP_DRAINING, /* nobody reads out: from in to nowhere */
	HOP_ENDED     /* both descriptors are closed */
};

enum hop_wait { HOP_READY, HOP_STARVED, HOP_BLOCKED };

struct hop {
	int index;
	const struct options *opts;
	const struct hop *next; /* of a chain; NULL: the last, or no chain */
	const struct engine *engine;
	struct stream stream;
	bool half_close; /* out is a socket in use */
	bool tapped;     /* there is a tap, or was */
	int tap_error;   /* errno; 0: none */
	enum hop_phase phase;
	enum hop_wait wait;
	uint64_t wait_since;
	bool grown;    /* pipe sizes were asked for */
	bool released; /* what is not there yet is not waited for */
	uint64_t discarded;
	bool broken_pipe;
	const char *drain;
	uint64_t drain_until;
	int error;        /* errno; 0: none */
	const char *side; /* of that error */
	uint64_t wait_input_ns;
	uint64_t wait_output_ns;
	uint64_t started;
	uint64_t ended;
	bool tap_reported; /* the caller's: record sent */
	bool reported;     /* likewise */
};

/*
 * Begin with next set, and in stream the descriptors and was_nonblock of both
 * sinks; the descriptors are the hop's from here on. out_shared: other hops use
 * the same output, so that its end of file, if it is a socket, takes a
 * shutdown(2).
 * Nothing moves yet. A hop that its engine cannot serve has ended when this
 * returns, with error set.
 */
void hop_start(struct hop *, int index, const struct options *, bool out_shared,
    uint64_t now);

/*
 * The descriptors to poll and what for: first the input or a full tap, then the
 * output.
 */
void hop_poll(const struct hop *, struct pollfd ends[2]);

/* When hop_step is due even if poll reports nothing; or CLOCK_NEVER. */
uint64_t hop_deadline(const struct hop *);

/* Do what can be done without blocking, given what poll said. */
void hop_step(struct hop *, const struct pollfd ends[2], uint64_t now);

/*
 * Nobody waits for its input any longer: move, or discard, what lies there now,
 * and then end as at the end of file. Nothing if that comes by itself, because
 * nobody can write any more, or if the hop has ended.
 */
void hop_release(struct hop *, uint64_t now);

/* End it from outside with an errno; nothing if it has ended. */
void hop_abort(struct hop *, int error, uint64_t now);

/* Whether there was a tap, and it is closed: its record is due. */
bool hop_tap_ended(const struct hop *);

/* Everything a record says, the wait that goes on now included. */
struct status_hop hop_report(const struct hop *, uint64_t now);

#endif
