/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * The reference: what a failing call means, and what must hold.
 */
#include "config.h"

#include "hop_world.h"

#include "../../helper/clock.h"
#include "fuzz.h"
#include "hop_reference.h"

#define GROWN (256 * 1024)

struct trial trial;

/* A tap's failure is nobody else's. */
static void
expect_of_tap(enum call call, int error)
{
	if ((call == CALL_TAP_WRITE && (error == EINTR || error == EAGAIN)) ||
	    (call == CALL_TAP_CLOSE && error == EINTR))
		return;
	if (world.tap_error == 0)
		world.tap_error = error;
}

/*
 * The reference, first half: what a failing call means. Transient errors and
 * the restoring of flags mean nothing; a reader that has gone is no error.
 */
void
world_expect(enum call call, int error)
{
	static const char *const sides[CALLS] = { [CALL_READ] = "read",
		[CALL_WRITE] = "write",
		[CALL_POLL] = "read",
		[CALL_FLAGS] = "write",
		[CALL_MALLOC] = "read" };
	bool moving = call == CALL_READ || call == CALL_WRITE ||
	    call == CALL_SPLICE || call == CALL_POLL;

	trial.idle = 0;
	if (call >= STREAM_CALLS && call < CALLS) {
		expect_of_tap(call, error);
		return;
	}
	trial.injected = true;
	if (call == CALL_CLOSE) {
		trial.close_error = error == EINTR ? 0 : error;
		return;
	}
	if (call == CALL_FSTAT || call == CALL_RESTORE ||
	    (moving && (error == EINTR || error == EAGAIN)))
		return;
	if ((error == EPIPE && (call == CALL_WRITE || call == CALL_SPLICE)) ||
	    (error == ECONNRESET && call == CALL_WRITE)) {
		world.told_broken = true;
		return;
	}
	world.error = error;
	world.side = sides[call];
	if (call != CALL_SPLICE)
		return;
	if (world.taken > 0 ||
	    (error != EINVAL && error != ENOSYS && error != EPERM &&
		error != EOPNOTSUPP))
		world.side = world.out_type == S_IFIFO ? "read" : "write";
	else if (trial.opts.engine == ENGINE_AUTO)
		world.error = 0; /* the other engine takes over */
}

bool
world_may_resize(int size)
{
	switch (trial.opts.pipe_policy) {
	case PIPE_AT_START:
		return size == trial.opts.pipe_size && world.taken == 0;
	case PIPE_GROW_EARNED:
		return size == GROWN && world.taken >= MIB &&
		    world.pipe_size < size;
	default:
		return false;
	}
}

/* Whether two names of the contract's, or NULL for null, are the same. */
static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* What holds at any moment. */
void
check_always(void)
{
	struct status_hop r = hop_report(&trial.hop, world.now);

	REQUIRE(r.read == world.taken && r.written == world.sunk);
	REQUIRE(r.released == trial.released);
	REQUIRE(!trial.released || world.taken <= trial.end);
	REQUIRE(!trial.released || trial.hop.wait != HOP_STARVED ||
	    world.available > world.taken); /* it does not wait for more */
	if (trial.hop.phase == HOP_FLOWING)
		REQUIRE(r.discarded == 0 &&
		    r.read - r.written <= trial.hop.stream.limit);
	else
		REQUIRE(r.read == r.written + r.discarded);
	REQUIRE(r.wait_input_ns + r.wait_output_ns <= r.elapsed_ns);
	REQUIRE((trial.hop.phase == HOP_FLOWING) == world.out_open);
	REQUIRE((world.tapped && world.out_open && world.tap_error == 0) ==
	    world.tap_open);
	REQUIRE(hop_tap_ended(&trial.hop) == (world.tapped && !world.tap_open));
	REQUIRE(trial.hop.stream.tap.written == world.tap_sunk);
	REQUIRE((trial.hop.phase != HOP_ENDED) == world.in_open);
	REQUIRE(trial.hop.phase == HOP_ENDED || world.error == 0);
	REQUIRE(trial.hop.phase != HOP_FLOWING ||
	    (!world.saw_end && !world.told_broken));
}

/* It has taken what was there when it was released, as far as it still was. */
static void
check_released(void)
{
	REQUIRE(world.taken == trial.end || trial.left == 0 ||
	    world.in_type == S_IFCHR);
}

/* How a drain may have ended. */
static void
check_drain(const struct status_hop *r)
{
	if (!r->broken_pipe || r->error != 0)
		REQUIRE(r->drain == NULL);
	else if (trial.opts.drain_ns == 0)
		REQUIRE(same(r->drain, "closed"));
	else if (world.saw_end)
		REQUIRE(same(r->drain, "eof"));
	else if (trial.released && same(r->drain, "eof"))
		check_released();
	else {
		REQUIRE(same(r->drain, "timeout"));
		REQUIRE(trial.opts.drain_ns != CLOCK_NEVER);
		REQUIRE(r->elapsed_ns >= trial.opts.drain_ns);
	}
}

static void
check_pipe_sizes(const struct status_hop *r)
{
	uint64_t asked = world.pipe_sizes_asked;

	if (trial.opts.pipe_policy == PIPE_AT_START)
		REQUIRE(asked == 2);
	else if (!r->broken_pipe && r->error == 0 && world.taken >= MIB &&
	    trial.opts.pipe_policy == PIPE_GROW_EARNED &&
	    world.pipe_size < GROWN)
		REQUIRE(asked == 2);
}

/* The reference, second half: what an ended hop must have done. */
void
check_end(void)
{
	struct status_hop r = hop_report(&trial.hop, world.now);
	bool closing = world.error == 0 && !r.broken_pipe;

	REQUIRE(
	    trial.hop.phase == HOP_ENDED && !world.in_open && !world.out_open);
	REQUIRE(r.read == r.written + r.discarded);
	REQUIRE(r.error == (closing ? trial.close_error : world.error));
	REQUIRE(
	    same(r.side, closing && trial.close_error ? "write" : world.side));
	REQUIRE(!world.told_broken || r.broken_pipe);
	REQUIRE(!r.broken_pipe || world.told_broken || world.reader_gone);
	if (trial.released && world.error == 0 && !r.broken_pipe) {
		check_released();
		REQUIRE(world.sunk == world.taken);
	} else if (world.error == 0 && !r.broken_pipe)
		REQUIRE(world.saw_end && world.sunk == world.total);
	if (!trial.injected && !trial.released && !world.reader_gone &&
	    trial.opts.engine != ENGINE_SPLICE)
		REQUIRE(world.error != 0 || world.sunk == world.total);
	check_drain(&r);
	check_pipe_sizes(&r);
	REQUIRE(trial.hop.tap_error == world.tap_error);
	REQUIRE(!world.tapped || world.tap_error != 0 ||
	    world.tap_sunk >= world.sunk);
	REQUIRE(!world.tapped || same(r.engine, "copy"));
	REQUIRE(world.buffers == 0);
	REQUIRE(
	    world.shutdowns == (trial.shared && world.out_type == S_IFSOCK));
	REQUIRE(
	    same(r.engine, "copy") || world_can_splice() || r.error == EINVAL);
	REQUIRE(r.waiting == NULL);
}

static bool
moved_since(const struct hop *before)
{
	const struct stream *s = &trial.hop.stream, *was = &before->stream;

	return s->read != was->read || s->out.written != was->out.written ||
	    s->tap.written != was->tap.written || s->tap.fd != was->tap.fd ||
	    trial.hop.phase != before->phase || trial.hop.wait != before->wait;
}

/*
 * A hop that poll wakes up has something to do, or it would burn time; once
 * may be to find out. And only while no input waits is a reader's absence
 * taken from poll.
 */
void
check_turn(const struct hop *before, const struct pollfd ends[2], bool woken)
{
	if (before->phase != HOP_ENDED && trial.hop.phase == HOP_ENDED)
		trial.left = world.available - world.taken;
	if (!woken || moved_since(before))
		trial.idle = 0;
	else
		REQUIRE(++trial.idle < 3);
	if (trial.hop.broken_pipe && !before->broken_pipe)
		REQUIRE(world.told_broken || ends[0].revents == 0);
}
