/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * The world of one hop, without a kernel: a source, a sink, a clock, and
 * faults on demand. Include it before the helper's own headers: it puts the
 * fakes in the place of the system calls.
 */
#ifndef HOP_WORLD_H
#define HOP_WORLD_H

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORLD_IN 100
#define WORLD_OUT 101
#define WORLD_TAP 102                  /* a pipe, if there is one */
#define WORLD_TRANSFER_MAX (256 << 10) /* bytes per call */

/* The calls that can be made to fail. */
enum call {
	CALL_READ,
	CALL_WRITE,
	CALL_SPLICE,
	CALL_POLL,
	CALL_CLOSE, /* of the output: nobody asks what the input's returned */
	CALL_FLAGS, /* F_GETFL, F_SETFL */
	CALL_FSTAT,
	CALL_MALLOC,
	STREAM_CALLS,
	CALL_TAP_WRITE = STREAM_CALLS,
	CALL_TAP_CLOSE,
	CALL_TAP_FLAGS, /* F_SETFL */
	CALLS,
	CALL_RESTORE = CALLS /* CALL_FLAGS on the way out, when all is over */
};

struct fault {
	int error;     /* 0: none */
	uint8_t after; /* so many calls that go well */
};

struct world {
	/* Chosen at the start. */
	mode_t in_type;
	mode_t out_type;
	bool in_nonblock;
	bool out_nonblock;
	bool terminal;  /* a character device is one */
	uint64_t total; /* bytes that the source ever has */
	int pipe_size;
	/* The source. */
	uint64_t available; /* of total, so many were offered so far */
	bool source_closed;
	uint64_t taken;
	bool saw_end;
	/* The sink. */
	uint64_t room;
	uint64_t sunk;
	bool reader_gone;
	bool told_broken; /* EPIPE or ECONNRESET was returned */
	/* The tap. */
	bool tapped; /* chosen at the start */
	uint64_t tap_room;
	uint64_t tap_sunk;
	bool tap_reader_gone;
	bool tap_open;
	bool tap_flag; /* its O_NONBLOCK now */
	int tap_error; /* the first that must end it, by world_expect */
	/* The descriptors. */
	bool in_open;
	bool out_open;
	bool flag;      /* O_NONBLOCK of the output now */
	bool flag_set;  /* once, at least */
	bool flag_lost; /* could not be put back */
	int shutdowns;
	int buffers;
	uint64_t pipe_sizes_asked;
	/* What happens next. */
	size_t most; /* bytes per transfer */
	struct fault faults[CALLS];
	uint64_t now;
	/* The first fault that must end the hop, by world_expect. */
	int error;
	const char *side;
};

extern struct world world;

/* What a type becomes once fstat(2) has failed; 0. */
#define WORLD_UNKNOWN 0

/* What poll(2) would say of a descriptor, for these events. */
short world_poll(int fd, short events);

/* Whether the hop may be served by splice(2): see the contract, section 5. */
bool world_can_splice(void);

/* The target's: a call is about to fail with error. */
void world_expect(enum call call, int error);

/* The target's: whether pipe sizes may be touched now, and to this size. */
bool world_may_resize(int size);

int fake_poll(struct pollfd *, nfds_t, int timeout);
ssize_t fake_read(int fd, void *, size_t);
ssize_t fake_write(int fd, const void *, size_t);
ssize_t fake_splice(int in, const void *, int out, const void *, size_t,
    unsigned flags);
int fake_close(int fd);
int fake_fcntl(int fd, int command, ...);
int fake_fstat(int fd, struct stat *);
int fake_shutdown(int fd, int how);
int fake_isatty(int fd);
int fake_ioctl(int fd, unsigned long request, int *result);
void *fake_malloc(size_t);
void fake_free(void *);

#define poll fake_poll
#define read fake_read
#define write fake_write
#define splice fake_splice
#define close fake_close
#define fcntl fake_fcntl
#define fstat fake_fstat
#define shutdown fake_shutdown
#define isatty fake_isatty
#define ioctl fake_ioctl
#define malloc fake_malloc
#define free fake_free

#endif
