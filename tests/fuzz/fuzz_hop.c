/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * A model test of one hop: random options, then random readiness, partial
 * moves, closes and faults; and a reference that says what must come of it.
 *
 * Input: the choices of set_up(), then operations, see operate(). Where the
 * input ends, the world turns kind: no more faults, all bytes are offered,
 * all room is there, and the hop has to end.
 */
#include "config.h"

#include "hop_world.h"

#include "../../helper/clock.h"
#include "fuzz.h"
#include "hop_reference.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static bool endless; /* the source outlives the drain */

/* One turn of the loop; what happens between its poll and the step. */
enum between { NOTHING, POLL_FAILS, OTHER_READER };

static bool
poll_hop(struct pollfd ends[2])
{
	int i;

	hop_poll(&trial.hop, ends);
	REQUIRE(ends[0].fd == -1 || ends[0].fd == WORLD_IN ||
	    ends[0].fd == WORLD_TAP);
	REQUIRE(ends[1].fd == -1 || ends[1].fd == WORLD_OUT);
	for (i = 0; i < 2; i++)
		if (ends[i].fd != -1)
			ends[i].revents =
			    world_poll(ends[i].fd, ends[i].events);
	return ends[0].revents != 0 || ends[1].revents != 0;
}

static void
turn(enum between between)
{
	const struct hop before = trial.hop;
	struct pollfd ends[2];
	bool woken = poll_hop(ends) && between == NOTHING;

	if (between == POLL_FAILS)
		ends[0].revents = ends[1].revents = 0;
	if (between == OTHER_READER && world.in_type != S_IFREG) {
		/* For this hop, the source never had these bytes. */
		world.total -= world.available - world.taken;
		world.available = world.taken;
	}
	hop_step(&trial.hop, ends, clock_now());
	check_turn(&before, ends, woken);
	check_always();
}

static void
offer(uint64_t bytes)
{
	uint64_t more = world.total - world.available;

	world.available += bytes < more ? bytes : more;
}

/* One of so many calls, from first on, is to fail. */
static void
arm(struct fuzz_bytes *input, int first, int calls)
{
	static const int errors[] = { EINTR, EAGAIN, EIO, ENOMEM, ENOSPC, EPIPE,
		ECONNRESET, EINVAL, ENOSYS, EPERM, EOPNOTSUPP, EBADF, EFBIG,
		EDQUOT, ETIMEDOUT };
	enum call call = (enum call)(first + fuzz_byte(input) % calls);

	world.faults[call].error = errors[fuzz_byte(input) % LENGTH(errors)];
	world.faults[call].after = fuzz_byte(input) % 8;
	if (call == CALL_MALLOC)
		world.faults[call].error = ENOMEM;
}

static void
abort_hop(void)
{
	world.error = EINTR;
	world.side = NULL;
	hop_abort(&trial.hop, EINTR, clock_now());
	check_always();
}

static void
release_hop(void)
{
	struct fault fault = world.faults[CALL_POLL];
	bool ends = !world.in_open || world_poll(WORLD_IN, 0) != 0;

	world.faults[CALL_POLL].error = 0; /* kept for the hop's moves */
	hop_release(&trial.hop, clock_now());
	world.faults[CALL_POLL] = fault;
	if (!ends && !trial.released) {
		trial.released = true;
		trial.end =
		    world.in_type == S_IFCHR ? world.taken : world.available;
	}
	check_always();
}

/* Another hop with the same open file behind its output puts flags back. */
static void
end_sibling(void)
{
	struct sink sibling = { .fd = WORLD_OUT,
		.nonblock_set = !world.out_nonblock };
	struct fault fault = world.faults[CALL_FLAGS];

	if (!world.out_open)
		return;
	world.faults[CALL_FLAGS].error = 0; /* kept for the hop itself */
	sink_restore(&sibling);
	world.faults[CALL_FLAGS] = fault;
}

static void
operate_tap(struct fuzz_bytes *input)
{
	switch (fuzz_byte(input) % 4) {
	case 0:
		arm(input, STREAM_CALLS, CALLS - STREAM_CALLS);
		break;
	case 1:
		world.tap_reader_gone = true;
		break;
	default:
		world.tap_room += fuzz_word(input);
		break;
	}
}

static void
operate(struct fuzz_bytes *input)
{
	switch (fuzz_byte(input) % 16) {
	case 0:
		offer(fuzz_word(input));
		break;
	case 1:
		if (world.in_type != S_IFREG)
			world.total = world.available;
		world.source_closed = true;
		break;
	case 2:
		world.room += fuzz_word(input);
		break;
	case 3:
		world.reader_gone =
		    world.out_type == S_IFIFO || world.out_type == S_IFSOCK;
		break;
	case 4:
		world.most = 1 + (size_t)fuzz_word(input);
		break;
	case 5:
		arm(input, 0, STREAM_CALLS);
		break;
	case 6:
		world.now += (uint64_t)fuzz_word(input) << 16;
		break;
	case 7:
		turn(POLL_FAILS);
		break;
	case 8:
		turn(OTHER_READER);
		break;
	case 9:
		end_sibling();
		break;
	case 10:
		switch (fuzz_byte(input)) {
		case 0:
			abort_hop();
			break;
		case 1:
			release_hop();
			break;
		}
		break;
	case 11:
		if (world.tapped)
			operate_tap(input);
		else
			turn(NOTHING);
		break;
	default:
		turn(NOTHING);
		break;
	}
}

/* What a call moves at least, if it moves what it can. */
static uint64_t
piece(void)
{
	uint64_t size = trial.opts.buffer_size;

	return world.out_type == S_IFCHR && world.terminal && size > 32 ? 32 :
									  size;
}

static void
set_up(struct fuzz_bytes *input)
{
	static const mode_t types[] = { S_IFIFO, S_IFSOCK, S_IFREG, S_IFCHR };
	static const size_t buffers[] = { 1, 2, 7, 512, 4096, 65536,
		WORLD_TRANSFER_MAX };
	static const uint64_t drains[] = { 0, 1, CLOCK_SECOND / 4,
		CLOCK_NEVER };
	unsigned choices = fuzz_byte(input), kinds = fuzz_byte(input), more;

	endless = choices & 2;
	trial = (struct trial){ .shared = choices & 1 };
	trial.opts = (struct options){
		.buffer_size = buffers[fuzz_byte(input) % LENGTH(buffers)],
		.engine = (enum engine_choice)((choices >> 2) % 3),
		.pipe_policy = (enum pipe_policy)((choices >> 4) % 3),
		.pipe_size = 8192,
		.drain_ns = drains[kinds >> 4 & 3],
	};
	more = fuzz_byte(input);
	if (more & 2 && trial.opts.engine == ENGINE_SPLICE)
		trial.opts.engine = ENGINE_COPY; /* options.c sees to that */
	world = (struct world){
		.in_type = types[kinds & 3],
		.out_type = types[kinds >> 2 & 3],
		.in_nonblock = choices & 64,
		.out_nonblock = choices & 128,
		.flag = choices & 128,
		.terminal = more & 1,
		.tapped = more & 2,
		.tap_open = more & 2,
		.pipe_size = kinds & 64 ? (int)MIB : 65536,
		.in_open = true,
		.out_open = true,
		.most = SIZE_MAX,
		.now = CLOCK_SECOND,
	};
	world.total = fuzz_word(input);
	if (fuzz_byte(input) % 8 == 7)
		world.total <<= 5; /* now and then enough for larger pipes */
	if (world.total > 4096 * piece())
		world.total = 4096 * piece(); /* be done in time */
	world.room = fuzz_word(input);
	if (world.tapped)
		world.tap_room = fuzz_word(input);
	if (world.in_type == S_IFREG) {
		world.available = world.total;
		world.source_closed = true;
	}
	if (kinds & 128)
		arm(input, 0, STREAM_CALLS);
}

static void
start(void)
{
	trial.hop.stream = (struct stream){ .in = WORLD_IN,
		.out = { .fd = WORLD_OUT, .was_nonblock = world.out_nonblock },
		.tap = { .fd = world.tapped ? WORLD_TAP : -1 } };
	hop_start(&trial.hop, 0, &trial.opts, trial.shared, clock_now());
	if (trial.opts.engine == ENGINE_SPLICE && !world_can_splice())
		world.error = EINVAL;
	check_always();
}

/* Wait as the loop does: for what the hop polls, or for its deadline. */
static void
wait_and_turn(void)
{
	uint64_t due = hop_deadline(&trial.hop);
	struct pollfd ends[2];

	if (!poll_hop(ends) && due > world.now) {
		REQUIRE(due != CLOCK_NEVER); /* or it would wait for ever */
		world.now = due;
	}
	turn(NOTHING);
}

static void
be_kind(void)
{
	uint64_t turns = 2 * world.total / piece() + 1000;
	size_t i;

	for (i = 0; i < CALLS; i++)
		world.faults[i].error = 0;
	world.most = SIZE_MAX;
	world.room = world.tap_room = UINT64_MAX / 2;
	endless = endless && world.in_type != S_IFREG &&
	    trial.opts.drain_ns != CLOCK_NEVER && !world.source_closed &&
	    (world.reader_gone || world.told_broken);
	offer(UINT64_MAX);
	world.source_closed = !endless;
	while (trial.hop.phase != HOP_ENDED) {
		REQUIRE(turns-- > 0); /* or it would go on for ever */
		if (endless) {
			world.now += CLOCK_SECOND / 1000;
			world.total += 4096;
			offer(4096);
		}
		wait_and_turn();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_bytes input = { data, size };

	set_up(&input);
	start();
	while (input.left > 0 && trial.hop.phase != HOP_ENDED)
		operate(&input);
	be_kind();
	check_end();
	turn(NOTHING); /* an ended hop does nothing, and may be asked to */
	REQUIRE(hop_deadline(&trial.hop) == CLOCK_NEVER);
	hop_abort(&trial.hop, EIO, clock_now());
	check_end();
	return 0;
}
