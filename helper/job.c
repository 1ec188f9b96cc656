/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * Receive jobs over a socket: options as text, descriptors by SCM_RIGHTS
 * (unix(7)).
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "job.h"
#include "fault.h"

/*
 * Linux 6.5: the sender as a descriptor, for a socket with SO_PASSPIDFD set
 * (unix(7)), which the other end of ours can see to.
 */
#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

/*
 * Each datagram comes with its sender's credentials, the end of file with
 * nothing: so an empty datagram can be told from it. Other systems cannot.
 */
#ifdef SO_PASSCRED
#define CREDENTIALS_SPACE CMSG_SPACE(sizeof(struct ucred))
#else
#define CREDENTIALS_SPACE 0
#endif

/* 0, or -1 with errno. */
static int
ask_for_credentials(int control_fd)
{
#ifdef SO_PASSCRED
	int on = 1;

	return setsockopt(control_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
#else
	(void)control_fd;
	return 0;
#endif
}

int
job_prepare_socket(int control_fd)
{
	struct sockaddr_un peer = { 0 };
	socklen_t length = sizeof(int);
	int type;

	if (getsockopt(control_fd, SOL_SOCKET, SO_TYPE, &type, &length) == -1)
		return -1;
	length = sizeof(peer);
	if (getpeername(control_fd, (struct sockaddr *)&peer, &length) == -1)
		return -1;
	if (type != SOCK_SEQPACKET || peer.sun_family != AF_UNIX) {
		errno = EPROTOTYPE;
		return -1;
	}
	return ask_for_credentials(control_fd);
}

/*
 * All descriptors of all messages, so that none is left open unseen. Without
 * MSG_CMSG_CLOEXEC there is a moment before the flag is set; this program
 * starts no other.
 */
static void
take_descriptors(struct job *job, struct msghdr *message)
{
	struct cmsghdr *c;
	size_t i, n;
	int fd;

	for (c = CMSG_FIRSTHDR(message); c != NULL;
	     c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET ||
		    (c->cmsg_type != SCM_RIGHTS && c->cmsg_type != SCM_PIDFD))
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
			if (c->cmsg_type == SCM_RIGHTS &&
			    job->nfds < JOB_FDS_MAX)
				job->fds[job->nfds++] = fd;
			else
				(void)close(fd);
		}
	}
}

static enum job_result
refused(int error)
{
	errno = error;
	return JOB_REFUSED;
}

/* recvmsg(2) has failed, with errno. */
static enum job_result
not_received(void)
{
	switch (errno) {
	case EINTR:
	case EAGAIN:
	case ECONNRESET: /* gone with something unread; what it sent follows */
		return JOB_NONE;
	}
	return JOB_FAILED;
}

enum job_result
job_receive(int control_fd, struct job *job)
{
	union {
		char bytes[CMSG_SPACE(JOB_FDS_MAX * sizeof(int)) +
		    CREDENTIALS_SPACE];
		struct cmsghdr align;
	} control;
	struct iovec payload = { job->payload, sizeof(job->payload) };
	struct msghdr message = {
		.msg_iov = &payload,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;

	job->nfds = job->length = 0;
	n = recvmsg(control_fd, &message, MSG_DONTWAIT);
	if (n == -1)
		return not_received();
	if (n == 0 && message.msg_controllen == 0)
		return JOB_EOF;
	take_descriptors(job, &message);
	job->length = (size_t)n;
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return refused(EMSGSIZE);
	if (job->nfds < 3)
		return refused(EPROTO);
	if (n > 0 && job->payload[n - 1] != '\0')
		return refused(EPROTO);
	return JOB_RECEIVED;
}

void
job_close(struct job *job, size_t first)
{
	size_t i;

	for (i = first; i < job->nfds; i++)
		(void)close(job->fds[i]);
	if (job->nfds > first)
		job->nfds = first;
}
