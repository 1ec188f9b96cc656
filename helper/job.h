/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef JOB_H
#define JOB_H

#include <stddef.h>

#define JOB_PAYLOAD_MAX 4096
#define JOB_FDS_MAX 253 /* SCM_MAX_FD of Linux, unix(7) */

/* One datagram: what it says and the descriptors that came with it. */
struct job {
	char payload[JOB_PAYLOAD_MAX];
	size_t length;
	int fds[JOB_FDS_MAX]; /* owned; job_close */
	size_t nfds;
};

enum job_result {
	JOB_RECEIVED,
	JOB_REFUSED, /* not a job (errno); its descriptors are in fds */
	JOB_NONE,    /* nothing there after all */
	JOB_EOF,     /* the other end has gone, and nothing waits any more */
	JOB_FAILED   /* recvmsg(2) failed (errno) */
};

/*
 * Make control_fd bring jobs: it must be a connected AF_UNIX socket of type
 * SOCK_SEQPACKET. 0, or -1 with errno.
 */
int job_prepare_socket(int control_fd);

/*
 * Take the next datagram, without waiting. Descriptors arrive close-on-exec.
 * Refused with EMSGSIZE if payload or descriptors were cut short, and with
 * EPROTO if they are fewer than a status descriptor and one pair, or the
 * payload does not end with a NUL.
 */
enum job_result job_receive(int control_fd, struct job *);

/* Close the descriptors from number first on, and forget them. */
void job_close(struct job *, size_t first);

#endif
