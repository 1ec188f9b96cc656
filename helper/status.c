/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * Status records: JSON Lines. All strings in them are our own and need no
 * escapes.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "errname.h"
#include "status.h"
#include "fault.h"

#define RECORD_MAX 512 /* _POSIX_PIPE_BUF, <limits.h> */

/*
 * A pipe that polls writable has room for PIPE_BUF bytes (pipe(7)), so the
 * write blocks on no pipe, whatever its flags. What a file or socket took in
 * part is completed: half a record would spoil the next one too.
 */
static enum status_result
put(int fd, const char *record, size_t length)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	size_t done = 0;
	ssize_t n;

	while (done < length) {
		switch (poll(&room, 1, done == 0 ? 0 : -1)) {
		case 0:
			return STATUS_FULL;
		case -1:
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return STATUS_LOST;
		}
		n = write(fd, record + done, length - done);
		if (n >= 0)
			done += (size_t)n;
		else if (errno == EAGAIN && done == 0)
			return STATUS_FULL;
		else if (errno != EINTR && errno != EAGAIN)
			return STATUS_LOST;
	}
	return STATUS_SENT;
}

static enum status_result emit(int fd, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));

static enum status_result
emit(int fd, const char *fmt, ...)
{
	char record[RECORD_MAX];
	va_list ap;
	int length;

	if (fd == -1)
		return STATUS_SENT;
	va_start(ap, fmt);
	length = vsnprintf(record, sizeof(record), fmt, ap);
	va_end(ap);
	if (length < 0 || (size_t)length >= sizeof(record)) {
		errno = EOVERFLOW;
		return STATUS_LOST;
	}
	return put(fd, record, (size_t)length);
}

/* A string as JSON: in quotes, or null. The buffer is the caller's. */
static const char *
quoted(const char *text, char *buffer, size_t size)
{
	if (text == NULL)
		return "null";
	(void)snprintf(buffer, size, "\"%s\"", text);
	return buffer;
}

enum status_result
status_start(int fd, size_t hops, const char *sandbox)
{
	return emit(fd,
	    "{\"event\":\"start\",\"protocol\":%d,"
	    "\"version\":\"%s\",\"pid\":%ld,\"hops\":%zu,"
	    "\"sandbox\":\"%s\"}\n",
	    PUMP_PROTOCOL, PACKAGE_VERSION, (long)getpid(), hops, sandbox);
}

enum status_result
status_progress(int fd, const struct status_hop *hop)
{
	char waiting[16];

	return emit(fd,
	    "{\"event\":\"progress\",\"hop\":%d,"
	    "\"read\":%" PRIu64 ",\"written\":%" PRIu64 ","
	    "\"discarded\":%" PRIu64 ",\"engine\":\"%s\",\"waiting\":%s,"
	    "\"wait_input_ns\":%" PRIu64 ",\"wait_output_ns\":%" PRIu64 ","
	    "\"elapsed_ns\":%" PRIu64 "}\n",
	    hop->hop, hop->read, hop->written, hop->discarded, hop->engine,
	    quoted(hop->waiting, waiting, sizeof(waiting)), hop->wait_input_ns,
	    hop->wait_output_ns, hop->elapsed_ns);
}

enum status_result
status_ended(int fd, const struct status_hop *hop)
{
	char drain[16], error[32], side[16];

	return emit(fd,
	    "{\"event\":\"hop\",\"hop\":%d,"
	    "\"read\":%" PRIu64 ",\"written\":%" PRIu64 ","
	    "\"discarded\":%" PRIu64 ",\"engine\":\"%s\","
	    "\"broken_pipe\":%s,\"drain\":%s,\"released\":%s,"
	    "\"errno\":%d,\"error\":%s,\"side\":%s,"
	    "\"wait_input_ns\":%" PRIu64 ",\"wait_output_ns\":%" PRIu64 ","
	    "\"elapsed_ns\":%" PRIu64 "}\n",
	    hop->hop, hop->read, hop->written, hop->discarded, hop->engine,
	    hop->broken_pipe ? "true" : "false",
	    quoted(hop->drain, drain, sizeof(drain)),
	    hop->released ? "true" : "false", hop->error,
	    quoted(hop->error != 0 ? errname(hop->error) : NULL, error,
		sizeof(error)),
	    quoted(hop->side, side, sizeof(side)), hop->wait_input_ns,
	    hop->wait_output_ns, hop->elapsed_ns);
}

enum status_result
status_tap(int fd, int hop, uint64_t written, int error)
{
	char name[32];

	return emit(fd,
	    "{\"event\":\"tap\",\"hop\":%d,\"written\":%" PRIu64 ","
	    "\"errno\":%d,\"error\":%s}\n",
	    hop, written, error,
	    quoted(error != 0 ? errname(error) : NULL, name, sizeof(name)));
}

enum status_result
status_end(int fd, int error)
{
	char name[32];

	return emit(fd, "{\"event\":\"end\",\"errno\":%d,\"error\":%s}\n",
	    error,
	    quoted(error != 0 ? errname(error) : NULL, name, sizeof(name)));
}
