/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * The fakes. Each first refuses what a hop must never do, then fails if a
 * fault is due, then does what the kernel would.
 */
#include "config.h"

#include <stdarg.h>

#include "fuzz.h"
#include "hop_world.h"
#include "../../helper/clock.h"

#undef malloc
#undef free

/* A terminal polls writable with more room than this (Linux's n_tty). */
#define TERMINAL_WRITABLE 256

#define SOURCE_PERIOD 65521
#define MIXER UINT64_C(0x9e3779b97f4a7c15) /* odd, and far from round */

struct world world;

/*
 * What the source has from a place on, for one transfer: noise that begins
 * anew after a prime number of bytes.
 */
static const unsigned char *
source(uint64_t at)
{
	static unsigned char noise[SOURCE_PERIOD + WORLD_TRANSFER_MAX];
	static bool made;
	uint64_t i;

	for (i = 0; !made && i < sizeof(noise); i++)
		noise[i] = (unsigned char)((i % SOURCE_PERIOD * MIXER) >> 56);
	made = true;
	return noise + at % SOURCE_PERIOD;
}

/* Whether this call fails now, with errno; it means what "as" would mean. */
static bool
faulty_as(enum call call, enum call as)
{
	struct fault *fault = &world.faults[call];

	if (fault->error == 0 || fault->after-- > 0)
		return false;
	errno = fault->error;
	fault->error = 0;
	world_expect(as, errno);
	return true;
}

static bool
faulty(enum call call)
{
	return faulty_as(call, call);
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
input_left(void)
{
	return world.available - world.taken;
}

/* These have a reader that can go, and O_NONBLOCK helps. */
static bool
out_is_stream(void)
{
	return world.out_type == S_IFIFO || world.out_type == S_IFSOCK;
}

static bool
out_is_terminal(void)
{
	return world.out_type == S_IFCHR && world.terminal;
}

static uint64_t
room(void)
{
	return out_is_stream() || out_is_terminal() ? world.room : UINT64_MAX;
}

static void
sink(uint64_t n)
{
	world.sunk += n;
	if (out_is_stream())
		world.room -= n;
	else if (out_is_terminal())
		world.room -= 8 * n; /* each a tab, say */
}

uint64_t
clock_now(void)
{
	return ++world.now;
}

bool
world_can_splice(void)
{
#ifdef ENABLE_SPLICE
	return (world.in_type == S_IFIFO && world.out_type == S_IFIFO) ||
	    (world.in_type == S_IFIFO && world.out_type == S_IFREG) ||
	    (world.in_type == S_IFREG && world.out_type == S_IFIFO);
#else
	return false;
#endif
}

short
world_poll(int fd, short events)
{
	int seen = 0;

	if (fd == WORLD_IN) {
		REQUIRE(world.in_open);
		if (input_left() > 0 || world.in_type == S_IFREG)
			seen = POLLIN;
		if (world.source_closed)
			seen |= world.in_type == S_IFIFO ? POLLHUP :
							   POLLIN | POLLHUP;
		return (short)(seen & (events | POLLHUP));
	}
	if (fd == WORLD_TAP) {
		REQUIRE(world.tap_open);
		if (world.tap_room > 0)
			seen = POLLOUT;
		if (world.tap_reader_gone)
			seen |= POLLOUT | POLLERR;
		return (short)(seen & (events | POLLERR));
	}
	REQUIRE(fd == WORLD_OUT && world.out_open);
	if (room() > (out_is_terminal() ? TERMINAL_WRITABLE : 0))
		seen = POLLOUT;
	if (out_is_stream() && world.reader_gone)
		seen |= POLLOUT | POLLERR;
	return (short)(seen & (events | POLLERR));
}

int
fake_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	nfds_t i;
	int ready = 0;

	REQUIRE(timeout == 0); /* only the loop waits */
	if (faulty_as(CALL_POLL,
		n == 1 && fds[0].fd == WORLD_OUT ? CALL_WRITE : CALL_POLL))
		return -1;
	for (i = 0; i < n; i++) {
		fds[i].revents = world_poll(fds[i].fd, fds[i].events);
		ready += fds[i].revents != 0;
	}
	return ready;
}

/* Take up to max bytes, or -1 with EAGAIN; 0 at the end. */
static int64_t
take(uint64_t max)
{
	if (input_left() == 0) {
		if (world.source_closed || world.in_type == S_IFREG) {
			world.saw_end = true;
			return 0;
		}
		errno = EAGAIN;
		return -1;
	}
	return (int64_t)least(least(max, world.most), input_left());
}

ssize_t
fake_read(int fd, void *buffer, size_t size)
{
	int64_t n;

	REQUIRE(fd == WORLD_IN && world.in_open);
	REQUIRE(size > 0 && size <= WORLD_TRANSFER_MAX);
	REQUIRE(!world.saw_end && world.error == 0);
	if (faulty(CALL_READ))
		return -1;
	n = take(size);
	REQUIRE(n != -1 || world.in_nonblock); /* or it would block */
	if (n > 0) {
		memcpy(buffer, source(world.taken), (size_t)n);
		world.taken += (uint64_t)n;
	}
	return (ssize_t)n;
}

/* Nothing may go out any more once these are true. */
static void
check_output(int fd)
{
	REQUIRE(fd == WORLD_OUT && world.out_open);
	REQUIRE(world.error == 0 && !world.told_broken);
}

static ssize_t
write_tap(const void *buffer, size_t size)
{
	uint64_t n;

	REQUIRE(world.tap_open && world.tap_error == 0);
	REQUIRE(world.tap_sunk + size <= world.taken);
	if (faulty(CALL_TAP_WRITE))
		return -1;
	REQUIRE(world.tap_flag); /* or it might block */
	if (world.tap_reader_gone) {
		errno = EPIPE;
		world_expect(CALL_TAP_WRITE, errno);
		return -1;
	}
	if (world.tap_room == 0) {
		errno = EAGAIN;
		return -1;
	}
	n = least(least(size, world.most), world.tap_room);
	REQUIRE(memcmp(buffer, source(world.tap_sunk), (size_t)n) == 0);
	world.tap_sunk += n;
	world.tap_room -= n;
	return (ssize_t)n;
}

ssize_t
fake_write(int fd, const void *buffer, size_t size)
{
	uint64_t n;

	REQUIRE(size > 0 && size <= WORLD_TRANSFER_MAX);
	if (fd == WORLD_TAP)
		return write_tap(buffer, size);
	check_output(fd);
	/* The tap never lacks what the reader got. */
	REQUIRE(!world.tap_open || world.tap_sunk >= world.sunk + size);
	if (faulty(CALL_WRITE))
		return -1;
	if (out_is_stream() && world.reader_gone) {
		errno = EPIPE;
		world_expect(CALL_WRITE, errno);
		return -1;
	}
	if (out_is_terminal())
		REQUIRE(8 * size <= room()); /* or it would block */
	else if (room() == 0) {
		REQUIRE(world.flag); /* or it would block */
		errno = EAGAIN;
		return -1;
	}
	n = least(least(size, world.most), room());
	REQUIRE(memcmp(buffer, source(world.sunk), (size_t)n) == 0);
	sink(n);
	return (ssize_t)n;
}

ssize_t
fake_splice(int in, const void *in_offset, int out, const void *out_offset,
    size_t size, unsigned flags)
{
	int64_t n;

	check_output(out);
	REQUIRE(in == WORLD_IN && world.in_open && size > 0);
	REQUIRE(!world.saw_end && world_can_splice());
	REQUIRE(in_offset == NULL && out_offset == NULL);
	REQUIRE(flags & SPLICE_F_NONBLOCK);
	REQUIRE(world.taken == world.sunk); /* nothing is overtaken */
	if (faulty(CALL_SPLICE))
		return -1;
	if (out_is_stream() && world.reader_gone) {
		errno = EPIPE;
		world_expect(CALL_SPLICE, errno);
		return -1;
	}
	if (room() == 0) {
		errno = EAGAIN; /* comes before the end of the input */
		return -1;
	}
	n = take(least(size, room()));
	if (n == -1)
		return -1;
	world.taken += (uint64_t)n;
	sink((uint64_t)n);
	return (ssize_t)n;
}

int
fake_close(int fd)
{
	if (fd == WORLD_IN) {
		REQUIRE(world.in_open);
		world.in_open = false;
		return 0;
	}
	if (fd == WORLD_TAP) {
		REQUIRE(world.tap_open && !world.tap_flag);
		world.tap_open = false;
		return faulty(CALL_TAP_CLOSE) ? -1 : 0;
	}
	REQUIRE(fd == WORLD_OUT && world.out_open);
	REQUIRE(world.flag == world.out_nonblock || world.flag_lost);
	world.out_open = false; /* also where close(2) fails */
	return faulty(CALL_CLOSE) ? -1 : 0;
}

static int
set_flags(int fd, int flags)
{
	REQUIRE(fd != WORLD_IN); /* the input's are left alone */
	REQUIRE((flags & ~O_NONBLOCK) == O_WRONLY);
	if (fd == WORLD_TAP) {
		if (flags & O_NONBLOCK && faulty(CALL_TAP_FLAGS))
			return -1;
		world.tap_flag = flags & O_NONBLOCK;
		return 0;
	}
	if (flags & O_NONBLOCK) {
		if (faulty(CALL_FLAGS))
			return -1;
		world.flag = world.flag_set = true;
		return 0;
	}
	if (faulty_as(CALL_FLAGS, CALL_RESTORE)) {
		world.flag_lost = true;
		return -1;
	}
	world.flag = false;
	return 0;
}

int
fake_fcntl(int fd, int command, ...)
{
	va_list ap;
	int argument = 0;

	REQUIRE(fd == WORLD_IN  ? world.in_open :
		fd == WORLD_TAP ? world.tap_open :
				  world.out_open);
	va_start(ap, command);
	if (command == F_SETFL || command == F_SETPIPE_SZ)
		argument = va_arg(ap, int);
	va_end(ap);
	switch (command) {
	case F_GETFL:
		if (fd == WORLD_IN)
			return O_RDONLY | (world.in_nonblock ? O_NONBLOCK : 0);
		if (fd == WORLD_TAP)
			return O_WRONLY | (world.tap_flag ? O_NONBLOCK : 0);
		/* Later ones do not tell what for: F_SETFL's fail instead. */
		if (!world.flag_set && faulty(CALL_FLAGS))
			return -1;
		return O_WRONLY | (world.flag ? O_NONBLOCK : 0);
	case F_SETFL:
		return set_flags(fd, argument);
	case F_GETPIPE_SZ:
		REQUIRE(fd != WORLD_TAP);
		return world.pipe_size;
	case F_SETPIPE_SZ:
		REQUIRE(fd != WORLD_TAP && world_may_resize(argument));
		world.pipe_sizes_asked++;
		errno = EPERM;
		return -1;
	default:
		REQUIRE(command == F_GETFL);
		return -1;
	}
}

int
fake_fstat(int fd, struct stat *st)
{
	mode_t *type = fd == WORLD_IN ? &world.in_type : &world.out_type;

	if (fd == WORLD_TAP) {
		*st = (struct stat){ .st_mode = S_IFIFO | S_IWUSR };
		return 0;
	}
	if (faulty(CALL_FSTAT)) {
		*type = WORLD_UNKNOWN;
		return -1;
	}
	*st = (struct stat){ .st_mode = *type | S_IRUSR };
	return 0;
}

int
fake_shutdown(int fd, int how)
{
	REQUIRE(fd == WORLD_OUT && world.out_open && how == SHUT_WR);
	world.shutdowns++;
	return 0;
}

int
fake_isatty(int fd)
{
	if (fd == WORLD_OUT && out_is_terminal())
		return 1;
	errno = ENOTTY;
	return 0;
}

int
fake_ioctl(int fd, unsigned long request, int *result)
{
	REQUIRE(fd == WORLD_IN && world.in_open && request == FIONREAD);
	if (world.in_type == S_IFCHR) {
		errno = ENOTTY;
		return -1;
	}
	*result = (int)input_left();
	return 0;
}

void *
fake_malloc(size_t size)
{
	void *memory;

	if (faulty(CALL_MALLOC))
		return NULL;
	memory = malloc(size);
	REQUIRE(memory != NULL);
	world.buffers++;
	return memory;
}

void
fake_free(void *memory)
{
	if (memory != NULL)
		world.buffers--;
	free(memory);
}
