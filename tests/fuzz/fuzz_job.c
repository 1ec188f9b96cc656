/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * The receiver of jobs, with a real socket pair and real descriptors.
 *
 * Input: a byte of choices, then six bytes and a text for each datagram, see
 * struct datagram. What job.h promises is looked up in the system: after
 * job_close the open descriptors are those from before.
 */
#include "config.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "../../helper/job.h"
#include "fuzz.h"

#define DATAGRAMS_MAX 6
#define OPEN_MAX_HERE 640 /* more than any input opens */
#define LENGTH_MAX (JOB_PAYLOAD_MAX + 200)
#define THINGS 6

enum {
	WITH_PIDFD = 2, /* the socket asks for one of the sender's process */
	RESET = 4       /* the sender leaves with something unread */
};

enum {
	ENDS_WITH_NUL = 1,
	TWO_ARRAYS = 2,  /* the kernel joins them */
	FEW_LEFT = 4,    /* the receiver may open few descriptors more */
	CLOSE_LATER = 8, /* all but the status descriptor first */
	SEND_MORE = 16   /* before it is received */
};

struct datagram {
	uint8_t choices;
	size_t length;
	size_t nfds;
	uint8_t first_thing;
	char payload[LENGTH_MAX];
	int fds[JOB_FDS_MAX];
};

/* Descriptors to send: of each kind one; and what was open before. */
static int things[THINGS];

static void
open_things(const int pair[2])
{
	int pipe_fds[2];

	REQUIRE(pipe(pipe_fds) == 0);
	things[0] = pipe_fds[0];
	things[1] = pipe_fds[1];
	things[2] = open("/dev/null", O_RDWR);
	things[3] = open("/", O_RDONLY | O_DIRECTORY);
	things[4] = pair[0]; /* the socket itself, either end */
	things[5] = pair[1];
	REQUIRE(things[2] != -1 && things[3] != -1);
}

static void
close_things(void)
{
	size_t i;

	for (i = 0; i < THINGS; i++)
		(void)close(things[i]);
}

static size_t
count_open(void)
{
	size_t n = 0;
	int fd;

	for (fd = 0; fd < OPEN_MAX_HERE; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static bool
same_file(int a, int b)
{
	struct stat one, other;

	return fstat(a, &one) == 0 && fstat(b, &other) == 0 &&
	    one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static void
choose(struct datagram *d, struct fuzz_bytes *input)
{
	size_t i, given;

	d->choices = fuzz_byte(input);
	d->length = fuzz_word(input) % (LENGTH_MAX + 1);
	d->nfds = fuzz_byte(input) % (JOB_FDS_MAX + 1);
	d->first_thing = fuzz_byte(input);
	for (i = 0; i < d->nfds; i++)
		d->fds[i] = things[(d->first_thing + i) % THINGS];
	given = fuzz_byte(input);
	for (i = 0; i < d->length; i++)
		d->payload[i] = (char)(i < given ? fuzz_byte(input) : 'x');
	if (d->length > 0 && d->choices & ENDS_WITH_NUL)
		d->payload[d->length - 1] = '\0';
}

static struct cmsghdr *
put_array(struct msghdr *message, struct cmsghdr *c, const int *fds, size_t n)
{
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	message->msg_controllen += CMSG_SPACE(n * sizeof(int));
	return (struct cmsghdr *)((char *)c + CMSG_SPACE(n * sizeof(int)));
}

static void
send_datagram(int socket_fd, struct datagram *d)
{
	union {
		char bytes[CMSG_SPACE(JOB_FDS_MAX * sizeof(int)) +
		    CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec payload = { d->payload, d->length };
	struct msghdr message = { .msg_iov = &payload, .msg_iovlen = 1 };
	size_t first = d->choices & TWO_ARRAYS ? d->nfds / 2 : d->nfds;
	struct cmsghdr *c = &control.align;

	memset(&control, 0, sizeof(control));
	if (d->nfds > 0) {
		message.msg_control = control.bytes;
		c = put_array(&message, c, d->fds, first);
		if (first < d->nfds)
			(void)put_array(&message, c, d->fds + first,
			    d->nfds - first);
	}
	REQUIRE(sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	    (ssize_t)d->length);
}

/* The receiver may open so many descriptors more. */
static void
limit_open(rlim_t limit)
{
	struct rlimit now;

	REQUIRE(getrlimit(RLIMIT_NOFILE, &now) == 0);
	now.rlim_cur = limit;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &now) == 0);
}

static int
lowest_free(void)
{
	int fd = dup(STDERR_FILENO);

	REQUIRE(fd != -1 && close(fd) == 0);
	return fd;
}

/* The job is what was sent: the same bytes, the same files, in order. */
static void
check_job(const struct job *job, const struct datagram *d)
{
	size_t i;

	REQUIRE(job->length == d->length && job->nfds == d->nfds);
	REQUIRE(memcmp(job->payload, d->payload, d->length) == 0);
	for (i = 0; i < job->nfds; i++) {
		REQUIRE(same_file(job->fds[i], d->fds[i]));
		REQUIRE(fcntl(job->fds[i], F_GETFD) & FD_CLOEXEC);
	}
}

/* What job.h says of this datagram if nothing of it was cut short. */
static void
check_result(const struct job *job, const struct datagram *d,
    enum job_result result, int error)
{
	if (d->length > JOB_PAYLOAD_MAX)
		REQUIRE(result == JOB_REFUSED && error == EMSGSIZE);
	else if (d->nfds < 3 ||
	    (d->length > 0 && d->payload[d->length - 1] != '\0'))
		REQUIRE(result == JOB_REFUSED && error == EPROTO);
	else {
		REQUIRE(result == JOB_RECEIVED);
		check_job(job, d);
	}
}

static void
receive(int socket_fd, const struct datagram *d, uint8_t world)
{
	static struct job job;
	size_t before = count_open();
	bool cut = d->choices & FEW_LEFT || world & WITH_PIDFD;
	enum job_result result;
	int error;

	if (d->choices & FEW_LEFT)
		limit_open((rlim_t)lowest_free() + d->first_thing % 8);
	result = job_receive(socket_fd, &job);
	error = errno;
	limit_open(OPEN_MAX_HERE);
	REQUIRE(job.nfds <= JOB_FDS_MAX && job.length <= JOB_PAYLOAD_MAX);
	if (!cut)
		check_result(&job, d, result, error);
	else if (result == JOB_RECEIVED)
		check_job(&job, d);
	else
		REQUIRE(result == JOB_REFUSED &&
		    (error == EMSGSIZE || error == EPROTO));
	if (d->choices & CLOSE_LATER) {
		size_t kept = job.nfds > 0;

		job_close(&job, 1);
		REQUIRE(job.nfds == kept && count_open() == before + kept);
	}
	job_close(&job, 0);
	REQUIRE(job.nfds == 0 && count_open() == before);
}

/* What cannot bring jobs is told from what can, and breaks nothing. */
static void
check_sockets(int control_fd)
{
	static struct job job;
	int stream[2], lonely = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	REQUIRE(job_prepare_socket(control_fd) == 0);
	REQUIRE(job_receive(control_fd, &job) == JOB_NONE);
	REQUIRE(job_prepare_socket(-1) == -1 && errno == EBADF);
	REQUIRE(job_receive(-1, &job) == JOB_FAILED && errno == EBADF);
	REQUIRE(job_prepare_socket(things[0]) == -1 && errno == ENOTSOCK);
	REQUIRE(job_receive(things[0], &job) == JOB_FAILED);
	REQUIRE(job_prepare_socket(lonely) == -1 && errno == ENOTCONN);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0);
	REQUIRE(job_prepare_socket(stream[0]) == -1 && errno == EPROTOTYPE);
	(void)close(stream[0]);
	(void)close(stream[1]);
	(void)close(lonely);
	job_close(&job, 0);
}

static void
ask_for_more(int socket_fd, uint8_t world)
{
	int on = 1;

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76 /* Linux 6.5; older ones refuse it */
#endif
	if (world & WITH_PIDFD)
		(void)setsockopt(socket_fd, SOL_SOCKET, SO_PASSPIDFD, &on,
		    sizeof(on));
}

/* Whether the sender leaves with something unread. */
static bool
fuzz_socket(struct fuzz_bytes *input, const int pair[2])
{
	static struct datagram d[DATAGRAMS_MAX];
	uint8_t world = fuzz_byte(input);
	size_t sent = 0, received = 0;

	check_sockets(pair[0]);
	ask_for_more(pair[0], world);
	while (sent < DATAGRAMS_MAX && input->left > 0) {
		choose(&d[sent], input);
		send_datagram(pair[1], &d[sent]);
		if (d[sent++].choices & SEND_MORE)
			continue;
		while (received < sent)
			receive(pair[0], &d[received++], world);
	}
	while (received < sent)
		receive(pair[0], &d[received++], world);
	if (world & RESET)
		REQUIRE(write(pair[0], "", 1) == 1);
	return world & RESET;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_bytes input = { data, size };
	static struct job job;
	size_t before;
	bool reset;
	int pair[2], control;

	limit_open(OPEN_MAX_HERE);
	before = count_open();
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	open_things(pair);
	reset = fuzz_socket(&input, pair);
	control = dup(pair[0]);
	REQUIRE(control != -1);
	close_things();
	if (reset)
		REQUIRE(job_receive(control, &job) == JOB_NONE);
	REQUIRE(job_receive(control, &job) == JOB_EOF);
	(void)close(control);
	REQUIRE(count_open() == before);
	return 0;
}
